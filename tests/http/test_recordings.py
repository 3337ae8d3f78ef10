"""Recordings through the API: only one's own, whole or in part, by key or by a link for a while."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any
from uuid import UUID

import attrs
import pytest
import pytest_twisted

from nizam.errors import LinkInvalid
from nizam.media.links import FileLinks
from nizam.model.identifiers import new_id
from tests.http.conftest import Server
from tests.media.sounds import wav

SOUND = wav(1.0, 8000, 2)
SHA256 = hashlib.sha256(SOUND).hexdigest()


@attrs.frozen
class Archive:
    """A tenant with recordings."""

    server: Server
    tenant: str
    other: str

    async def recording(self, **columns: Any) -> str:
        """The path of a recording whose file is there."""
        tenant_id = self.server.tenant_id(self.tenant)
        found = {"id": new_id(), "state": "available", "started_at": "2026-11-24T12:00:00Z"}
        found |= {"from_number": "1001", "to_number": "+4930123", "direction": "outbound"}
        found |= {"sha256": SHA256, "bytes": len(SOUND), "duration_ms": 1000, "call_id": new_id()}
        found |= columns
        path = f"{tenant_id}/recordings/2026/{found['id']}.wav"
        file = self.server.media_root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(SOUND)
        found |= {"path": path, "tenant_id": tenant_id, "core_id": "core", "sequence": 1}
        found["told_at"] = found["started_at"]
        names = ", ".join(found)
        values = ", ".join(f"%({it})s" for it in found)
        await self.server.pool.query(
            f"insert into recordings ({names}) values ({values}) returning 1",  # noqa: S608
            found,
        )
        return f"{self.tenant}/recordings/{found['id']}"

    def files(self) -> list[str]:
        """The names of the files that are there."""
        return [name for _, _, names in os.walk(self.server.media_root) for name in names]


@pytest_twisted.async_yield_fixture
async def archive(server: Server) -> Any:
    yield Archive(server, await server.make_tenant("acme"), await server.make_tenant("other"))


async def test_recordings_are_listed_by_what_they_are(archive: Archive) -> None:
    server, call_id = archive.server, new_id()
    await archive.recording(direction="inbound", started_at="2026-11-01T12:00:00Z")
    path = await archive.recording(call_id=call_id)
    await archive.recording(legal_hold=True, hold_reason="Case 1", duration_ms=5000)

    async def ids(query: str, tenant: str = archive.tenant) -> list[str]:
        answer = await server.request("GET", f"{tenant}/recordings?{query}")
        assert answer.status == 200, answer.body
        return [it["id"] for it in answer.json["data"]]

    assert len(await ids("")) == 3
    assert await ids(f"call_id={call_id}") == [path.rpartition("/")[2]]
    for query in ("direction=inbound", "legal_hold=true", "duration_ms[gte]=5000"):
        assert len(await ids(query)) == 1, query
    assert len(await ids("started_at[gte]=2026-11-02T00:00:00Z")) == 2
    assert await ids("", archive.other) == []
    shown = (await server.request("GET", path)).json
    assert (shown["from"], shown["to"], shown["size_bytes"]) == ("1001", "+4930123", len(SOUND))
    # Where the file lies is nobody's business.
    assert "path" not in shown
    assert "object_key" not in shown


@pytest.mark.parametrize(
    ("wanted", "status", "content", "content_range"),
    [
        (None, 200, SOUND, None),
        ("bytes=0-43", 206, SOUND[:44], f"bytes 0-43/{len(SOUND)}"),
        ("bytes=1000-", 206, SOUND[1000:], f"bytes 1000-{len(SOUND) - 1}/{len(SOUND)}"),
        ("bytes=-4", 206, SOUND[-4:], f"bytes {len(SOUND) - 4}-{len(SOUND) - 1}/{len(SOUND)}"),
        (f"bytes={len(SOUND)}-", 416, None, f"bytes */{len(SOUND)}"),
        ("bytes=0-1,4-5", 200, SOUND, None),
    ],
)
async def test_the_sound_is_given_whole_or_in_part_by_key_and_by_link(
    archive: Archive, wanted: str | None, status: int, content: bytes | None, content_range: str
) -> None:
    server, path = archive.server, await archive.recording()
    headers: dict[str, Any] = {} if wanted is None else {"Range": wanted}
    url = await link(archive, path)
    for address, key in ((f"{path}/audio", "platform"), (url, None)):
        answer = await server.request("GET", address, key=key, **headers)
        assert answer.status == status
        assert answer.headers.get("content-range") == content_range
        if content is not None:
            assert answer.body == content
            assert answer.headers["etag"] == f'"{SHA256}"'
            disposition = answer.headers["content-disposition"]
            assert re.match(
                r'attachment; filename="2026-11-24T120000Z-1001-_4930123-\w{6}\.wav"', disposition
            )


async def link(archive: Archive, path: str, **body: Any) -> str:
    """The link to a recording, from its path on."""
    answer = await archive.server.request("POST", f"{path}/link", body)
    assert answer.status == 200, answer.body
    base, slash, rest = answer.json["url"].partition("/api/")
    assert base == archive.server.api.settings.app_url
    return f"{slash}{rest}"


async def test_a_link_holds_for_one_recording_and_for_a_while(archive: Archive) -> None:
    server, path, another = archive.server, await archive.recording(), await archive.recording()
    url = await link(archive, path, disposition="inline")
    answer = await server.request("GET", url, key=None)
    assert answer.headers["content-disposition"].startswith("inline;")
    query = url.partition("?")[2]
    for wrong in (
        f"{another}/file?{query}",
        f"{path.replace(archive.tenant, archive.other)}/file?{query}",
        url.replace("inline", "attachment"),
        re.sub(r"expires=\d", "expires=9", url),
        f"{url}&expires=9999999999",
        f"{path}/file",
        f"{path}/file?expires=9999999999&disposition=inline&signature=",
        re.sub(r"signature=\w{4}", "signature=0000", url),
        re.sub(r"signature=.*", "signature=%C3%BC", url),
    ):
        refused = await server.request("GET", wrong, key=None)
        assert (refused.status, refused.json["code"]) == (403, "link_invalid"), wrong
    too_long = await server.request("POST", f"{path}/link", {"expires_in_seconds": 10**6})
    assert too_long.status == 422


def test_a_link_holds_until_it_expires_and_with_a_former_key() -> None:
    tenant_id, recording_id, old, new = new_id(), new_id(), b"o" * 32, b"n" * 32
    query = [
        (name, value)
        for name, _, value in (
            it.partition("=")
            for it in FileLinks([old]).query(tenant_id, recording_id, 1000, inline=True).split("&")
        )
    ]
    for keys in ([old], [new, old]):
        assert FileLinks(keys).check(tenant_id, recording_id, query, 999.0)
        with pytest.raises(LinkInvalid, match="time"):
            FileLinks(keys).check(tenant_id, recording_id, query, 1000.0)
    with pytest.raises(LinkInvalid, match="signature"):
        FileLinks([new]).check(tenant_id, recording_id, query, 999.0)


async def test_deleting_removes_the_file_and_leaves_a_receipt(archive: Archive) -> None:
    server, path = archive.server, await archive.recording()
    url = await link(archive, path)
    answer = await server.request("DELETE", path)
    assert answer.status == 200, answer.body
    receipt = answer.json
    identifier = path.rpartition("/")[2]
    assert (receipt["recording_id"], receipt["sha256"]) == (identifier, SHA256)
    assert archive.files() == []
    for gone in (path, f"{path}/audio", url):
        assert (await server.request("GET", gone)).status == 404
    listed = await server.request("GET", f"{archive.tenant}/recording-receipts")
    assert listed.json["data"] == [receipt]
    assert (await server.request("DELETE", path)).status == 404
    events = await server.request("GET", f"{archive.tenant}/call-events?type=recording.deleted")
    assert [it["data"]["recording_id"] for it in events.json["data"]] == [identifier]
    assert await actions(archive, identifier) == ["linked", "deleted"]


async def actions(archive: Archive, identifier: str) -> list[str]:
    answer = await archive.server.request(
        "GET", f"{archive.tenant}/audit-logs?resource_type=recording&resource_id={identifier}"
    )
    return [it["action"] for it in reversed(answer.json["data"])]


async def test_whoever_is_given_any_of_the_sound_stands_in_the_audit_log(archive: Archive) -> None:
    server, path = archive.server, await archive.recording()
    for method, wanted in (("HEAD", ""), ("GET", "bytes=1-"), ("GET", "bytes=99999-"), ("GET", "")):
        await server.request(method, f"{path}/audio", Range=wanted)
    identifier = path.rpartition("/")[2]
    assert await actions(archive, identifier) == ["downloaded"] * 2


async def test_what_is_under_legal_hold_is_not_deleted(archive: Archive) -> None:
    server, path = archive.server, await archive.recording()
    held = await server.request("POST", f"{path}/hold", {"reason": "Case 4711"})
    assert (held.json["legal_hold"], held.json["hold_reason"]) == (True, "Case 4711")
    again = await server.request("POST", f"{path}/hold", {"reason": "Another"})
    assert again.json["hold_reason"] == "Case 4711"
    refused = await server.request("DELETE", path)
    assert (refused.status, refused.json["code"]) == (409, "legal_hold")
    assert "Case 4711" in refused.json["detail"]
    assert len(archive.files()) == 1
    assert not (await server.request("POST", f"{path}/release")).json["legal_hold"]
    assert (await server.request("DELETE", path)).status == 200
    identifier = path.rpartition("/")[2]
    assert await actions(archive, identifier) == ["held", "released", "deleted"]


async def test_a_file_that_cannot_be_removed_now_stays_marked(archive: Archive) -> None:
    server, path = archive.server, await archive.recording()
    away = server.media_root.rename(server.media_root.with_name("away"))
    answer = await server.request("DELETE", path)
    assert (answer.status, answer.json["code"]) == (409, "media_unavailable")
    assert (await server.request("GET", path)).json["state"] == "deleting"
    away.rename(server.media_root)
    assert (await server.request("DELETE", path)).status == 200


@pytest.mark.parametrize("state", ["recording", "stopped", "checking", "missing"])
async def test_there_is_nothing_to_download_before_the_file_was_found(
    archive: Archive, state: str
) -> None:
    path = await archive.recording(state=state, sha256=None, bytes=None)
    for method, address in (("GET", f"{path}/audio"), ("POST", f"{path}/link")):
        answer = await archive.server.request(method, address)
        assert (answer.status, answer.json["code"]) == (409, "media_unavailable")
    deleted = await archive.server.request("DELETE", path)
    assert deleted.status == (200 if state == "missing" else 409)


async def test_pruning_says_first_what_it_would_delete(archive: Archive) -> None:
    server, prune = archive.server, f"{archive.tenant}/recordings/prune"
    await archive.recording(started_at="2020-01-01T00:00:00Z")
    await archive.recording(started_at="2020-01-02T00:00:00Z", legal_hold=True)
    await archive.recording(started_at="2099-01-02T00:00:00Z")
    would = await server.request("POST", prune, {"dry_run": True})
    found = {"recordings": 1, "size_bytes": len(SOUND), "held": 1, "dry_run": True}
    assert would.json == found | {"oldest_at": "2020-01-01T00:00:00.000000Z"}
    assert await states(archive) == ["available"] * 3
    done = await server.request("POST", prune)
    assert done.json == would.json | {"dry_run": False}
    assert await states(archive) == ["available", "available", "deleting"]
    await server.request("PATCH", archive.tenant, {"recording_retention_days": 0})
    refused = await server.request("POST", prune)
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert (await server.request("POST", prune, {"older_than_days": 0})).json["held"] == 1


async def states(archive: Archive) -> list[str]:
    listed = await archive.server.request("GET", f"{archive.tenant}/recordings")
    return [it["state"] for it in listed.json["data"]]


async def test_a_cdr_names_the_recordings_of_its_call(archive: Archive) -> None:
    server, call_id = archive.server, new_id()
    path = await archive.recording(call_id=call_id)
    await server.pool.query(
        "insert into cdrs (call_id, started_at, tenant_id, direction, duration_ms, billable_ms,"
        " result, hangup_by, source) values (%s, now(), %s, 'internal', 1, 1, 'answered',"
        " 'caller', 'events') returning 1",
        (call_id, server.tenant_id(archive.tenant)),
    )
    for address in (f"{archive.tenant}/cdrs", f"{archive.tenant}/cdrs/{call_id}"):
        found = (await server.request("GET", address)).json
        [cdr] = found.get("data", [found])
        assert cdr["recording_ids"] == [path.rpartition("/")[2]]
        assert UUID(cdr["recording_ids"][0])
