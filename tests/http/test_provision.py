"""One request makes a tenant that works: everything of it or nothing, every secret shown once."""

from __future__ import annotations

import base64
import copy
import hashlib
import random
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import attrs
import pytest
import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, gatherResults

from nizam.http.app import build_root
from nizam.http.deciding import CallDecider
from nizam.http.node_credentials import NodeCredentials
from nizam.http.provision import EXAMPLE, PATH
from nizam.http.server import BoundedSite
from nizam.http.xmlcurl import XmlCurlResource
from nizam.model.switch_node import SwitchNode
from nizam.settings.values import Secret, XmlClient
from nizam.switch.snapshots import SnapshotService
from tests.daemon.process import until
from tests.http.conftest import Answer, Server
from tests.http.people import PASSWORD, log_in, person

reactor: Any = installed_reactor
NODE, NODE_PASSWORD = "fs1", "s3cret"


def asked(**more: Any) -> dict[str, Any]:
    """The smallest request, and whatever a test adds."""
    tenant = {"name": "Globex", "slug": "globex", "domain": "globex.example.test"}
    return {"tenant": tenant, **more}


def wrong(answer: Answer) -> set[tuple[str, str]]:
    return {(it["path"], it["code"]) for it in answer.json["errors"]}


async def rows(server: Server, table: str) -> int:
    return int((await server.pool.query(f"select count(*) from {table}"))[0][0])  # noqa: S608


# -- what is made -------------------------------------------------------------------------------


async def test_the_example_makes_everything_and_shows_every_secret(server: Server) -> None:
    answer = await server.request("POST", PATH, dict(EXAMPLE))
    assert answer.status == 201, answer.body
    made = answer.json
    path = f"/api/v1/tenants/{made['tenant']['id']}"
    assert answer.headers["location"] == path
    tenant = await server.request("GET", path)
    assert tenant.headers["etag"] == answer.headers["etag"]
    assert tenant.json == made["tenant"]
    assert made["tenant"]["status"] == "active"
    assert [it["number"] for it in made["extensions"]] == ["1000", "1001", "1002", "1003"]
    passwords = {it["sip"]["password"] for it in made["extensions"]}
    assert len(passwords) == 4
    assert min(map(len, passwords)) == 24
    assert made["extensions"][1]["sip"]["domain"] == made["sip"]["domain"] == "globex.example.test"
    assert made["extensions"][1]["display_name"] == "Extension 1001"
    did = (await server.request("GET", f"{path}/dids")).json["data"]
    assert did == made["dids"]
    assert did[0]["destination"]["id"] == made["extensions"][0]["id"]
    one = await server.request("GET", f"{path}/extensions/{made['extensions'][2]['id']}")
    assert one.json["ring_seconds"] == 20
    revealed = await server.request("POST", f"{path}/extensions/{one.json['id']}/reveal")
    assert revealed.json["sip_password"] == made["extensions"][2]["sip"]["password"]
    codes = await server.request("GET", f"{path}/feature-codes")
    assert codes.json["data"]


async def test_its_key_works_in_the_tenant_and_nowhere_else(server: Server) -> None:
    elsewhere = await server.make_tenant("other")
    made = (await server.request("POST", PATH, dict(EXAMPLE))).json
    path, key = f"/api/v1/tenants/{made['tenant']['id']}", made["api_key"]["key"]
    assert made["api_key"]["tenant_id"] == made["tenant"]["id"]
    body = {"number": "1999", "display_name": "One more"}
    assert (await server.request("POST", f"{path}/extensions", body, key=key)).status == 201
    assert (await server.request("GET", f"{elsewhere}/extensions", key=key)).status == 404


async def test_its_administrator_logs_in(server: Server) -> None:
    for slug, given in (("one", {"password": PASSWORD}), ("two", {"generate_password": True})):
        tenant = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
        admin = {"email": f"Hank@{slug}.example.test", "name": "Hank", **given}
        made = await server.make(PATH, {"tenant": tenant, "admin": admin})
        assert ("password" in made["admin"]) is ("generate_password" in given)
        assert "reset_token" not in made["admin"]
        password = made["admin"].get("password", PASSWORD)
        assert (await log_in(server, f"hank@{slug}.example.test", password)).status == 200
    assert made["admin"]["memberships"] == [
        {"tenant_id": made["tenant"]["id"], "role": "tenant_admin"}
    ]


async def test_its_administrator_chooses_a_password(server: Server) -> None:
    body = asked(admin={"email": "hank@globex.example.test", "name": "Hank"})
    made = await server.make(PATH, body)
    choice = {"token": made["admin"]["reset_token"], "new_password": PASSWORD}
    chosen = await server.request("POST", "/api/v1/auth/reset", choice, key=None)
    assert chosen.status == 204, chosen.body
    assert (await log_in(server, "hank@globex.example.test")).status == 200


async def test_objects_name_each_other_by_number_and_name(server: Server) -> None:
    made = await server.make(
        PATH,
        asked(
            status="trial",
            extension_range={"first": "0998", "count": 2, "display_name": "Desk {number}"},
            ring_groups=[
                {"number": "2000", "name": "All", "members": [{"extension_id": "0999"}]},
            ],
            ivrs=[
                {
                    "number": "5000",
                    "name": "Menu",
                    "greeting_long": "ivr/ivr-welcome.wav",
                    "entries": [
                        {"digits": "1", "destination": {"type": "ring_group", "id": "2000"}}
                    ],
                }
            ],
            dids=[{"number": "+12025550123", "destination": {"type": "ivr", "id": "5000"}}],
            gateways=[
                {
                    "name": "Carrier",
                    "host": "sip.example.test",
                    "username": "globex",
                    "password": "out-of-sight",
                }
            ],
            webhooks=[{"url": "https://hooks.example.com/nizam", "event_types": ["call.*"]}],
        ),
    )
    assert made["tenant"]["status"] == "trial"
    assert [it["display_name"] for it in made["extensions"]] == ["Desk 0998", "Desk 0999"]
    group = made["ring_groups"][0]
    assert group["members"][0]["extension_id"] == made["extensions"][1]["id"]
    assert made["ivrs"][0]["entries"][0]["destination"]["id"] == group["id"]
    assert made["dids"][0]["destination"]["id"] == made["ivrs"][0]["id"]
    assert made["webhooks"][0]["secret"].startswith("whsec_")
    assert made["gateways"][0]["password"] == "out-of-sight"


async def test_it_is_one_revision_and_in_the_audit_log_without_secrets(server: Server) -> None:
    body = asked(
        extensions=[
            {"number": "1000", "display_name": "One", "sip_password": "canary-4711-canary"}
        ],
        admin={"email": "hank@globex.example.test", "name": "Hank", "password": PASSWORD},
        api_key={"name": "CRM", "scopes": ["*"]},
    )
    made = await server.make(PATH, body, x_request_id="provision-1")
    path = f"/api/v1/tenants/{made['tenant']['id']}"
    log = (await server.request("GET", f"{path}/audit-logs?limit=200")).json["data"]
    assert {(it["action"], it["resource_type"]) for it in log} == {
        ("created", "tenant"),
        ("created", "extension"),
        ("created", "user"),
        ("created", "api_key"),
        ("provisioned", "tenant"),
    }
    assert {it["request_id"] for it in log} == {"provision-1"}
    assert "canary" not in str(log)
    assert made["api_key"]["key"] not in str(log)
    revision = await server.pool.query("select revision from tenants")
    assert revision == [(1,)]


async def test_the_same_idempotency_key_gives_the_same_secrets_and_nothing_twice(
    server: Server,
) -> None:
    first = await server.request("POST", PATH, dict(EXAMPLE), idempotency_key="order-1")
    again = await server.request("POST", PATH, dict(EXAMPLE), idempotency_key="order-1")
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert again.headers["idempotent-replayed"] == "true"
    other = await server.request("POST", PATH, asked(), idempotency_key="order-1")
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert await rows(server, "tenants") == 1
    kept = await server.pool.query("select answer from idempotency_keys")
    assert first.json["api_key"]["key"] not in str(kept)


async def test_a_domain_below_that_of_the_settings(server: Server) -> None:
    sip = attrs.evolve(server.api.settings.sip, domain_suffix="sip.example.test")
    api = attrs.evolve(server.api, settings=attrs.evolve(server.api.settings, sip=sip))
    port = reactor.listenTCP(
        0, BoundedSite(build_root(api, reactor, {}), reactor), interface="127.0.0.1"
    )
    try:
        there = attrs.evolve(server, base=f"http://127.0.0.1:{port.getHost().port}")
        made = await there.make(PATH, {"tenant": {"name": "Globex", "slug": "globex"}})
    finally:
        await port.stopListening()
    assert made["tenant"]["domain"] == "globex.sip.example.test"


@pytest.mark.time_limit(60)
async def test_a_thousand_extensions_fit_into_one_request(server: Server) -> None:
    listed = [
        {"number": str(number), "display_name": f"Seat {number}", "ring_seconds": 20}
        for number in range(2000, 2500)
    ]
    body = asked(extensions=listed, extension_range={"first": "3000", "count": 500})
    made = await server.make(PATH, body)
    assert len({it["sip"]["password"] for it in made["extensions"]}) == 1000
    assert await rows(server, "extensions") == 1000
    refused = await server.request(
        "POST", PATH, asked(extensions=listed, extension_range={"first": "3000", "count": 501})
    )
    assert ("", "too_long") in wrong(refused)


# -- what is refused ----------------------------------------------------------------------------


async def test_everything_that_is_wrong_is_named_at_once_and_nothing_is_made(
    server: Server,
) -> None:
    await server.make(
        PATH,
        asked(
            dids=[{"number": "+12025550123", "destination": {"type": "hangup"}}],
            admin={"email": "hank@globex.example.test", "name": "Hank"},
        ),
    )
    before = [await rows(server, it) for it in ("tenants", "users", "extensions", "audit_logs")]
    answer = await server.request(
        "POST",
        PATH,
        {
            "tenant": {"name": "Globex", "slug": "globex", "domain": "globex2.example.test"},
            "colour": "red",
            "extensions": [
                {"number": "1000", "display_name": "One"},
                {"number": "1001", "display_name": "Two", "sip_password": "short"},
                {"number": "x", "display_name": "Three", "shoes": 2},
            ],
            "extension_range": {"first": "1000", "count": 2, "fields": {"ring_seconds": 1}},
            "dids": [
                {"number": "+12025550123", "destination": {"type": "extension", "id": "1000"}},
                {"number": "+12025550124", "destination": {"type": "extension", "id": "7777"}},
            ],
            "feature_codes": [],
            "admin": {"email": "hank@globex.example.test", "name": "Hank", "password": "short"},
        },
    )
    assert (answer.status, answer.json["code"]) == (422, "validation_failed")
    assert wrong(answer) >= {
        ("/colour", "unknown_field"),
        ("/extensions/1/sip_password", "string_too_short"),
        ("/extensions/2/number", "string_pattern_mismatch"),
        ("/extensions/2/shoes", "unknown_field"),
        ("/extension_range/fields/ring_seconds", "greater_than_equal"),
        ("/dids/1/destination/id", "not_found"),
        ("/feature_codes", "unknown_field"),
        ("/tenant/slug", "taken"),
        ("/dids/0/number", "taken"),
        ("/admin/password", "string_too_short"),
    }
    after = [await rows(server, it) for it in ("tenants", "users", "extensions", "audit_logs")]
    assert after == before


async def test_everything_that_another_has_is_named_at_once(server: Server) -> None:
    await server.make(
        PATH,
        asked(
            dids=[{"number": "+12025550123", "destination": {"type": "hangup"}}],
            admin={"email": "hank@globex.example.test", "name": "Hank"},
        ),
    )
    taken = {
        ("/tenant/slug", "taken"),
        ("/tenant/domain", "taken"),
        ("/admin/email", "taken"),
        ("/dids/1/number", "taken"),
    }
    body = asked(
        dids=[
            {"number": "+12025550199", "destination": {"type": "hangup"}},
            {"number": "+12025550123", "destination": {"type": "hangup"}},
        ],
        admin={"email": "hank@globex.example.test", "name": "Hank"},
    )
    answer = await server.request("POST", PATH, body)
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert wrong(answer) == taken
    # With something else wrong the conflicts are told all the same.
    body["extensions"] = [{"number": "1", "display_name": "One"}]
    answer = await server.request("POST", PATH, body)
    assert answer.status == 422
    assert wrong(answer) == taken | {("/extensions/0/number", "string_pattern_mismatch")}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"status": "suspended"}, "/status", "literal_error"),
    (
        {"extension_range": {"first": "98", "count": 3}},
        "/extension_range/count",
        "beyond_digits",
    ),
    (
        {"extension_range": {"first": "10", "count": 3, "fields": {"sip_password": "x" * 20}}},
        "/extension_range/fields",
        "of_each",
    ),
    (
        {
            "extensions": [{"number": "1001", "display_name": "One"}],
            "extension_range": {"first": "1000", "count": 3},
        },
        "/extension_range/first",
        "taken",
    ),
    (
        {
            "extension_range": {"first": "1000", "count": 3},
            "ring_groups": [{"number": "1002", "name": "All", "members": [{"number": "+12"}]}],
        },
        "/ring_groups/0/number",
        "taken",
    ),
    (
        {
            "admin": {
                "email": "a@example.com",
                "name": "A",
                "password": PASSWORD,
                "generate_password": True,
            }
        },
        "/admin/generate_password",
        "surplus",
    ),
    (
        {"admin": {"email": "a@example.com", "name": "A", "role": "agent"}},
        "/admin/role",
        "unknown_field",
    ),
    (
        {"api_key": {"name": "CRM", "scopes": ["*"], "tenant_id": None}},
        "/api_key/tenant_id",
        "unknown_field",
    ),
    ({"api_key": {"name": "CRM", "scopes": []}}, "/api_key/scopes", "too_short"),
    ({"extensions": {"number": "1000"}}, "/extensions", "list_type"),
    ({"extensions": ["1000"]}, "/extensions/0", "dict_type"),
    (
        {"gateways": [{"name": "C", "host": "h.example.test", "password": {"secret": True}}]},
        "/gateways/0/password",
        "missing",
    ),
]


async def test_single_things_that_are_wrong(server: Server) -> None:
    for more, path, code in WRONG:
        answer = await server.request("POST", PATH, asked(**more))
        assert answer.status in (409, 422), answer.body
        assert (path, code) in wrong(answer), answer.body
        # Nobody is told of extensions that their request does not have.
        assert not re.search(r"/extensions/\d", str(answer.json)) or "extensions" in more
    for body in ({}, {"tenant": None}, {"tenant": {"status": "active"}}, {"x": 1}):
        answer = await server.request("POST", PATH, body)
        assert answer.status == 422
        assert any(it["path"].startswith("/tenant") for it in answer.json["errors"])
    assert await rows(server, "tenants") == 0


async def test_without_a_reset_token_for_its_administrator_there_is_no_tenant(
    server: Server,
) -> None:
    # Redis is away, which keeps them.
    await server.key_value.stop()
    body = asked(admin={"email": "hank@globex.example.test", "name": "Hank"})
    answer = await server.request("POST", PATH, body)
    assert answer.status == 503, answer.body
    assert [await rows(server, it) for it in ("tenants", "users")] == [0, 0]


async def test_its_own_quotas_hold(server: Server) -> None:
    body = copy.deepcopy(dict(EXAMPLE))
    body["tenant"]["quotas"] = {"max_extensions": 3}
    answer = await server.request("POST", PATH, body)
    assert (answer.status, answer.json["code"]) == (409, "quota_exceeded")
    assert wrong(answer) == {("/extensions", "quota_exceeded")}
    assert await rows(server, "tenants") == 0


async def test_whoever_provisions_can_give_no_more_than_they_have(server: Server) -> None:
    tenant = await server.make_tenant("other")
    administrator = await person(server, "tenant_admin", tenant)
    assert (await server.request("POST", PATH, asked(), key=administrator)).status == 403
    weak = await server.make_key("tenants:*", "extensions:*", "api_keys:*")
    extensions = [{"number": "1000", "display_name": "One"}]
    some = asked(extensions=extensions, api_key={"name": "CRM", "scopes": ["extensions:read"]})
    for more, missing in (
        ({"dids": [{"number": "+12025550123", "destination": {"type": "hangup"}}]}, "dids:write"),
        ({"admin": {"email": "a@example.com", "name": "A"}}, "users:write"),
        ({"api_key": {"name": "CRM", "scopes": ["calls:read"]}}, "calls:read"),
    ):
        answer = await server.request("POST", PATH, some | more, key=weak)
        assert (answer.status, answer.json["scope"]) == (403, missing)
    limited = await server.make_key("*", allowed_cidrs=["127.0.0.0/8"])
    answer = await server.request("POST", PATH, some, key=limited)
    assert wrong(answer) == {("/api_key/allowed_cidrs", "beyond_own")}
    assert (await server.request("POST", PATH, some, key=weak)).status == 201


async def test_of_many_that_want_the_same_one_gets_it(server: Server) -> None:
    requests = [server.request("POST", PATH, dict(EXAMPLE)) for _ in range(8)]
    answers = await gatherResults([Deferred.fromCoroutine(it) for it in requests])
    statuses = [it.status for it in answers]
    assert sorted(statuses) == [201] + 7 * [409]
    assert await rows(server, "extensions") == 4


# -- a phone registers at once ------------------------------------------------------------------


@attrs.frozen
class Platform:
    """The API and FreeSWITCH's questions over one snapshot, which follows the database."""

    server: Server
    xml: str

    async def a1_hash(self, user: str, domain: str) -> str | None:
        """What FreeSWITCH gets when a phone registers."""
        question = {
            "section": "directory",
            "tag_name": "domain",
            "key_name": "name",
            "key_value": domain,
            "action": "sip_auth",
            "key": "id",
            "user": user,
            "domain": domain,
        }
        token = base64.b64encode(f"{NODE}:{NODE_PASSWORD}".encode()).decode()
        answer = await self.server.request(
            "POST",
            "/freeswitch/xml",
            raw=urlencode(question).encode(),
            key=None,
            authorization=f"Basic {token}",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert answer.status == 200
        document = ElementTree.fromstring(answer.body)  # noqa: S314 - our own answer
        found = document.find(".//param[@name='a1-hash']")
        return None if found is None else found.get("value")


@pytest_twisted.async_yield_fixture
async def platform(server: Server) -> AsyncIterator[Platform]:
    snapshot = server.api.snapshot
    # So seldom that nothing but the notification, or being asked, makes it look.
    snapshots = SnapshotService(
        reactor, server.pool, server.key_value, snapshot, poll_seconds=3600.0
    )
    snapshots.startService()
    client = XmlClient(NODE, NODE, Secret(NODE_PASSWORD))
    box = server.store.secret_box
    xml = XmlCurlResource(
        snapshot,
        NodeCredentials(snapshot, box.decrypt, (client,), ()),
        CallDecider(snapshot, reactor, random.Random(1)),
        box.decrypt,
        server.api.settings.sip,
        lambda: snapshots.ready,
    )
    api = attrs.evolve(server.api, held=snapshots.holds)
    site = BoundedSite(build_root(api, reactor, {"/freeswitch/xml": xml}), reactor)
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    base = f"http://127.0.0.1:{port.getHost().port}"
    yield Platform(attrs.evolve(server, base=base), f"{base}/freeswitch/xml")
    await port.stopListening()
    await snapshots.stopService()


async def test_every_phone_can_register_as_soon_as_the_answer_is_there(platform: Platform) -> None:
    for number in range(5):
        slug = f"tenant{number}"
        tenant = {"name": slug, "slug": slug, "domain": f"{slug}.example.test"}
        made = await platform.server.make(
            PATH, {"tenant": tenant, "extension_range": {"first": "1001", "count": 3}}
        )
        for it in made["extensions"]:
            sip = it["sip"]
            text = f"{sip['user']}:{sip['domain']}:{sip['password']}"
            expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            assert await platform.a1_hash(sip["user"], sip["domain"]) == expected
    assert await platform.a1_hash("1004", "tenant0.example.test") is None


async def test_the_answer_says_where_phones_register(platform: Platform) -> None:
    server = platform.server
    await server.make(
        "/api/v1/sip-profiles",
        {"name": "internal", "sip_port": 5070, "tls": True, "tls_port": 5071},
    )
    for name, address, more in (
        ("fs1", "192.0.2.1", {"weight": 10}),
        ("fs2", "[2001:db8::2]:5090", {"weight": 20}),
        ("fs3", "192.0.2.3", {"status": "draining"}),
    ):
        node = {"name": name, "esl_host": "192.0.2.9", "xml_username": name, "sip_address": address}
        await server.make("/api/v1/switch-nodes", node | more)
    # Of a switch whoever answers hears a moment later.
    snapshot = server.api.snapshot
    heard = await until(
        installed_reactor, lambda: len(list(snapshot.platform(SwitchNode))) == 3, 10.0
    )
    assert heard
    first = await server.make(PATH, asked())
    assert first["sip"]["registrars"] == [
        {"host": host, "port": port, "transport": transport}
        for host, plain in (("2001:db8::2", 5090), ("192.0.2.1", 5070))
        for transport, port in (("udp", plain), ("tcp", plain), ("tls", 5071))
    ]
