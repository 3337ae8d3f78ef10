"""The commands for recorded calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.cli.conftest import Run
from tests.http.conftest import Server
from tests.http.test_recordings import SOUND, Archive


@pytest_twisted.async_yield_fixture
async def archive(server: Server) -> AsyncIterator[Archive]:
    yield Archive(server, await server.make_tenant("acme"), await server.make_tenant("other"))


async def test_a_recording_is_shown_downloaded_linked_held_and_deleted(
    archive: Archive, run: Run, tmp_path: Path
) -> None:
    identifier = (await archive.recording()).rpartition("/")[2]
    acme, file = ("--tenant", "acme"), tmp_path / "call.wav"

    def use() -> None:
        shown = json.loads(run("recordings", "get", identifier, *acme, "--json").stdout)
        assert (shown["id"], shown["from"], shown["state"]) == (identifier, "1001", "available")
        run("recordings", "download", identifier, str(file), *acme)
        assert file.read_bytes() == SOUND
        assert run("recordings", "download", identifier, "-", *acme).stdout_bytes == SOUND
        address = run("recordings", "link", identifier, *acme, "--expires-in", "60").stdout.strip()
        assert httpx.get(f"{archive.server.base}{httpx.URL(address).raw_path.decode()}").content
        run("recordings", "hold", identifier, *acme, "--reason", "Case 1")
        refused = run("recordings", "delete", identifier, *acme, status=1)
        assert "legal hold" in refused.output
        run("recordings", "release", identifier, *acme)
        receipt = json.loads(run("recordings", "delete", identifier, *acme, "--json").stdout)
        assert receipt["recording_id"] == identifier
        assert identifier in run("recordings", "receipts", *acme).stdout

    await deferToThread(use)
    assert archive.files() == []
