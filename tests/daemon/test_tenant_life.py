"""A tenant from its first call to its purge, as FreeSWITCH and the operator see it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from click.testing import CliRunner
from lxml import etree
from twisted.internet.threads import deferToThread

from nizam.cli.root import commands
from nizam.embedded.process import free_port
from nizam.model.purge_receipt import receipt_hash
from nizam.store.system.scheduled_tasks import REQUEST
from tests.daemon.process import until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME, Site, environment

pytestmark = pytest.mark.time_limit(90)

DOMAIN = "acme.example.test"
TAKEOVER_SECONDS = 8.0
_MANY_EVENTS = """
insert into call_events (occurred_at, core_id, sequence, type, id, tenant_id, data, position)
select now() - i * interval '1 second', 'c', i, 'call.ended', 'evt_' || i, %s, '{}', i
from generate_series(1, 60000) i
"""
HEARD_SECONDS = 1.0
"""Within so long a change is what FreeSWITCH gets."""


async def ask(site: Site, **fields: str) -> Any:
    status, body = await site.daemon.request(
        "POST", "/freeswitch/xml", data=fields, auth=(XML_USERNAME, XML_PASSWORD)
    )
    assert status == 200
    return etree.fromstring(body)


async def phone_is_known(site: Site) -> bool:
    answer = await ask(
        site,
        section="directory",
        action="sip_auth",
        user="1001",
        domain=DOMAIN,
        sip_auth_username="1001",
        sip_auth_realm=DOMAIN,
    )
    return answer.find(".//user") is not None


async def bridges(site: Site, number: str) -> bool:
    """Whether a call of extension 1001 to this number is connected to anybody."""
    answer = await ask(
        site,
        **{
            "section": "dialplan",
            "Hunt-Context": DOMAIN,
            "Hunt-Destination-Number": number,
            "Unique-ID": str(uuid4()),
            "variable_sip_authorized": "true",
            "variable_sip_auth_username": "1001",
            "variable_domain_name": DOMAIN,
        },
    )
    return any(it.get("application") == "bridge" for it in answer.iterfind(".//action"))


async def state(site: Site) -> tuple[bool, bool, bool]:
    """Whether the phone is known, calls colleagues, and can call for help."""
    return await phone_is_known(site), await bridges(site, "1002"), await bridges(site, "112")


async def becomes(site: Site, wanted: tuple[bool, bool, bool]) -> bool:
    async def is_so() -> bool:
        return await state(site) == wanted

    return await until(site.reactor, is_so, HEARD_SECONDS, pause=0.02)


async def nizam(site: Site, *arguments: str) -> Any:
    """The command on the settings of the daemon; its JSON."""
    settings = environment(site.database, "redis://127.0.0.1:1", Path("/"), 1, 1)
    call = [*arguments, "--json"]
    done = await deferToThread(CliRunner().invoke, commands, call, env=settings)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_each_state_of_a_tenant_is_what_freeswitch_gets_within_a_second(
    site: Site,
) -> None:
    tenant = f"/api/v1/tenants/{site.tenant_id}"
    gateway = await site.api.request(
        "POST", f"{tenant}/gateways", {"name": "Carrier", "host": "sip.carrier.example"}
    )
    plan = {"name": "EU", "numbers": ["112"], "gateways": [{"gateway_id": gateway["id"]}]}
    await site.api.request("POST", f"{tenant}/emergency-plans", plan)
    assert await becomes(site, (True, True, True))
    for command, wanted in (
        ("suspend", (True, False, True)),
        ("activate", (True, True, True)),
        ("suspend", (True, False, True)),
        ("terminate", (False, False, False)),
    ):
        await site.api.request("POST", f"{tenant}/{command}")
        assert await becomes(site, wanted), (command, await state(site))
    kept = await site.api.request("GET", tenant)
    assert kept["status"] == "terminated"
    assert kept["purge_at"] > kept["terminated_at"]


async def test_the_daemon_purges_a_tenant_and_its_names_can_be_used_again(site: Site) -> None:
    tenant = f"/api/v1/tenants/{site.tenant_id}"
    body = {it: (await site.api.request("GET", tenant))[it] for it in ("name", "slug", "domain")}
    await site.call_for(1.0)
    await site.settled()
    await site.api.request("POST", f"{tenant}/terminate", {"grace_days": 0})
    done = await nizam(site, "scheduler", "run", "purge")
    assert done["error"] is None
    receipt = await site.api.request("GET", f"{tenant}/purge-receipt")
    assert receipt_hash(receipt) == receipt["hash"]
    assert {"extensions", "dids", "webhooks", "call_events", "cdrs", "cdr_legs"} <= set(
        receipt["counts"]
    )
    assert (await site.api.request("GET", "/api/v1/purge-receipts"))["data"] == [receipt]
    tasks = await nizam(site, "scheduler", "list")
    assert {it["task"]: it["error"] for it in tasks["tasks"]}["partitions"] is None
    assert tasks["leader"] == receipt["purged_by"]

    again = await site.api.request("POST", "/api/v1/tenants", body)
    assert again["id"] != site.tenant_id
    assert not await phone_is_known(site)
    health = json.loads((await site.daemon.get("/api/health"))[1])
    assert health["checks"]["scheduler"] == {"status": "ok", "leading": True, "late": []}
    metrics = (await site.daemon.get("/metrics"))[1].decode()
    assert "nizam_scheduler_leading 1.0" in metrics
    assert 'nizam_scheduled_task_removed_total{task="purge"}' in metrics
    assert not site.daemon.logged("error", "critical")


async def test_when_the_leader_is_killed_in_the_middle_of_a_purge_another_instance_ends_it(
    site: Site, tmp_path: Path
) -> None:
    other = site.daemon.another(free_port(), tmp_path / "other.log")
    other.start()
    try:
        await other.ready()
        await site.api.request("POST", f"/api/v1/tenants/{site.tenant_id}/terminate", {})
        with closing(psycopg2.connect(site.database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(_MANY_EVENTS, (site.tenant_id,))
                cursor.execute("select count(*) from call_events where tenant_id is not null")
                ((events,),) = cursor.fetchall()
                cursor.execute("update tenants set purge_at = now()")
                cursor.execute(REQUEST, ("purge",))

                def counted() -> int:
                    cursor.execute("select counts -> 'call_events' from purge_receipts")
                    rows = cursor.fetchall()
                    return int(rows[0][0] or 0) if rows else 0

                def ended() -> bool:
                    cursor.execute("select purged_at is not null from purge_receipts")
                    return bool(cursor.fetchall()[0][0])

                assert await until(site.reactor, counted, 10.0, pause=0.01)
                site.daemon.kill()
                assert 0 < counted() < events
                assert not ended()
                assert await until(site.reactor, ended, TAKEOVER_SECONDS + 15.0)
                # What the dead one was about to remove was removed and counted once.
                assert counted() == events
        assert not other.logged("error", "critical")
    finally:
        other.kill()
