"""Everybody of the access matrix, the tenant they ask about, and how each operation is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import attrs
from twisted.internet.defer import Deferred, gatherResults

from nizam.http.reply import to_json
from nizam.http.route import Route
from nizam.http.sounds import AUDIO
from nizam.model.events import Event
from nizam.model.identifiers import new_id
from nizam.model.permissions import permissions, tenant_permissions
from nizam.model.registry import resource
from nizam.routing.rows import Row as SnapshotRow
from nizam.store.system.events import write_events
from tests.http.access_matrix import MATRIX, WHO, Row
from tests.http.conftest import Answer, Server
from tests.http.described import sample_of
from tests.http.isolation import write_cdr
from tests.http.objects import ALL, collection, example_of
from tests.http.people import browser_of, make_user, membership, token_of
from tests.media.sounds import wav

Headers = Mapping[str, str]
"""What a request is signed with, by the names of `Server.request`."""
_LONG_AGO = "2026-01-01T00:00:00Z"
_NO_ID = "01937a5e-0000-7000-8000-00000000000f"
_SOUND = wav(0.1)
_WAV: dict[str, Any] = {"Content_Type": "audio/wav"}
_OF_TENANT = ("agent", "read_only", "supervisor", "tenant_admin")


@attrs.frozen
class Ask:
    """One request that reaches the handler: the path's values, the body, other credentials."""

    values: Mapping[str, str] = attrs.field(factory=dict)
    body: Any = None
    headers: Headers | None = None


@attrs.frozen
class Site:
    """A tenant with one of everything; `ids` and `bodies` are by the segment of the path."""

    server: Server
    tenant: str
    people: dict[str, Headers]
    keys: dict[tuple[str, str], Headers]
    ids: dict[str, str]
    bodies: dict[str, Any]

    def headers(self, who: str, row: Row) -> Headers:
        """What `who` signs a request with."""
        if who in ("scoped", "unscoped"):
            return self.keys[who, f"{_key_place(row)} {row.scope}"]
        return self.people[who]

    async def ask(self, route: Route, who: str, *, passing: bool) -> Answer:
        """Ask for what the route does as `who`; `passing` in the way that reaches the handler."""
        segment = _segment(route)
        ask = Ask(body=self.bodies[segment] if _is_crud(route) else route.request_example)
        if route.method == "PATCH":
            ask = Ask(body={"enabled": True})
        if passing and route.operation in ASKS:
            ask = await ASKS[route.operation](self, who)
        values = {"tenant_id": self.tenant.rpartition("/")[2], **self.ids, **ask.values}
        path = re.sub(r"(?<=/){(id)}", lambda _: values[segment], route.path)
        path = re.sub(r"{(\w+)}", lambda it: values[it.group(1)], path)
        headers = self.headers(who, MATRIX[route.operation]) if not ask.headers else ask.headers
        raw = None
        if route.request_media_type == AUDIO:
            raw, headers = _SOUND, {**headers, **_WAV}
        elif isinstance(ask.body, str):
            # What is no JSON is sent as it stands.
            raw, headers = ask.body.encode(), {**headers, "Content_Type": route.request_media_type}
        answer = await self.server.request(
            route.method, path, ask.body, key=None, raw=raw, **headers
        )
        if passing and answer.status == 201 and _is_crud(route) and segment in self.ids:
            self.ids[segment] = answer.json["id"]
        return answer


async def furnish(server: Server, database: str) -> Site:
    """Make everything; nobody is there but the platform's key."""
    tenant = await server.make_tenant("asked")
    site = Site(server, tenant, {"platform_key": _bearer(server.key)}, {}, {}, {})
    for it in ALL:
        body = await example_of(server, it, tenant)
        site.bodies[it.path] = {**body, **_instead(it.name, tenant)}
        if it.name != "tenant":
            made = await server.make(collection(it, tenant), site.bodies[it.path])
            site.ids[it.path] = made["id"]
    await server.request("POST", f"{tenant}/call-flows/{site.ids['call-flows']}/publish")
    call_id = write_cdr(database, server.tenant_id(tenant), site.ids["webhooks"])
    event = Event(
        type="call.dtmf",
        occurred_at=server.api.verifier.now(),
        core_id="core",
        sequence=1,
        tenant_id=server.tenant_id(tenant),
        call_id=UUID(call_id),
        data={},
    )
    await write_events(server.pool, [event])
    site.ids.update({"call_id": call_id, "call-events": event.id, "auth": _NO_ID})
    site.ids.update({"page": "auth", "type": "call.ended"})
    site.ids["revision"] = "1"
    site.ids["file_id"] = _NO_ID
    site.ids["greeting"] = "1"
    site.ids["recordings"] = site.ids["voicemail-messages"] = call_id
    live = sample_of("LiveCall") | {"call_id": call_id, "tenant_id": tenant.rpartition("/")[2]}
    server.api.live.put("calls", "fs1", call_id, live)
    conference = sample_of("Conference") | {"tenant_id": tenant.rpartition("/")[2]}
    site.ids["conference_id"] = conference["conference_id"]
    server.api.live.put("conferences", "fs1", conference["conference_id"], conference)
    await _show_routing(server, tenant)
    return site


async def populate(site: Site) -> None:
    """Make everybody else."""
    other = await site.server.make_tenant("other")
    site.people.update(await _people(site.server, site.tenant, other))
    site.keys.update(await _keys(site.server, site.tenant))


def _instead(name: str, tenant: str) -> dict[str, Any]:
    """The fields in which the object that is asked about is not the example: a user and a key of
    the tenant that may do no more than the weakest who changes them."""
    if name == "user":
        return {"memberships": [membership(tenant, "agent")]}
    if name == "api_key":
        return {"tenant_id": tenant.rpartition("/")[2], "scopes": ["api_keys:write"]}
    return {}


async def _people(server: Server, tenant: str, other: str) -> dict[str, Headers]:
    places = {**dict.fromkeys(_OF_TENANT, tenant), "other_admin": other, "platform_admin": None}
    found: dict[str, Headers] = {"nobody": {}}
    for who, place in places.items():
        role = "tenant_admin" if who == "other_admin" else who
        await make_user(server, f"{who}@example.test", (place, role))
        found[who] = _bearer(await token_of(server, f"{who}@example.test"))
    await make_user(server, "browser@example.test", (None, "platform_admin"))
    browser = await browser_of(server, "browser@example.test")
    found["unproven"] = {"cookie": browser.cookie}
    found["session"] = {"cookie": browser.cookie, "x_csrf_token": browser.csrf_token}
    return found


async def _keys(server: Server, tenant: str) -> dict[tuple[str, str], Headers]:
    """For each scope of the matrix a key that has just this one, and one that has all others."""
    found: dict[tuple[str, str], Headers] = {}

    async def make(name: str, scope: str | None, within: frozenset[str], place: str | None) -> None:
        of_all = {"scoped": [scope] if scope else sorted(within), "unscoped": within - {scope}}
        for who, scopes in of_all.items():
            found[who, name] = _bearer(await server.make_key(*sorted(scopes), tenant=place))

    wanted = {f"{_key_place(row)} {row.scope}": row for row in MATRIX.values()}
    waiting = []
    for name, row in wanted.items():
        of_platform = _key_place(row) == "platform"
        within = permissions() if of_platform else tenant_permissions()
        place = None if of_platform else tenant
        waiting.append(Deferred.fromCoroutine(make(name, row.scope, within, place)))
    await gatherResults(waiting)
    return found


def _key_place(row: Row) -> str:
    """Whose the key with the scope is: what is the platform's cannot be a tenant's key's."""
    return "platform" if row.place in ("platform", "tenants") else "tenant"


def _bearer(text: str) -> Headers:
    return {"authorization": f"Bearer {text}"}


async def _show_routing(server: Server, tenant: str) -> None:
    """Let the tenant be in the snapshot that calls are routed by."""
    shown = (await server.request("GET", tenant)).json
    fields = resource("tenant").body.model_fields
    body = to_json({name: it for name, it in shown.items() if name in fields})
    server.api.snapshot.put(SnapshotRow("tenant", UUID(shown["id"]), None, 1, body))


def _segment(route: Route) -> str:
    """The name of the collection in the path."""
    rest = route.path.removeprefix("/api/v1/").removeprefix("tenants/{tenant_id}/")
    return rest.partition("/")[0]


def _is_crud(route: Route) -> bool:
    names = {it.name for it in ALL}
    action, _, name = route.operation.partition("_")
    return name in names and action in ("create", "replace", "change", "delete")


# -- operations that are asked in a way of their own -------------------------------------------


async def _spare_tenant(site: Site, who: str) -> Ask:
    """A tenant that may be ended."""
    number = len([it for it in site.ids if it.startswith("spare")])
    path = await site.server.make_tenant(f"spare{number}")
    site.ids[f"spare{number}"] = path
    return Ask({"tenant_id": path.rpartition("/")[2]})


async def _active_tenant(site: Site, who: str) -> Ask:
    ask = await _spare_tenant(site, who)
    await site.server.request("POST", f"/api/v1/tenants/{ask.values['tenant_id']}/activate")
    return ask


async def _tenant_put_back(site: Site, who: str) -> Ask:
    ask = await _spare_tenant(site, who)
    slug = f"replaced-{who.replace('_', '-')}"
    return attrs.evolve(ask, body={"name": who, "slug": slug, "domain": f"{slug}.example.test"})


async def _new_tenant(site: Site, who: str) -> Ask:
    slug = f"made-{who.replace('_', '-')}"
    return Ask(body={"name": who, "slug": slug, "domain": f"{slug}.example.test"})


async def _tenant_alone(site: Site, who: str) -> Ask:
    """What else can be asked for takes further scopes."""
    slug = f"provisioned-{who.replace('_', '-')}"
    return Ask(body={"tenant": {"name": who, "slug": slug, "domain": f"{slug}.example.test"}})


async def _fresh_token(site: Site, who: str) -> Ask:
    """Another token of the same user, as which and about which is asked."""
    body = {"name": "fresh"}
    headers = site.people[who]
    made = await site.server.make("/api/v1/auth/tokens", body, key=None, **headers)
    return Ask({"auth": made["id"]}, headers=_bearer(made["token"]))


async def _own_token(site: Site, who: str) -> Ask:
    return attrs.evolve(await _fresh_token(site, who), headers=None)


async def _weak_password(site: Site, who: str) -> Ask:
    return Ask(body={"current_password": "anything", "new_password": "aaaaaaaaaaaa"})


async def _prompt_with_sound(site: Site, who: str) -> Ask:
    path = f"{site.tenant}/prompts/{site.ids['prompts']}/audio"
    made = await site.server.request("PUT", path, raw=_SOUND, **_WAV)
    assert made.status == 200, made.body
    return Ask()


async def _file_of_music(site: Site, who: str) -> Ask:
    path = f"{site.tenant}/music-on-hold/{site.ids['music-on-hold']}/files"
    made = await site.server.request("POST", path, raw=_SOUND, **_WAV)
    assert made.status == 201, made.body
    return Ask({"file_id": made.json["id"]})


async def _place_of_file(site: Site, who: str) -> Ask:
    return attrs.evolve(await _file_of_music(site, who), body={"position": 1})


async def _no_body(site: Site, who: str) -> Ask:
    return Ask(body={})


async def _file_of_extensions(site: Site, who: str) -> Ask:
    return Ask(body=f"number,display_name\n70{WHO.index(who):02},{who}\n")


async def _file_of_dids(site: Site, who: str) -> Ask:
    return Ask(body=f"number,destination\n+120255502{WHO.index(who):02},hangup\n")


async def _nothing_to_apply(site: Site, who: str) -> Ask:
    return Ask(body={"format": 1})


async def _newest_revision(site: Site, who: str) -> Ask:
    """Going back to what is."""
    newest = await site.server.request("GET", f"{site.tenant}/revisions?limit=1")
    return Ask({"revision": str(newest.json["data"][0]["revision"])})


async def _recorded(site: Site, who: str) -> Ask:
    """A recording that is there, with its file."""
    tenant, identifier = site.server.tenant_id(site.tenant), new_id()
    path = f"{tenant}/recordings/{identifier}.wav"
    file = site.server.media_root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_SOUND)
    await site.server.pool.query(
        "insert into recordings (id, tenant_id, path, state, started_at, told_at, core_id,"
        " sequence, sha256, bytes) values (%s, %s, %s, 'available', now(), now(), 'core', 1, %s,"
        " %s) returning 1",
        (identifier, tenant, path, hashlib.sha256(_SOUND).hexdigest(), len(_SOUND)),
    )
    return Ask({"recordings": str(identifier)}, body={"reason": "Case 1"})


async def _recorded_without_body(site: Site, who: str) -> Ask:
    return attrs.evolve(await _recorded(site, who), body=None)


async def _left(site: Site, who: str) -> Ask:
    """A message that is there, with its file."""
    tenant, identifier, extension = site.server.tenant_id(site.tenant), new_id(), new_id()
    path = f"{tenant}/voicemail/{extension}/msg_{identifier}.wav"
    digest = hashlib.sha256(_SOUND).hexdigest()
    file = site.server.media_root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_SOUND)
    await site.server.pool.query(
        "insert into voicemail_messages (id, tenant_id, mailbox, domain, node, switch_id, path,"
        " file, folder, received_at, state, sha256, bytes) values (%s, %s, '1001',"
        " 'acme.example.test', 'fs1', %s, %s, %s, 'inbox', now(), 'available', %s, %s)"
        " returning 1",
        (
            identifier,
            tenant,
            str(identifier),
            path,
            path,
            digest,
            len(_SOUND),
        ),
    )
    return Ask({"voicemail-messages": str(identifier)})


async def _greeted(site: Site, who: str, number: str = "1") -> Ask:
    """A greeting that is there."""
    path = f"extensions/{site.ids['extensions']}/voicemail-greetings/{number}"
    made = await site.server.request("PUT", f"{site.tenant}/{path}", raw=_SOUND, **_WAV)
    assert made.status == 200, made.body
    return Ask({"greeting": number})


async def _greeted_by_another(site: Site, who: str) -> Ask:
    """A greeting that is not the one that is chosen."""
    return await _greeted(site, who, "2")


async def _left_to_mark(site: Site, who: str) -> Ask:
    return attrs.evolve(await _left(site, who), body={"read": True})


ASKS: dict[str, Callable[[Site, str], Awaitable[Ask]]] = {
    "get_voicemail_message": _left,
    "download_voicemail_message": _left,
    "link_voicemail_message": _left,
    "download_voicemail_greeting": _greeted,
    "choose_voicemail_greeting": _greeted,
    "delete_voicemail_greeting": _greeted_by_another,
    "mark_voicemail_message": _left_to_mark,
    "delete_voicemail_message": _left,
    "get_recording": _recorded_without_body,
    "download_recording": _recorded_without_body,
    "link_recording": _recorded_without_body,
    "hold_recording": _recorded,
    "release_recording": _recorded_without_body,
    "delete_recording": _recorded_without_body,
    "import_extensions": _file_of_extensions,
    "import_dids": _file_of_dids,
    "login": _no_body,
    "apply_document": _nothing_to_apply,
    "roll_back_revision": _newest_revision,
    "reset_password": _no_body,
    "logout": _fresh_token,
    "revoke_token": _own_token,
    "change_password": _weak_password,
    "download_prompt_audio": _prompt_with_sound,
    "delete_prompt_audio": _prompt_with_sound,
    "download_music_on_hold_file": _file_of_music,
    "change_music_on_hold_file": _place_of_file,
    "delete_music_on_hold_file": _file_of_music,
    "create_tenant": _new_tenant,
    "provision_tenant": _tenant_alone,
    "replace_tenant": _tenant_put_back,
    "activate_tenant": _spare_tenant,
    "suspend_tenant": _active_tenant,
    "terminate_tenant": _spare_tenant,
    "delete_tenant": _spare_tenant,
}
