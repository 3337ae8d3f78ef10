"""What `nizam dev` prints when it is up: where things are, and lines to paste."""

from __future__ import annotations

import textwrap
from pathlib import Path

import attrs


@attrs.frozen
class Running:
    """What there is to know about the running system, as dev.json shows it."""

    http: str
    api_key: str
    tenant_id: str
    tenant_domain: str
    xml_username: str
    xml_password: str
    database_dsn: str
    redis_url: str
    esl_host: str | None
    esl_port: int | None
    esl_password: str | None
    receiver: str
    user_email: str
    user_password: str

    @property
    def xml_url(self) -> str:
        return f"{self.http}/freeswitch/xml"

    def dev_json(self) -> dict[str, object]:
        """The content of dev.json; `esl` is null without any node."""
        esl = {"host": self.esl_host, "port": self.esl_port, "password": self.esl_password}
        return {
            "http": self.http,
            "api_key": self.api_key,
            "tenant_id": self.tenant_id,
            "tenant_domain": self.tenant_domain,
            "xml_url": self.xml_url,
            "xml_username": self.xml_username,
            "xml_password": self.xml_password,
            "cdr_url": f"{self.http}/freeswitch/cdr",
            "database_dsn": self.database_dsn,
            "redis_url": self.redis_url,
            "esl": esl if self.esl_host else None,
            "webhook_receiver": self.receiver,
            "user_email": self.user_email,
            "user_password": self.user_password,
        }


def guide(running: Running, state: Path, *, simulated: bool) -> str:
    """Text for the terminal; its curl lines work when pasted one after the other."""
    tenant = f"{running.http}/api/v1/tenants/{running.tenant_id}"
    calls = "a simulated switch places calls" if simulated else "no simulated switch (--no-sim)"
    return textwrap.dedent(f"""\

        NIZAM runs at {running.http}: {calls}.

          API reference   {running.http}/docs
          health          {running.http}/api/health
          metrics         {running.http}/metrics
          demo tenant     {running.tenant_domain}: extensions 1001-1003, ring group 2000, IVR 5000,
                          +12025550101
          its user        {running.user_email}, password {running.user_password}
          state           {state} (dev.json has the key and passwords, nizam.log the log)

        Try these in another terminal:

          KEY={running.api_key}
          curl -s {running.http}/api/health
          curl -s -H "Authorization: Bearer $KEY" {tenant}/extensions
          curl -s -H "Authorization: Bearer $KEY" {tenant}/calls
          curl -s -H "Authorization: Bearer $KEY" '{tenant}/cdrs?limit=3'
          curl -s -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
            -d '{{"from": "1001", "to": "2000", "context": "internal"}}' {tenant}/routing/explain
          curl -s -u {running.xml_username}:{running.xml_password} {running.xml_url} \\
            -d 'section=directory&tag_name=domain&key_name=name' \\
            -d 'key_value={running.tenant_domain}&action=sip_auth&key=id' \\
            -d 'user=1001&domain={running.tenant_domain}'
          curl -s {running.receiver}

        Ctrl-C stops all of it; the data stays for the next start.
        """)
