"""Sounds of prompts and music on hold: uploaded, kept apart, served in ranges, and taken away."""

from __future__ import annotations

import socket
import tracemalloc
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from nizam.errors import NizamError, StorageFull
from nizam.http.files import disposition
from nizam.http.sounds import body_limit
from nizam.media import library as library_module
from nizam.media.converter import Limits
from nizam.media.folder import Draft
from nizam.media.sweep import sweep
from tests.http.conftest import Answer, Server
from tests.media.sounds import mp3, wav

WAV: dict[str, Any] = {"Content_Type": "audio/wav"}
BOUNDARY = "frontier"
FORM: dict[str, Any] = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: tuple[str, bytes], end: str = "--") -> bytes:
    """A form; each part is its Content-Disposition without `form-data;`, and its content."""
    written = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n"
        for head, body in parts
    )
    return written + f"--{BOUNDARY}{end}\r\n".encode()


def file_part(content: bytes, filename: str = "a.wav") -> tuple[str, bytes]:
    return f'name="file"; filename="{filename}"', content


async def make_prompt(server: Server, tenant: str, name: str = "Welcome") -> str:
    """A prompt; its path."""
    made = await server.make(f"{tenant}/prompts", {"name": name})
    return f"{tenant}/prompts/{made['id']}"


async def make_music(server: Server, tenant: str) -> str:
    made = await server.make(f"{tenant}/music-on-hold", {"name": "Piano"})
    return f"{tenant}/music-on-hold/{made['id']}"


async def put(server: Server, path: str, content: bytes | None = None, **more: Any) -> Answer:
    content = wav() if content is None else content
    return await server.request("PUT", f"{path}/audio", raw=content, **{**WAV, **more})


async def add(server: Server, path: str, content: bytes | None = None, **more: Any) -> Answer:
    content = wav() if content is None else content
    return await server.request("POST", f"{path}/files", raw=content, **{**WAV, **more})


def stored(server: Server) -> list[Path]:
    return sorted(it for it in server.media_root.rglob("*") if it.is_file())


# -- uploading -----------------------------------------------------------------------------------


TAKEN = {
    "WAV": (wav(), {"Content_Type": "audio/wav"}, "wav"),
    "with a parameter": (wav(), {"Content_Type": "audio/x-wav; charset=binary"}, "wav"),
    "MP3": (mp3(), {"Content_Type": "audio/mpeg"}, "mp3"),
    "in capitals": (mp3(), {"Content_Type": "AUDIO/MPEG"}, "mp3"),
    "a form": (form(file_part(wav())), FORM, "wav"),
    "a name that leads elsewhere": (form(file_part(mp3(), "../../etc/passwd")), FORM, "mp3"),
    "WAV that says MP3": (wav(), {"Content_Type": "audio/mpeg"}, "wav"),
    "large enough for a file": (wav(20.0, 16000), {"Content_Type": "audio/wav"}, "wav"),
}


async def test_a_sound_is_stored_as_what_freeswitch_plays(server: Server) -> None:
    tenant = await server.make_tenant()
    for words, (content, headers, source) in TAKEN.items():
        path = await make_prompt(server, tenant, words)
        answer = await put(server, path, content, **headers)
        assert answer.status == 200, (words, answer.body)
        audio = answer.json["audio"]
        assert (audio["format"], audio["source_format"], audio["channels"]) == ("wav", source, 1)
        assert answer.headers["etag"] == '"2"'
        tenant_id, prompt_id = tenant.rpartition("/")[2], path.rpartition("/")[2]
        file = server.media_root / tenant_id / "prompts" / prompt_id / f"{audio['id']}.wav"
        downloaded = await server.request("GET", f"{path}/audio")
        assert downloaded.body == file.read_bytes()
        assert len(downloaded.body) == audio["bytes"]
        assert (await server.request("GET", path)).json["audio"] == audio
    assert len(stored(server)) == len(TAKEN)


REFUSED: tuple[tuple[bytes, dict[str, str], int, set[tuple[str, str]]], ...] = (
    (b"", WAV, 422, {("", "not_audio")}),
    (b"GIF89a" + bytes(500), WAV, 422, {("", "not_audio")}),
    (b"#!/bin/sh\nreboot\n", {"Content_Type": "audio/mpeg"}, 422, {("", "not_audio")}),
    (wav()[:2000], WAV, 422, {("", "truncated")}),
    (wav(), {"Content_Type": "text/plain"}, 415, set()),
    (wav(), {"Content_Type": "application/json"}, 415, set()),
    (wav(), {"Content_Type": "audio/ogg"}, 415, set()),
    (wav(), {"Content_Type": "audio"}, 415, set()),
    (form(file_part(b"")), FORM, 422, {("", "not_audio")}),
    (form(), FORM, 422, {("/file", "missing")}),
    (form(('name="name"', b"x")), FORM, 422, {("/file", "missing")}),
    (
        form(file_part(wav()), file_part(wav()), ('name="colour"', b"red")),
        FORM,
        422,
        {("/file", "too_many"), ("/colour", "unknown_field")},
    ),
    (form(file_part(wav()), end=""), FORM, 400, set()),
    (form(file_part(wav()))[:-200], FORM, 400, set()),
    (wav(), FORM, 400, set()),
    (b"", FORM, 400, set()),
    (form(file_part(wav())), {"Content_Type": "multipart/form-data"}, 400, set()),
    (form(*[file_part(wav(0.1))] * 9), FORM, 400, set()),
    (form(('name="file"' + "; x=y" * 2000, b"")), FORM, 400, set()),
    (form(file_part(wav()), ('name="name"', b"x" * 5000)), FORM, 400, set()),
    (form(file_part(wav()), ('name="name"', b"\xff")), FORM, 400, set()),
)


async def test_what_is_no_sound_is_refused_and_leaves_nothing(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    for content, headers, status, codes in REFUSED:
        answer = await put(server, path, content, **headers)
        assert answer.status == status, (content[:200], headers, answer.body)
        assert {(it["path"], it["code"]) for it in answer.json.get("errors", [])} == codes
        assert ("accept" in answer.headers) == (status == 415)
    assert stored(server) == []
    assert (await server.request("GET", path)).json["version"] == 1


async def test_a_body_over_the_limit_is_answered_before_it_is_read(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    request = (
        f"PUT {path}/audio HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Length: {body_limit('prompts') + 1}\r\n\r\n"
    )
    answer = await deferToThread(converse, server, [request.encode()])
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_sound_over_the_limit_in_a_form_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(library_module.LIMITS, "prompts", Limits(1000, 60))
    path = await make_prompt(server, await server.make_tenant())
    answer = await put(server, path, form(file_part(wav())), **FORM)
    assert (answer.status, answer.json["code"]) == (413, "payload_too_large")
    assert stored(server) == []


async def test_the_same_sound_again_changes_nothing(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    first, again = await put(server, path), await put(server, path)
    assert first.json == again.json
    assert len(stored(server)) == 1


async def test_uploads_to_one_object_at_once_leave_one_of_them(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    sounds = [wav(0.2, pitch=200.0 + 50 * number) for number in range(6)]
    answers = await gatherResults([Deferred.fromCoroutine(put(server, path, it)) for it in sounds])
    assert {it.status for it in answers} == {200}
    shown = (await server.request("GET", path)).json
    assert shown["version"] == 7
    downloaded = await server.request("GET", f"{path}/audio")
    assert downloaded.headers["etag"] == f'"{shown["audio"]["sha256"]}"'
    assert await swept(server) == 5
    assert [it.stem for it in stored(server)] == [shown["audio"]["id"]]


async def test_if_match_holds_for_the_object(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    assert (await put(server, path, If_Match='"1"')).status == 200
    refused = await put(server, path, wav(pitch=880), If_Match='"1"')
    assert (refused.status, refused.json["current_version"]) == (412, 2)
    assert len(stored(server)) == 1
    removed = await server.request("DELETE", f"{path}/audio", If_Match='"1"')
    assert removed.status == 412
    assert (await server.request("DELETE", f"{path}/audio", If_Match='"2"')).status == 204


async def test_whoever_changed_the_object_meanwhile_wins(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await make_prompt(server, await server.make_tenant())
    keep = server.api.media.store

    async def slow(*arguments: Any) -> Any:
        audio = await keep(*arguments)
        await server.request("PATCH", path, {"language": "de"})
        return audio

    monkeypatch.setattr(server.api.media, "store", slow)
    refused = await put(server, path, If_Match='"1"')
    assert refused.status == 412
    assert stored(server) == []


async def test_an_upload_to_what_is_deleted_meanwhile_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await make_prompt(server, await server.make_tenant())
    keep = server.api.media.store

    async def slow(*arguments: Any) -> Any:
        audio = await keep(*arguments)
        assert (await server.request("DELETE", path)).status == 204
        return audio

    monkeypatch.setattr(server.api.media, "store", slow)
    assert (await put(server, path)).status == 404
    assert stored(server) == []


async def test_every_upload_is_in_the_audit_log_and_an_event(server: Server) -> None:
    tenant = await server.make_tenant()
    path = await make_prompt(server, tenant)
    audio = (await put(server, path)).json["audio"]
    await server.request("DELETE", f"{path}/audio")
    rows = (await server.request("GET", f"{tenant}/audit-logs?resource_type=prompt")).json["data"]
    assert [it["action"] for it in rows] == ["updated", "updated", "created"]
    assert rows[1]["after"]["audio"]["sha256"] == audio["sha256"]
    assert rows[0]["after"]["audio"] is None
    events = (await server.request("GET", f"{tenant}/call-events?type=prompt.updated")).json
    assert len(events["data"]) == 2


async def test_a_client_cannot_write_what_is_known_of_a_sound(server: Server) -> None:
    tenant = await server.make_tenant()
    for kind, field in (("prompts", "audio"), ("music-on-hold", "files")):
        made = await server.request("POST", f"{tenant}/{kind}", {"name": "x", field: [{"id": "1"}]})
        assert (made.status, made.json["errors"][0]["code"]) == (422, "read_only")


# -- when things go wrong --------------------------------------------------------------------------


async def test_without_a_media_root_it_says_so(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    music = await make_music(server, path.rpartition("/prompts/")[0])
    await put(server, path)
    server.media_root.rename(server.media_root.with_name("elsewhere"))
    for answer in (
        await put(server, path, wav(pitch=880)),
        await add(server, music),
        await server.request("GET", f"{path}/audio"),
    ):
        assert (answer.status, answer.json["code"]) == (409, "media_unavailable")
    assert (await server.request("DELETE", f"{path}/audio")).status == 204


async def test_a_full_disk_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(draft: Draft, name: str) -> None:
        draft.drop()
        raise StorageFull

    monkeypatch.setattr(Draft, "keep", full)
    path = await make_prompt(server, await server.make_tenant())
    answer = await put(server, path)
    assert (answer.status, answer.json["code"]) == (507, "storage_full")
    assert (await server.request("GET", path)).json["audio"] is None


async def test_a_file_that_is_gone_or_cut_is_not_served(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    await put(server, path)
    [file] = stored(server)
    file.write_bytes(file.read_bytes()[:100])
    for _ in range(2):
        answer = await server.request("GET", f"{path}/audio")
        assert (answer.status, answer.json["code"]) == (409, "media_unavailable")
        file.unlink(missing_ok=True)


async def test_a_link_in_the_place_of_the_file_is_not_followed(
    server: Server, tmp_path: Path
) -> None:
    path = await make_prompt(server, await server.make_tenant())
    audio = (await put(server, path)).json["audio"]
    [file] = stored(server)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(audio["bytes"]))
    file.unlink()
    file.symlink_to(secret)
    assert (await server.request("GET", f"{path}/audio")).status == 409
    assert (await server.request("DELETE", f"{path}/audio")).status == 204
    assert secret.exists()


def converse(server: Server, pieces: list[bytes], *, until: Event | None = None) -> bytes:
    """Send these over a connection of one's own; what is answered, or nothing if the connection
    is closed once `until` is set."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        if until is not None:
            until.wait(10)
            return b""
        return connection.recv(65536)


def head(server: Server, path: str, length: int) -> bytes:
    return (
        f"PUT {path}/audio HTTP/1.1\r\nHost: a\r\nContent-Type: audio/wav\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_client_that_goes_away_midway_changes_nothing(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    sound = wav(20.0, 16000)
    pieces = [head(server, path, len(sound)), sound[:200_000]]
    at_once = Event()
    at_once.set()
    await deferToThread(converse, server, pieces, until=at_once)
    assert (await server.request("GET", path)).json["version"] == 1
    assert stored(server) == []


async def test_a_client_that_does_not_wait_for_the_answer_has_uploaded_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await server.make_tenant()
    receive = server.api.media.receive
    for seconds in (0.5, 20.0):  # kept in memory, and in a file
        path, sound = await make_prompt(server, tenant, str(seconds)), wav(seconds, 16000)
        begun = Event()

        async def told(*arguments: Any, begun: Event = begun) -> Any:
            begun.set()
            await deferLater(server.pool.reactor, 0.1)  # the server hears that the client is gone
            return await receive(*arguments)

        monkeypatch.setattr(server.api.media, "receive", told)
        pieces = [head(server, path, len(sound)), sound]
        await deferToThread(converse, server, pieces, until=begun)
        while (shown := (await server.request("GET", path)).json)["audio"] is None:
            await deferLater(server.pool.reactor, 0.02)
        assert shown["audio"]["seconds"] == pytest.approx(seconds, abs=0.01)
    assert len(stored(server)) == 2


@pytest.mark.time_limit(60)
async def test_memory_does_not_grow_with_an_upload_or_a_download(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    quiet = wav(0.1, 16000)
    length = 24 * 1024 * 1024
    sound = quiet[:40] + length.to_bytes(4, "little")
    piece = bytes(256 * 1024)

    def upload() -> bytes:
        pieces = [head(server, path, len(sound) + length), sound]
        return converse(server, pieces + [piece] * (length // len(piece)))

    tracemalloc.start()
    try:
        answer = await deferToThread(upload)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        _, uploaded = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert uploaded < 6 * 1024 * 1024
        received = await deferToThread(read_all, server, f"{path}/audio")
        _, downloaded = tracemalloc.get_traced_memory()
        assert received > length
        assert downloaded < 6 * 1024 * 1024
    finally:
        tracemalloc.stop()


def read_all(server: Server, path: str) -> int:
    """How many bytes are answered."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            f"Authorization: Bearer {server.key}\r\n\r\n".encode()
        )
        size = 0
        while piece := connection.recv(65536):
            size += len(piece)
        return size


# -- downloading -----------------------------------------------------------------------------------


async def test_a_download_is_served_in_ranges_and_once(server: Server) -> None:
    path = f"{await make_prompt(server, await server.make_tenant())}"
    audio = (await put(server, path)).json["audio"]
    [file] = stored(server)
    whole, size, tag = file.read_bytes(), audio["bytes"], f'"{audio["sha256"]}"'
    asked: tuple[tuple[dict[str, Any], int, bytes, str | None], ...] = (
        ({}, 200, whole, None),
        ({"Range": "bytes=0-3"}, 206, whole[:4], f"bytes 0-3/{size}"),
        ({"Range": "bytes=-10"}, 206, whole[-10:], f"bytes {size - 10}-{size - 1}/{size}"),
        ({"Range": "bytes=16000-"}, 206, whole[16000:], f"bytes 16000-{size - 1}/{size}"),
        ({"Range": "bytes=0-3", "If_Range": tag}, 206, whole[:4], f"bytes 0-3/{size}"),
        ({"Range": "bytes=0-3", "If_Range": '"other"'}, 200, whole, None),
        ({"Range": "bytes=0-1,4-5"}, 200, whole, None),
        ({"If_None_Match": tag}, 304, b"", None),
        ({"If_None_Match": f"W/{tag}", "Range": "bytes=0-3"}, 304, b"", None),
        ({"If_None_Match": '"other"'}, 200, whole, None),
    )
    for headers, status, body, content_range in asked:
        answer = await server.request("GET", f"{path}/audio", **headers)
        assert (answer.status, answer.body) == (status, body), headers
        assert answer.headers.get("content-range") == content_range
        assert answer.headers["etag"] == tag
    beyond = await server.request("GET", f"{path}/audio", Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    head = await server.request("HEAD", f"{path}/audio", Range="bytes=0-3")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")
    assert head.headers["content-type"] == "audio/wav"
    assert head.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("filename", "written"),
    [
        ("Hello.wav", "attachment; filename=\"Hello.wav\"; filename*=UTF-8''Hello.wav"),
        (
            'a"b\\../c;é\r\nX: 1',
            'attachment; filename="a_b_.._c____X_ 1"; '
            "filename*=UTF-8''a%22b%5C..%2Fc%3B%C3%A9%0D%0AX%3A%201",
        ),
    ],
)
def test_a_name_in_a_header_is_a_name_and_nothing_else(filename: str, written: str) -> None:
    assert disposition(filename) == written


async def test_a_prompt_without_a_sound_has_none(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    for method in ("GET", "DELETE"):
        answer = await server.request(method, f"{path}/audio")
        assert (answer.status, answer.json["code"]) == (404, "not_found")


# -- music on hold ---------------------------------------------------------------------------------


async def test_music_is_a_list_of_files_in_their_order(server: Server) -> None:
    path = await make_music(server, await server.make_tenant())
    first = await add(server, f"{path}", wav(0.2))
    assert first.status == 201, first.body
    assert first.headers["location"] == f"{path}/files/{first.json['id']}"
    named = await server.request("POST", f"{path}/files?name=Two", raw=wav(0.3), **WAV)
    third = await add(server, path, form(file_part(wav(0.4), "..\\..\\C:\\Three.WAV")), **FORM)
    assert [it.json["name"] for it in (first, named, third)] == ["Music", "Two", "Three"]
    two = named.json["id"]
    moved = await server.request("PATCH", f"{path}/files/{two}", {"position": 1, "name": "First"})
    assert [it["name"] for it in moved.json["files"]] == ["First", "Music", "Three"]
    downloaded = await server.request("GET", f"{path}/files/{two}")
    assert 'filename="First.wav"' in downloaded.headers["content-disposition"]
    assert (await server.request("DELETE", f"{path}/files/{two}")).status == 204
    shown = (await server.request("GET", path)).json
    assert [it["name"] for it in shown["files"]] == ["Music", "Three"]
    assert sorted(it.stem for it in stored(server)) == sorted(it["id"] for it in shown["files"])
    for method, body in (("GET", None), ("PATCH", {"position": 2}), ("DELETE", None)):
        gone = await server.request(method, f"{path}/files/{two}", body)
        assert gone.status == 404


async def test_a_wrong_change_of_a_file_is_named(server: Server) -> None:
    music = await make_music(server, await server.make_tenant())
    made = (await add(server, music, wav(0.1))).json["id"]
    for body, path in (
        ({"position": 0}, "/position"),
        ({"name": "a\nb"}, "/name"),
        ({"order": 1}, "/order"),
    ):
        answer = await server.request("PATCH", f"{music}/files/{made}", body)
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path)


async def test_a_wrong_name_of_a_file_is_named_and_nothing_is_kept(server: Server) -> None:
    path = await make_music(server, await server.make_tenant())
    for query, content, headers in (
        (f"?name={'x' * 121}", wav(0.1), WAV),
        ("", form(file_part(wav(0.1)), ('name="name"', b"a\x01b")), FORM),
    ):
        answer = await server.request("POST", f"{path}/files{query}", raw=content, **headers)
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, "/name")
    assert stored(server) == []


async def test_a_repeated_upload_adds_one_file(server: Server) -> None:
    path = await make_music(server, await server.make_tenant())
    first = await add(server, path, wav(0.2), Idempotency_Key="k1")
    again = await add(server, path, wav(0.2), Idempotency_Key="k1")
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["idempotent-replayed"] == "true"
    other = await add(server, path, wav(0.3), Idempotency_Key="k1")
    assert (other.status, other.json["code"]) == (422, "idempotency_mismatch")
    assert len(stored(server)) == 1


async def test_music_has_so_many_files_and_no_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nizam.http.music_on_hold.MAX_FILES", 2)
    path = await make_music(server, await server.make_tenant())
    uploads = [
        Deferred.fromCoroutine(add(server, path, wav(0.1, pitch=300.0 + number)))
        for number in range(4)
    ]
    statuses = sorted(it.status for it in await gatherResults(uploads))
    assert statuses == [201, 201, 409, 409]
    assert len(stored(server)) == 2


# -- taking away -----------------------------------------------------------------------------------


async def test_what_is_deleted_takes_its_files_with_it(server: Server) -> None:
    tenant = await server.make_tenant()
    prompt, music = await make_prompt(server, tenant), await make_music(server, tenant)
    await put(server, prompt)
    await add(server, music, wav(0.1))
    await add(server, music, wav(0.2))
    assert len(stored(server)) == 3
    assert (await server.request("DELETE", f"{prompt}/audio")).status == 204
    assert len(stored(server)) == 2
    await put(server, prompt)
    for path in (prompt, music):
        assert (await server.request("DELETE", path)).status == 204
    assert list(server.media_root.iterdir()) == []


async def test_a_prompt_that_is_used_keeps_its_file(server: Server) -> None:
    tenant = await server.make_tenant()
    path = await make_prompt(server, tenant)
    await put(server, path)
    menu = {"number": "5000", "name": "Menu"}
    greeting = {"greeting_long": {"prompt_id": path.rpartition("/")[2]}}
    await server.make(f"{tenant}/ivrs", menu | greeting)
    refused = await server.request("DELETE", path)
    assert (refused.status, refused.json["code"]) == (409, "in_use")
    assert refused.json["referrers"][0]["path"] == "/greeting_long/prompt_id"
    assert len(stored(server)) == 1


async def swept(server: Server, seconds: float = 3700) -> int:
    """What a sweep removes so many seconds from now."""
    now = server.pool.reactor.seconds() + seconds
    return await sweep(server.api.media, server.pool, now)


async def test_a_replaced_sound_stays_for_an_hour_for_calls_under_way(server: Server) -> None:
    path = await make_prompt(server, await server.make_tenant())
    first = (await put(server, path)).json["audio"]["id"]
    second = (await put(server, path, wav(pitch=880))).json["audio"]["id"]
    assert {it.stem for it in stored(server)} == {first, second}
    assert await swept(server, 3500) == 0
    assert await swept(server) == 1
    assert [it.stem for it in stored(server)] == [second]


async def test_a_sweep_removes_what_nobody_has_and_nothing_else(server: Server) -> None:
    tenant = await server.make_tenant()
    prompt, music = await make_prompt(server, tenant), await make_music(server, tenant)
    await put(server, prompt)
    await add(server, music, wav(0.1))
    kept = stored(server)
    tenant_id, gone = tenant.rpartition("/")[2], UUID(int=7)
    orphans = (
        f"{tenant_id}/prompts/{prompt.rpartition('/')[2]}/{gone}.wav",
        f"{tenant_id}/prompts/{gone}/{gone}.wav",
        f"{gone}/music-on-hold/{gone}/{gone}.wav",
        f"{gone}/prompts/{gone}/.{'a' * 24}.part",
    )
    others = (
        f"{tenant_id}/recordings/{gone}/{gone}.wav",
        f"{tenant_id}/prompts/{gone}/notes.txt",
        f"backup/prompts/{gone}/{gone}.wav",
        f"{tenant_id}/prompts/{gone}/{gone}.wav.bak",
        "lost+found/x/y/z.wav",
    )
    for path in (*orphans, *others):
        file = server.media_root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    assert await swept(server, 0) == 0
    assert await swept(server) == len(orphans)
    left = {str(it.relative_to(server.media_root)) for it in stored(server)}
    assert left == {*others, *(str(it.relative_to(server.media_root)) for it in kept)}


async def test_a_sweep_without_a_root_says_so(server: Server) -> None:
    server.media_root.rename(server.media_root.with_name("elsewhere"))
    with pytest.raises(NizamError, match="media root"):
        await swept(server)


# -- whose it is -----------------------------------------------------------------------------------


async def test_sounds_of_another_tenant_do_not_exist(server: Server) -> None:
    mine, other = await server.make_tenant("mine"), await server.make_tenant("other")
    prompt, music = await make_prompt(server, other), await make_music(server, other)
    await put(server, prompt)
    file_id = (await add(server, music, wav(0.1))).json["id"]
    before = {it: it.read_bytes() for it in stored(server)}
    key = await server.make_key("*", tenant=mine)
    below = (
        f"prompts/{prompt.rpartition('/')[2]}/audio",
        f"music-on-hold/{music.rpartition('/')[2]}/files",
        f"music-on-hold/{music.rpartition('/')[2]}/files/{file_id}",
    )
    for tenant in (mine, other):
        for path in below:
            methods = ("POST",) if path.endswith("files") else ("GET", "DELETE")
            for method in (*methods, *(("PUT",) if path.endswith("audio") else ())):
                raw = wav() if method in ("PUT", "POST") else None
                answer = await server.request(
                    method, f"{tenant}/{path}", key=key, raw=raw, **(WAV if raw else {})
                )
                assert (answer.status, answer.json["code"]) == (404, "not_found"), (method, path)
    assert {it: it.read_bytes() for it in stored(server)} == before


async def test_reading_and_writing_sounds_are_permissions_of_their_own(server: Server) -> None:
    tenant = await server.make_tenant()
    path = await make_prompt(server, tenant)
    reader = await server.make_key("prompts:read", tenant=tenant)
    writer = await server.make_key("prompts:write", tenant=tenant)
    assert (await put(server, path, key=reader)).json["scope"] == "prompts:write"
    assert (await put(server, path, key=writer)).status == 200
    assert (await server.request("GET", f"{path}/audio", key=reader)).status == 200
    assert (await server.request("GET", f"{path}/audio", key=writer)).status == 403
    assert (await server.request("DELETE", f"{path}/audio", key=reader)).status == 403


async def test_openapi_says_what_is_taken_and_given(server: Server) -> None:
    document = (await server.request("GET", "/api/v1/openapi.json", key=None)).json
    audio = document["paths"]["/api/v1/tenants/{tenant_id}/prompts/{id}/audio"]
    assert audio["put"]["requestBody"]["content"].keys() == {
        "audio/wav",
        "audio/mpeg",
        "multipart/form-data",
    }
    assert {"404", "409", "412", "413", "415", "422", "507"} <= audio["put"]["responses"].keys()
    assert audio["get"]["responses"]["206"]["content"].keys() == {"audio/wav"}
    assert "content" not in audio["get"]["responses"]["304"]
    assert "416" in audio["get"]["responses"]
