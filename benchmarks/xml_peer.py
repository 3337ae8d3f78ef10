"""The peer of `xml_lookup`: FastAPI, uvicorn and asyncpg, one query for each lookup.

    python benchmarks/xml_peer.py PORT DSN

Written as such handlers are: the form is parsed, the row fetched by domain and number, the
document formatted. It has neither routing nor trace, so it does less than NIZAM does.
"""

from __future__ import annotations

import base64
import hmac
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

import asyncpg
import uvicorn
from fastapi import FastAPI, Request, Response

EXPECTED = b"Basic " + base64.b64encode(b"fs1:s3cret")
QUERY = """
select t.id, e.id, e.number, e.display_name, e.a1_hash, e.pin
from tenants t join extensions e on e.tenant_id = t.id
where t.domain = $1 and e.number = $2
"""
NOT_FOUND = (
    '<document type="freeswitch/xml"><section name="result">'
    '<result status="not found"/></section></document>'
)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(sys.argv[2], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        print("ready", flush=True)
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/freeswitch/xml")
async def lookup(request: Request) -> Response:
    """Answer one question."""
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, EXPECTED):
        return Response(status_code=401)
    form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    if form["section"] == "dialplan":
        domain, number = form["Hunt-Context"], form["Hunt-Destination-Number"]
    else:
        domain, number = form["domain"], form["user"]
    row = await app.state.pool.fetchrow(QUERY, domain, number)
    text = NOT_FOUND
    if row is not None and form["section"] == "dialplan":
        text = _dialplan(row, domain, form)
    elif row is not None:
        text = _user(row, domain)
    return Response(text, media_type="text/xml")


def _dialplan(row: asyncpg.Record, domain: str, form: dict[str, str]) -> str:
    number = row[2]
    actions = (
        ("export", f"nizam_tenant_id={row[0]}"),
        ("export", f"nizam_call_id={form['Unique-ID']}"),
        ("set", f"nizam_route=extension {number}"),
        ("set", "nizam_revision=1"),
        ("set", "hangup_after_bridge=true"),
        ("set", "continue_on_fail=true"),
        ("set", "call_timeout=25"),
        ("bridge", f"user/{number}@{domain}"),
        ("answer", ""),
        ("sleep", "500"),
        ("voicemail", f"default {domain} {number}"),
    )
    lines = "".join(f"<action application={quoteattr(a)} data={quoteattr(d)}/>" for a, d in actions)
    return (
        '<document type="freeswitch/xml"><section name="dialplan">'
        f"<context name={quoteattr(domain)}><extension name={quoteattr(number)}><condition>"
        f"{lines}</condition></extension></context></section></document>"
    )


def _user(row: asyncpg.Record, domain: str) -> str:
    params = (
        ("a1-hash", row[4]),
        ("dial-string", f"{{^^:nizam_extension_id={row[1]}}}sofia/internal/{row[2]}%{domain}"),
        ("vm-password", row[5]),
        ("vm-enabled", "true"),
    )
    variables = (
        ("user_context", domain),
        ("domain_name", domain),
        ("nizam_tenant_id", str(row[0])),
        ("nizam_extension_id", str(row[1])),
        ("effective_caller_id_name", row[3]),
        ("effective_caller_id_number", row[2]),
    )

    def pairs(tag: str, items: tuple[tuple[str, str], ...]) -> str:
        return "".join(f"<{tag} name={quoteattr(n)} value={quoteattr(v)}/>" for n, v in items)

    return (
        '<document type="freeswitch/xml"><section name="directory">'
        f'<domain name={quoteattr(domain)}><user id={quoteattr(row[2])} cacheable="60000">'
        f"<params>{pairs('param', params)}</params>"
        f"<variables>{pairs('variable', variables)}</variables>"
        "</user></domain></section></document>"
    )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", backlog=1024)
