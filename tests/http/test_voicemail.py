"""Messages through the API: only one's own, by what they are, and their sound."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import pytest
import pytest_twisted

from nizam.model.identifiers import new_id
from tests.http.conftest import Server
from tests.media.sounds import wav
from tests.voicemail.switch import Switch

SOUND = wav(1.0)
SHA256 = hashlib.sha256(SOUND).hexdigest()


@attrs.frozen
class Post:
    """A tenant with messages."""

    server: Server
    tenant: str
    other: str

    async def message(self, **columns: Any) -> str:
        """The path of a message whose file is there."""
        tenant_id, identifier = self.server.tenant_id(self.tenant), new_id()
        below = f"{tenant_id}/voicemail/{new_id()}/msg_{identifier}.wav"
        file = self.server.media_root / below
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(SOUND)
        found: dict[str, Any] = {
            "id": identifier,
            "tenant_id": tenant_id,
            "mailbox": "1001",
            "domain": "acme.example.test",
            "node": "fs1",
            "switch_id": str(identifier),
            "path": f"/mnt/media/{below}",
            "file": below,
            "from_number": "+4930123",
            "from_name": "Zoë",
            "folder": "inbox",
            "received_at": "2026-11-24T12:00:00Z",
            "state": "available",
            "sha256": SHA256,
            "bytes": len(SOUND),
            "duration_ms": 1000,
        }
        found |= columns
        names, values = ", ".join(found), ", ".join(f"%({it})s" for it in found)
        await self.server.pool.query(
            f"insert into voicemail_messages ({names}) values ({values}) returning 1",  # noqa: S608
            found,
        )
        return f"{self.tenant}/voicemail-messages/{identifier}"


@pytest_twisted.async_yield_fixture
async def post(server: Server) -> Any:
    yield Post(server, await server.make_tenant("acme"), await server.make_tenant("other"))


async def test_messages_are_listed_by_what_they_are(post: Post) -> None:
    server, extension = post.server, new_id()
    await post.message(mailbox="1002", extension_id=extension)
    path = await post.message(is_read=True, read_at="2026-11-25T12:00:00Z")
    await post.message(urgent=True, received_at="2026-11-01T12:00:00Z", from_number="1003")

    async def ids(query: str, tenant: str = post.tenant) -> list[str]:
        answer = await server.request("GET", f"{tenant}/voicemail-messages?{query}")
        assert answer.status == 200, answer.body
        return [it["id"] for it in answer.json["data"]]

    assert len(await ids("")) == 3
    assert await ids("read=true") == [path.rpartition("/")[2]]
    for query in (
        "mailbox=1002",
        f"extension_id={extension}",
        "urgent=true",
        "from=1003",
        "received_at[lt]=2026-11-02T00:00:00Z",
        "from[prefix]=1003",
    ):
        assert len(await ids(query)) == 1, query
    assert await ids("", post.other) == []
    shown = (await server.request("GET", path)).json
    assert (shown["from"], shown["read"], shown["size_bytes"]) == ("+4930123", True, len(SOUND))
    # Where the file lies is nobody's business.
    assert not {"path", "file", "switch_id"} & shown.keys()
    theirs = path.replace(post.tenant, post.other)
    for steps in ("", "/audio"):
        assert (await server.request("GET", f"{theirs}{steps}")).status == 404


async def test_pages_follow_one_another(post: Post) -> None:
    for day in range(1, 6):
        await post.message(received_at=f"2026-11-0{day}T12:00:00Z")
    seen, query = [], "limit=2&sort=received_at"
    while query:
        answer = await post.server.request("GET", f"{post.tenant}/voicemail-messages?{query}")
        seen += [it["received_at"][:10] for it in answer.json["data"]]
        cursor = answer.json["next_cursor"]
        query = f"limit=2&sort=received_at&cursor={cursor}" if cursor else ""
    assert seen == [f"2026-11-0{day}" for day in range(1, 6)]


async def test_the_sound_is_given_whole_or_in_part_by_key_and_by_link(post: Post) -> None:
    server, path = post.server, await post.message()
    made = await server.request("POST", f"{path}/link", {"disposition": "inline"})
    url = made.json["url"].removeprefix(server.api.settings.app_url)
    for address, key in ((f"{path}/audio", "platform"), (url, None)):
        whole = await server.request("GET", address, key=key)
        assert (whole.status, whole.body) == (200, SOUND)
        assert whole.headers["etag"] == f'"{SHA256}"'
        part = await server.request("GET", address, key=key, Range="bytes=0-43")
        assert (part.status, part.body) == (206, SOUND[:44])
    entries = await server.request(
        "GET", f"{post.tenant}/audit-logs?resource_id={path.rpartition('/')[2]}&sort=sequence"
    )
    assert [it["action"] for it in entries.json["data"]] == ["linked", "downloaded", "downloaded"]


async def test_a_link_to_a_recording_is_no_link_to_a_message(post: Post) -> None:
    server, path = post.server, await post.message()
    identifier, tenant = path.rpartition("/")[2], server.tenant_id(post.tenant)
    box = server.api.store.secret_box
    from uuid import UUID

    from nizam.media.links import FileLinks

    for purpose, status in (("recording-links", 403), ("voicemail-links", 200)):
        query = FileLinks.of(box, purpose).query(tenant, UUID(identifier), 9999999999, inline=True)
        assert (await server.request("GET", f"{path}/file?{query}", key=None)).status == status


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"state": "checking", "sha256": None}, "the voicemail message is checking"),
        ({"state": "missing", "sha256": None, "problem": "gone"}, "gone"),
        ({"file": None}, "outside of the media root"),
        ({"bytes": 1}, "not as it was stored"),
    ],
)
async def test_sound_that_is_not_there_says_why(
    post: Post, columns: dict[str, Any], why: str
) -> None:
    answer = await post.server.request("GET", f"{await post.message(**columns)}/audio")
    assert (answer.status, answer.json["code"]) == (409, "media_unavailable")
    assert why in answer.json["detail"]


def at_a_switch(post: Post) -> Switch:
    """A switch that the API reaches."""
    switch = Switch()
    switch.core.media_root = post.server.media_root
    # The parts are frozen: the seam is where the switch would be.
    object.__setattr__(post.server.api.control, "links", switch)
    return switch


async def told(post: Post, kind: str) -> list[str]:
    """By whom each such event came about."""
    answer = await post.server.request("GET", f"{post.tenant}/call-events?type={kind}")
    return [it["data"]["by"] for it in answer.json["data"]]


async def left_at_both(post: Post, switch: Switch, **columns: Any) -> str:
    """The path of a message that the switch has as well."""
    leg = new_id()
    path = await post.message(switch_id=str(leg), **columns)
    [file] = post.server.media_root.rglob(f"msg_{path.rpartition('/')[2]}.wav")
    switch.keep(str(file), leg)
    return path


async def test_marking_a_message_reaches_the_phone_and_is_told_once(post: Post) -> None:
    server, switch = post.server, at_a_switch(post)
    path = await left_at_both(post, switch)
    for read, kind in ((True, "voicemail.read"), (False, "voicemail.unread")):
        for _ in range(2):
            answer = await server.request("PATCH", path, {"read": read})
            assert (answer.status, answer.json["read"]) == (200, read), answer.body
            assert (answer.json["read_at"] is not None) is read
        assert [it for _, it in switch.held] == [read]
        assert await told(post, kind) == ["tests"]
    assert len(switch.sent) == 2
    for body in ({}, {"read": "x"}, {"read": None}, {"read": True, "folder": "x"}):
        assert (await server.request("PATCH", path, body)).status == 422


async def test_deleting_a_message_removes_it_at_the_phone_and_leaves_a_receipt(post: Post) -> None:
    server, switch = post.server, at_a_switch(post)
    path = await left_at_both(post, switch)
    identifier = path.rpartition("/")[2]
    answer = await server.request("DELETE", path)
    assert answer.status == 200, answer.body
    receipt = answer.json
    assert (receipt["message_id"], receipt["sha256"]) == (identifier, SHA256)
    assert switch.held == []
    assert list(server.media_root.rglob("msg_*.wav")) == []
    for gone in (path, f"{path}/audio"):
        assert (await server.request("GET", gone)).status == 404
    listed = await server.request("GET", f"{post.tenant}/voicemail-receipts")
    assert listed.json["data"] == [receipt]
    assert (await server.request("DELETE", path)).status == 404
    assert await told(post, "voicemail.deleted") == ["tests"]


async def test_without_the_switch_nothing_is_marked_and_what_is_deleted_waits(post: Post) -> None:
    server, switch = post.server, at_a_switch(post)
    path = await left_at_both(post, switch)
    switch.connected = False
    marked = await server.request("PATCH", path, {"read": True})
    assert (marked.status, marked.json["code"]) == (503, "switch_unavailable")
    assert (await server.request("GET", path)).json["read"] is False
    assert (await server.request("DELETE", path)).status == 503
    assert (await server.request("GET", path)).json["state"] == "deleting"
    assert (await server.request("PATCH", path, {"read": True})).status == 409
    switch.connected = True
    assert (await server.request("DELETE", path)).status == 200
    assert switch.held == []
