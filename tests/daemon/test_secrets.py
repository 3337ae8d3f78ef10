"""No secret is anywhere but where it is promised: canaries go in, everything that came out is read.

The whole daemon runs with its most talkative log, is given secrets in every way that there is,
rightly and wrongly, and then its log, all tables, all of Redis, metrics, webhooks and every answer
are searched for them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import psycopg2
import pytest_twisted
import treq
from psycopg2 import sql
from twisted.web.client import Agent

from nizam.dev.demo import sip_password
from nizam.sim.settings import Durations
from nizam.store.migrate import differences
from tests.daemon.process import until
from tests.daemon.site import (
    ESL_PASSWORD,
    WEBHOOK_SECRET,
    XML_PASSWORD,
    XML_USERNAME,
    Site,
    build_site,
    demo_scenery,
    stop_site,
)
from tests.kv.conftest import single

PACE = 0.1
VISIBLE = "canary-that-is-no-secret"
HEADER = "canary-in-a-header-of-a-webhook"
DURATIONS = Durations(ring=(0.5, 1.0), talk=(2.0, 4.0), message=(1.0, 2.0), give_up=(0.5, 1.0))


def webhook_secret(text: str) -> str:
    return "whsec_" + base64.b64encode(text.encode().ljust(32, b".")).decode()


@attrs.define
class Canaries:
    """Everything that must not be found, by what it is."""

    known: dict[str, str] = attrs.field(factory=dict)

    def add(self, name: str, value: str) -> str:
        self.known[name] = value
        return value

    def found(self, content: bytes) -> set[str]:
        """Which of them stand in `content`, as they are or in base64."""
        return {
            name
            for name, value in self.known.items()
            if value.encode() in content or base64.b64encode(value.encode()).rstrip(b"=") in content
        }


@attrs.define
class Asking:
    """A client that searches each answer for what it was not promised."""

    site: Site
    canaries: Canaries
    agent: Agent
    answers: int = 0

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int,
        promised: frozenset[str] = frozenset(),
        raw: bytes | None = None,
        signed: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        fields: dict[bytes | str, bytes | str] = {}
        fields.update(headers or {})
        if signed:
            fields.setdefault("Authorization", f"Bearer {self.site.api.key}")
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        response = await treq.request(
            method,
            f"{self.site.daemon.base}{path}",
            headers=fields,
            data=data,
            agent=self.agent,
            timeout=10,
        )
        content = await response.content()
        assert response.code == status, (method, path, response.code, content)
        given = b"\n".join(
            b"%s: %s" % (name, value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
        )
        leaked = self.canaries.found(content + given) - promised
        assert not leaked, (method, path, leaked, content)
        self.answers += 1
        return json.loads(content) if content[:1] in (b"{", b"[") else content


@pytest_twisted.async_yield_fixture
async def talkative(database: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    from twisted.internet import reactor

    more = {"LOG_LEVEL": "debug", "APP_DEBUG": "true"}
    scenery = demo_scenery(PACE, DURATIONS)
    site = await build_site(reactor, database, redis_url, tmp_path, scenery, more)
    yield site
    await stop_site(site)


async def test_no_secret_is_where_it_is_not_promised(
    talkative: Site, database: str, redis_url: str, tmp_path: Path
) -> None:
    site, canaries = talkative, Canaries()
    canaries.add("the administrator's key", site.api.key)
    canaries.add("the node's ESL password", ESL_PASSWORD)
    canaries.add("the node's XML password", XML_PASSWORD)
    canaries.add("the demo's webhook secret", WEBHOOK_SECRET)
    canaries.add("the database's password", urlsplit(database).password or "no password at all")
    canaries.add("the key of keys", base64.b64encode(bytes(range(32))).decode())
    for number in ("1001", "1002", "1003"):
        canaries.add(f"the phone of {number}", sip_password(number))
    agent = Agent(site.reactor, connectTimeout=2.0)  # type: ignore[no-untyped-call]
    ask = Asking(site, canaries, agent)
    tenant = f"/api/v1/tenants/{site.tenant_id}"

    made = await give_secrets(ask, canaries, tenant)
    await sign_in(ask, canaries)
    await give_them_wrongly(ask, canaries, tenant, made)
    await look_around(ask, tenant, made)
    await ask_as_freeswitch_does(site, canaries)
    await site.call_for(0.5)
    await site.switch.drain()
    assert await until(site.reactor, lambda: len(site.receiver.events) > 20, 10)

    written = {
        "webhooks": json.dumps(list(site.receiver.events.values())).encode(),
        "metrics": (await site.daemon.get("/metrics"))[1],
        "health": (await site.daemon.get("/api/health"))[1],
        **{f"table {name}": content for name, content in tables(database)},
        **{f"Redis {key}": content async for key, content in redis_values(redis_url)},
    }
    await site.daemon.terminate()
    written["log"] = (tmp_path / "nizam.log").read_bytes()
    found = {place: canaries.found(content) for place, content in written.items()}
    assert {place: names for place, names in found.items() if names} == {}
    # What a client asked to have sent is kept as it is, and stands in no log.
    with_header = {place for place, content in written.items() if HEADER.encode() in content}
    assert with_header == {"table webhooks", "table resource_versions"}
    # The search finds what is there.
    visible = {place for place, content in written.items() if VISIBLE.encode() in content}
    tables_of_it = {f"table {it}" for it in ("extensions", "audit_logs", "call_events")}
    assert visible >= {*tables_of_it, f"Redis nizam:snapshot:{{{site.tenant_id}}}", "webhooks"}
    assert b'"level":"debug"' in written["log"].replace(b" ", b"")
    assert ask.answers > 80


async def give_secrets(ask: Asking, canaries: Canaries, tenant: str) -> dict[str, str]:
    """Give every secret that there is, change it, rotate it and have it revealed; the paths."""
    sip = canaries.add("SIP password", "canary-sip-password-1")
    pin = canaries.add("voicemail PIN", "8837465193")
    gateway = canaries.add("gateway password", "canary-gateway-password")
    hook = canaries.add("webhook secret", webhook_secret("canary-webhook"))
    node_esl = canaries.add("ESL password", "canary-esl-password")
    node_xml = canaries.add("XML password", "canary-xml-password")
    member = canaries.add("member PIN", "7461928305")
    moderator = canaries.add("moderator PIN", "9182736450")
    given = {
        f"{tenant}/extensions": {
            "number": "1201",
            "display_name": VISIBLE,
            "sip_password": sip,
            "voicemail": {"pin": pin},
        },
        f"{tenant}/gateways": {
            "name": "Canary",
            "host": "127.0.0.1",
            "register": True,
            "username": "canary",
            "password": gateway,
        },
        f"{tenant}/webhooks": {"url": "http://127.0.0.1:9/", "secret": hook},
        f"{tenant}/conference-rooms": {
            "number": "3100",
            "name": "Canary",
            "member_pin": member,
            "moderator_pin": moderator,
        },
        "/api/v1/switch-nodes": {
            "name": "canary",
            "esl_host": "127.0.0.1",
            "esl_port": 9,
            "esl_password": node_esl,
            "xml_username": "canary",
            "xml_password": node_xml,
        },
    }
    everything = frozenset(canaries.known)
    paths = {}
    for collection, body in given.items():
        made = await ask(
            "POST",
            collection,
            body,
            status=201,
            promised=everything,
            headers={"Idempotency-Key": f"canary {collection}"},
        )
        again = await ask(
            "POST",
            collection,
            body,
            status=201,
            promised=everything,
            headers={"Idempotency-Key": f"canary {collection}"},
        )
        assert again == made
        path = f"{collection}/{made['id']}"
        paths[collection.rpartition("/")[2]] = path
        await ask("GET", path, status=200)
        await ask("POST", f"{path}/reveal", status=200, promised=everything)
        await ask("PUT", path, body, status=200)
        await ask("GET", f"{collection}?limit=200", status=200)
    await ask("PATCH", paths["extensions"], {"ring_seconds": 30}, status=200)
    changed = canaries.add("changed SIP password", "canary-sip-password-2")
    await ask("PATCH", paths["extensions"], {"sip_password": changed}, status=200)
    rotated = await ask("POST", f"{paths['webhooks']}/rotate-secret", status=200)
    canaries.add("rotated webhook secret", rotated["secret"])
    await ask("POST", f"{paths['webhooks']}/test", status=202)
    generated = await ask(
        "POST", f"{tenant}/extensions", {"number": "1202", "display_name": "Made"}, status=201
    )
    canaries.add("generated SIP password", generated["sip_password"])
    paths["generated"] = f"{tenant}/extensions/{generated['id']}"
    return paths


async def sign_in(ask: Asking, canaries: Canaries) -> None:
    """Make a key and a user, and have them sign in, rightly and wrongly."""
    key = await ask(
        "POST", "/api/v1/api-keys", {"name": "canary", "scopes": ["extensions:read"]}, status=201
    )
    canaries.add("API key", key["key"])
    rotated = await ask("POST", f"/api/v1/api-keys/{key['id']}/rotate", status=200)
    canaries.add("rotated API key", rotated["key"])
    password = canaries.add("user's password", "vexing turnip lantern 7301")
    email = "canary@example.com"
    body = {"email": email, "name": "Canary", "password": password, "memberships": []}
    user = await ask(
        "POST", "/api/v1/users", body, status=201, headers={"Idempotency-Key": "canary user"}
    )
    await ask("GET", f"/api/v1/users/{user['id']}", status=200)
    wrong = canaries.add("wrong password", "mislaid badger lantern 1634")
    login = "/api/v1/auth/login"
    await ask("POST", login, {"email": email, "password": wrong}, status=401, signed=False)
    welcome = await ask(
        "POST",
        login,
        {"email": email, "password": password, "token": True},
        status=200,
        signed=False,
    )
    token = canaries.add("bearer token", welcome["token"])
    signature = {"Authorization": f"Bearer {token}"}
    await ask("GET", "/api/v1/me", status=200, headers=signature)
    second = canaries.add("second password", "brittle walrus lantern 8412")
    change = {"current_password": password, "new_password": second}
    await ask("POST", "/api/v1/auth/password", change, status=204, headers=signature)
    reset = await ask("POST", f"/api/v1/users/{user['id']}/reset-token", status=200)
    canaries.add("reset token", reset["reset_token"])
    third = canaries.add("third password", "gallant ferret lantern 9523")
    choice = {"token": reset["reset_token"], "new_password": third}
    await ask("POST", "/api/v1/auth/reset", choice, status=204, signed=False)


async def give_them_wrongly(
    ask: Asking, canaries: Canaries, tenant: str, made: Mapping[str, str]
) -> None:
    """Secrets in bodies that are refused, in wrong places, and in a wrong signature."""
    spoilt = canaries.add("spoilt secret", "canary-spoilt-secret")
    broken: dict[str, list[dict[str, Any]]] = {
        "extensions": [
            {"sip_password": f"{spoilt} with blanks"},
            {"sip_passwort": spoilt},
            {"voicemail": {"pin": spoilt}},
            {"voicemail": {"pine": spoilt}},
            {"sip_password": {"value": spoilt}},
            {"sip_password": [spoilt]},
        ],
        "gateways": [{"password": f"{spoilt}\n"}, {"password": spoilt * 50}, {"secret": spoilt}],
        "webhooks": [
            {"secret": spoilt},
            {"url": f"https://canary:{spoilt}@example.com/"},
            {"url": f"https://canary:{spoilt}@exa\u2100mple.com/"},
            {"url": f"https://canary:{spoilt}/"},
            {"headers": {"Host": spoilt}},
            {"headers": {"X-Token": f"{spoilt}\x01"}},
        ],
        "conference-rooms": [{"member_pin": spoilt}],
        "switch-nodes": [{"esl_password": f"{spoilt} x"}, {"xml_password": {"a": spoilt}}],
    }
    for name, bodies in broken.items():
        collection = made[name].rpartition("/")[0]
        for body in bodies:
            await ask("PATCH", made[name], body, status=422)
            await ask("POST", collection, body, status=422)
    for raw in (
        f'{{"sip_password": "{spoilt}", "sip_password": "{spoilt}"}}',
        f'{{"sip_password": "{spoilt}"',
        f'"{spoilt}"',
        f'{{"sip_password": "{spoilt}\\ud800"}}',
    ):
        await ask("POST", f"{tenant}/extensions", raw=raw.encode(), status=400)
    headers = {"Authorization": f"Bearer nzm_live_{spoilt}"}
    await ask("GET", f"{tenant}/extensions", status=401, headers=headers)
    headers = {"Authorization": f"Basic {base64.b64encode(spoilt.encode()).decode()}"}
    await ask("GET", f"{tenant}/extensions", status=401, headers=headers)
    await ask("GET", f"{tenant}/extensions?q={spoilt}", status=200)
    await ask("GET", f"{tenant}/extensions?cursor={spoilt}", status=422)
    headers = {"X-Receiver-Auth": HEADER}
    await ask("PATCH", made["webhooks"], {"headers": headers}, status=200)


async def look_around(ask: Asking, tenant: str, made: Mapping[str, str]) -> None:
    """Read everything that can be read."""
    document = await ask("GET", "/api/v1/openapi.json", status=200)
    for path, operations in document["paths"].items():
        if "get" not in operations or "{id}" in path or "{" in path.replace("{tenant_id}", ""):
            continue
        if path.endswith(("/stream", "/purge-receipt")) or "/auth/" in path:
            continue
        await ask("GET", path.replace("/api/v1/tenants/{tenant_id}", tenant), status=200)
    await ask("GET", f"{made['webhooks']}/deliveries", status=200)
    await ask("GET", f"{made['webhooks']}/attempts", status=200)
    explain = {"from": "1201", "to": "1001", "context": "internal"}
    await ask("POST", f"{tenant}/routing/explain", explain, status=200)
    await ask("DELETE", made["generated"], status=204)


async def ask_as_freeswitch_does(site: Site, canaries: Canaries) -> None:
    """The XML for a phone has a hash; that for gateways has their passwords, as it must."""
    form = {
        "section": "directory",
        "tag_name": "domain",
        "key_name": "name",
        "key_value": "acme.example.test",
        "action": "sip_auth",
        "user": "1201",
        "domain": "acme.example.test",
    }
    more: dict[str, Any] = {"auth": (XML_USERNAME, XML_PASSWORD)}
    status, answer = await site.daemon.request("POST", "/freeswitch/xml", data=form, **more)
    assert status == 200
    assert b"a1-hash" in answer
    assert canaries.found(answer) <= {"voicemail PIN"}
    status, _ = await site.daemon.request(
        "POST", "/freeswitch/xml", data=form, auth=(XML_USERNAME, "canary-spoilt-secret")
    )
    assert status == 401


def tables(database: str) -> Iterator[tuple[str, bytes]]:
    """Every table of the database with its whole content as text."""
    assert differences(database) == []
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select c.relname from pg_class c where c.relkind in ('r', 'p') "
                "and not c.relispartition and c.relnamespace = 'public'::regnamespace"
            )
            for (name,) in cursor.fetchall():
                # The key that is itself in the database is no secret from it.
                if name == "secret_keys":
                    continue
                cursor.execute(
                    sql.SQL("select coalesce(string_agg(t::text, e'\n'), '') from {} t").format(
                        sql.Identifier(name)
                    )
                )
                ((content,),) = cursor.fetchall()
                yield name, content.encode()
    finally:
        connection.close()


async def redis_values(redis_url: str) -> Any:
    """Every key of Redis with its whole content, unpacked."""
    redis: Any = single(redis_url)
    await redis.start()
    for key in await redis.scan("*"):
        kind = str(await redis.command("TYPE", key))
        if "none" in kind:
            # Lists of what workers hold come and go.
            continue
        if "hash" in kind:
            parts = [it for pair in (await redis.hgetall(key)).items() for it in pair]
        elif "list" in kind:
            parts = await redis.lrange(key, 0, -1)
        elif "zset" in kind:
            parts = await redis.zrange(key, 0, -1)
        elif "set" in kind:
            parts = list(await redis.smembers(key))
        else:
            assert "string" in kind, (key, kind)
            parts = [await redis.get(key) or b""]
        yield key.decode(), b"\n".join([key, *map(unpacked, parts)])
    await redis.stop()


def unpacked(content: bytes) -> bytes:
    """`content`, and what it is when it is decompressed."""
    try:
        return content + b"\n" + zlib.decompress(content)
    except zlib.error:
        return content
