"""Uploads: what is in them decides, and what is stored FreeSWITCH can play."""

from __future__ import annotations

import errno
import io
import os
import struct
import tempfile
import wave
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import pytest
from twisted.internet.defer import Deferred, gatherResults

from nizam.errors import (
    MediaUnavailable,
    NizamError,
    StorageFull,
    TimeoutExceeded,
    ValidationFailed,
)
from nizam.media import converter
from nizam.media import library as library_module
from nizam.media.converter import Limits
from nizam.media.library import MediaLibrary
from nizam.model.audio import AudioFile, media_path
from tests.media.sounds import mp3, mp3_announcing, wav

TENANT, PROMPT = uuid4(), uuid4()


def upload(content: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content)
    file.flush()
    return file


async def store(library: MediaLibrary, content: bytes) -> AudioFile:
    with upload(content) as file:
        return await library.store(TENANT, "prompts", PROMPT, file)


def left_over(media_root: Path) -> list[Path]:
    return [it for it in media_root.rglob("*") if it.is_file()]


@pytest.mark.parametrize(
    ("rate", "channels", "stored_rate"),
    [(8000, 1, 8000), (8000, 2, 8000), (16000, 1, 16000), (44100, 2, 16000), (11025, 1, 16000)],
)
async def test_a_wav_becomes_what_every_switch_plays(
    library: MediaLibrary, media_root: Path, rate: int, channels: int, stored_rate: int
) -> None:
    audio = await store(library, wav(0.5, rate, channels))
    stored = media_root / media_path(TENANT, "prompts", PROMPT, audio.id)
    with wave.open(str(stored)) as reader:
        assert reader.getnchannels() == 1
        assert reader.getsampwidth() == 2
        assert reader.getframerate() == stored_rate == audio.sample_rate
        assert reader.getnframes() / stored_rate == pytest.approx(0.5, abs=0.01)
    assert audio.seconds == pytest.approx(0.5, abs=0.01)
    assert audio.bytes == stored.stat().st_size
    assert (audio.source_format, audio.source_sample_rate) == ("wav", rate)
    assert audio.source_channels == channels
    assert left_over(media_root) == [stored]


async def test_an_mp3_becomes_a_wav(library: MediaLibrary, media_root: Path) -> None:
    audio = await store(library, mp3())
    assert (audio.format, audio.source_format) == ("wav", "mp3")
    assert audio.seconds == pytest.approx(1.0, abs=0.1)
    with wave.open(str(left_over(media_root)[0])) as reader:
        assert max(memoryview(reader.readframes(8000)).cast("h")) > 1000


async def test_each_upload_is_a_file_of_its_own(library: MediaLibrary, media_root: Path) -> None:
    first, again = await store(library, wav()), await store(library, wav())
    assert first.sha256 == again.sha256
    assert first.id != again.id
    assert len(left_over(media_root)) == 2


def with_data_length(sound: bytes, length: int) -> bytes:
    return sound[:40] + struct.pack("<I", length) + sound[44:]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_audio"),
        (b"hello world, this is text" * 100, "not_audio"),
        (b"#!/bin/sh\nrm -rf /\n", "not_audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "not_audio"),
        (b"OggS" + bytes(1000), "not_audio"),
        (b"ID3" + bytes(5000), "not_audio"),
        (b"\xff\xfb\x90\x00" + bytes(range(256)) * 50, "not_audio"),
        (wav()[:20], "truncated"),
        (wav()[:44], "truncated"),
        (wav()[:-4000], "truncated"),
        (b"RIFF\x04\0\0\0WAVE", "not_audio"),
        (wav(0.0), "empty"),
        (with_data_length(wav(), 0xFFFFFFFE), "truncated"),
        (wav()[:20] + b"\x31\0" + wav()[22:], "not_supported"),
        (wav()[:22] + b"\0\0" + wav()[24:], "not_audio"),
        (wav()[:24] + struct.pack("<I", 4_000_000_000) + wav()[28:], "not_audio"),
        (wav()[:24] + struct.pack("<I", 3999) + wav()[28:], "not_supported"),
        (mp3_announcing(5000), "truncated"),
    ],
)
async def test_what_cannot_be_played_is_refused(
    library: MediaLibrary, media_root: Path, content: bytes, code: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await store(library, content)
    assert [it.code for it in refused.value.errors] == [code]
    assert left_over(media_root) == []


async def test_a_wav_written_to_a_pipe_has_no_length_and_is_taken(library: MediaLibrary) -> None:
    audio = await store(library, with_data_length(wav(), 0xFFFFFFFF))
    assert audio.seconds == pytest.approx(1.0, abs=0.01)


async def test_an_mp3_that_is_as_long_as_it_says_is_taken(library: MediaLibrary) -> None:
    assert (await store(library, mp3_announcing(25))).seconds == pytest.approx(1.0, abs=0.2)


async def test_a_sound_that_is_too_long_is_refused(
    library: MediaLibrary, media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(max_bytes=1_000_000, max_seconds=2)
    monkeypatch.setitem(library_module.LIMITS, "prompts", limits)
    with pytest.raises(ValidationFailed, match="at most 2 s"):
        await store(library, wav(2.5))
    assert left_over(media_root) == []


async def test_a_small_file_that_claims_to_be_long_costs_nothing(
    library: MediaLibrary, media_root: Path
) -> None:
    """One sample a second: a kilobyte would be a quarter of an hour, a megabyte ten days."""
    sound = wav(1)
    slow = sound[:24] + struct.pack("<II", 1, 2) + sound[32:]
    with pytest.raises(ValidationFailed):
        await store(library, slow)
    assert left_over(media_root) == []


async def test_a_program_that_does_not_end_is_ended(
    library: MediaLibrary, media_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("import time\nwhile True: time.sleep(1)\n")
    monkeypatch.setattr(converter, "_PROGRAM", str(endless))
    monkeypatch.setattr(converter, "WALL_SECONDS", 0.3)
    with pytest.raises(TimeoutExceeded):
        await store(library, wav())
    assert left_over(media_root) == []


async def test_a_program_that_dies_of_its_input_says_nothing_to_the_client(
    library: MediaLibrary, media_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(converter, "_PROGRAM", str(dying))
    with pytest.raises(ValidationFailed) as refused:
        await store(library, wav())
    assert [it.code for it in refused.value.errors] == ["not_audio"]
    assert left_over(media_root) == []


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EROFS, MediaUnavailable)]
)
async def test_a_disk_that_is_full_while_converting_is_told(
    library: MediaLibrary,
    media_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: int,
    error: type[NizamError],
) -> None:
    full = tmp_path / "full.py"
    full.write_text(
        "import json, os\nos.write(3, b'half')\n"
        f"print(json.dumps({{'errno': {{'errno': {number}, 'message': 'no'}}}}))\n"
    )
    monkeypatch.setattr(converter, "_PROGRAM", str(full))
    with pytest.raises(error):
        await store(library, wav())
    assert left_over(media_root) == []


async def test_a_device_without_room_is_told(library: MediaLibrary, media_root: Path) -> None:
    """The converting program itself, on a device that is always full."""
    from twisted.internet import reactor

    full = os.open("/dev/full", os.O_RDWR)
    try:
        with upload(wav(5)) as source, pytest.raises(StorageFull):
            await converter.convert(
                reactor, source.fileno(), full, library_module.LIMITS["prompts"]
            )
    finally:
        os.close(full)


async def test_without_a_root_it_says_so(media_root: Path) -> None:
    from twisted.internet import reactor

    for root in (None, media_root / "gone"):
        library = MediaLibrary(reactor, root)
        library.startService()
        with pytest.raises(MediaUnavailable):
            await store(library, wav())
        with pytest.raises(MediaUnavailable):
            await library.open("t1/x.wav")
        await library.stopService()


async def test_many_uploads_at_once_are_all_stored(library: MediaLibrary, media_root: Path) -> None:
    contents = [wav(0.2, pitch=200 + 50 * number) for number in range(8)]
    running = [Deferred.fromCoroutine(store(library, it)) for it in contents]
    stored = await gatherResults(running)
    assert len({it.sha256 for it in stored}) == len(contents) == len(left_over(media_root))


async def test_a_file_is_read_back_and_removed(library: MediaLibrary) -> None:
    audio = await store(library, wav())
    path = media_path(TENANT, "prompts", PROMPT, audio.id)
    file = await library.open(path)
    assert await library.read(file, 4) == b"RIFF"
    file.close()
    assert [it.path for it in await library.files()] == [path]
    assert await library.remove(path)
    with pytest.raises(MediaUnavailable):
        await library.open(path)


def test_the_tone_of_these_tests_is_a_wav() -> None:
    with wave.open(io.BytesIO(wav(0.25, 8000, 2))) as reader:
        assert (reader.getnframes(), reader.getnchannels()) == (2000, 2)
