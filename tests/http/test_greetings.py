"""Greetings: uploaded, chosen, and heard by who calls; only of one's own mailboxes."""

from __future__ import annotations

import struct
from typing import Any

import attrs
import pytest
import pytest_twisted

from nizam.model.voicemail_files import voicemail_directory
from tests.http.conftest import Server
from tests.media.sounds import wav

SOUND = wav(1.0)
WAV = {"Content_Type": "audio/wav"}


@attrs.frozen
class Box:
    """The mailbox of extension 1001."""

    server: Server
    tenant: str
    extension: str

    def path(self, number: object) -> str:
        """The greeting with this number."""
        return f"{self.extension}/voicemail-greetings/{number}"

    async def put(self, number: object, sound: bytes = SOUND) -> Any:
        """The answer to an upload."""
        return await self.server.request("PUT", self.path(number), raw=sound, **WAV)

    async def listed(self) -> list[tuple[int, bool]]:
        """The greetings, each with whether it is chosen."""
        answer = await self.server.request("GET", f"{self.extension}/voicemail-greetings")
        return [(it["number"], it["chosen"]) for it in answer.json["data"]]

    def names(self) -> list[str]:
        """The files of the mailbox."""
        return sorted(it.name for it in self.server.media_root.rglob("*") if it.is_file())


@pytest_twisted.async_yield_fixture
async def box(server: Server) -> Any:
    tenant = await server.make_tenant("acme")
    made = await server.make(f"{tenant}/extensions", {"number": "1001", "display_name": "Ada"})
    yield Box(server, tenant, f"{tenant}/extensions/{made['id']}")


async def test_a_greeting_lies_where_the_switch_looks_for_it(box: Box) -> None:
    assert await box.listed() == []
    for number in (2, 9, 2):
        answer = await box.put(number)
        assert (answer.status, answer.json["duration_ms"]) == (200, 1000), answer.body
    assert await box.listed() == [(2, False), (9, False)]
    assert box.names() == ["greeting_2.wav", "greeting_9.wav"]
    directory = voicemail_directory(
        box.server.tenant_id(box.tenant), box.server.tenant_id(box.extension)
    )
    stored = (box.server.media_root / directory / "greeting_2.wav").read_bytes()
    heard = await box.server.request("GET", f"{box.path(2)}/audio")
    assert (heard.status, heard.body) == (200, stored)
    # 16-bit linear, one channel, which every FreeSWITCH plays.
    assert struct.unpack("<HH", stored[20:24]) == (1, 1)


async def test_the_one_that_is_chosen_is_a_field_of_the_extension(box: Box) -> None:
    for number in (1, 2):
        await box.put(number)
    answer = await box.server.request("POST", f"{box.path(2)}/choose")
    assert (answer.status, answer.json["chosen"]) == (200, True)
    extension = (await box.server.request("GET", box.extension)).json
    assert extension["voicemail"]["greeting"] == 2
    assert await box.listed() == [(1, False), (2, True)]
    refused = await box.server.request("DELETE", box.path(2))
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    left = {"voicemail": {"greeting": None}}
    assert (await box.server.request("PATCH", box.extension, left)).status == 200
    assert (await box.server.request("DELETE", box.path(2))).status == 204
    assert (await box.server.request("DELETE", box.path(2))).status == 404
    assert box.names() == ["greeting_1.wav"]


@pytest.mark.parametrize(
    ("number", "sound", "status"),
    [
        (0, SOUND, 404),
        (10, SOUND, 404),
        ("01", SOUND, 404),
        ("x", SOUND, 404),
        ("..", SOUND, 404),
        (1, b"no sound at all", 422),
        (1, wav(301.0, 8000), 422),
    ],
)
async def test_what_is_no_greeting_is_refused_and_leaves_nothing(
    box: Box, number: object, sound: bytes, status: int
) -> None:
    assert (await box.put(number, sound)).status == status
    assert box.names() == []


async def test_a_greeting_that_is_not_there_cannot_be_chosen_or_heard(box: Box) -> None:
    for method, steps in (("POST", "/choose"), ("GET", "/audio"), ("DELETE", "")):
        assert (await box.server.request(method, f"{box.path(3)}{steps}")).status == 404
    extension = (await box.server.request("GET", box.extension)).json
    assert extension["voicemail"]["greeting"] is None


async def test_greetings_of_another_tenant_are_not_there(box: Box) -> None:
    await box.put(1)
    other = await box.server.make_tenant("other")
    theirs = box.path(1).replace(box.tenant, other)
    for method, steps in (("POST", "/choose"), ("GET", "/audio"), ("DELETE", "")):
        assert (await box.server.request(method, f"{theirs}{steps}")).status == 404
    assert box.names() == ["greeting_1.wav"]


@pytest.mark.parametrize("greeting", [0, 10, "1", True])
async def test_an_extension_takes_no_number_that_no_greeting_has(box: Box, greeting: Any) -> None:
    body = {"voicemail": {"greeting": greeting}}
    assert (await box.server.request("PATCH", box.extension, body)).status == 422
