"""Uploading and downloading through the client, and what happens when it goes wrong."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from nizam.client import ApiError, Client
from nizam.client.errors import NotFound, VersionMismatch
from nizam.client.sounds import kind
from tests.client.conftest import threaded
from tests.media.sounds import mp3, wav

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


@threaded
def test_a_sound_is_uploaded_from_anything_and_comes_back(client: Client, tmp_path: Path) -> None:
    client.tenants.create(ACME)
    acme = client.tenant("acme")
    path = tmp_path / "hello.wav"
    path.write_bytes(wav())
    read, write = os.pipe()
    os.write(write, wav(0.1))
    os.close(write)
    made = acme.prompts.create(name="Welcome")
    with path.open("rb") as file, os.fdopen(read, "rb") as pipe:
        for source in (path, str(path), wav(), mp3(), io.BytesIO(wav(0.2)), file, pipe):
            made = acme.prompts.upload(made, source)
            assert made.body.audio is not None
            target = io.BytesIO()
            assert acme.prompts.download(made, target) == made.body.audio.bytes
            assert len(target.getvalue()) == made.body.audio.bytes
    acme.prompts.delete_audio(made)
    with pytest.raises(NotFound):
        acme.prompts.download(made.id, io.BytesIO())


@threaded
def test_an_object_that_has_changed_keeps_its_sound(client: Client) -> None:
    client.tenants.create(ACME)
    prompts = client.tenant("acme").prompts
    made = prompts.create(name="Welcome")
    prompts.update(made, language="de")
    with pytest.raises(VersionMismatch):
        prompts.upload(made, wav())
    with pytest.raises(ApiError) as refused:
        prompts.upload(made.id, b"no sound")
    assert [it.code for it in refused.value.errors] == ["not_audio"]


@threaded
def test_music_has_files_with_names(client: Client, tmp_path: Path) -> None:
    client.tenants.create(ACME)
    music = client.tenant("acme").music_on_hold
    made = music.create(name="Piano")
    path = tmp_path / "Moon light.wav"
    path.write_bytes(wav(0.1))
    first = music.upload(made.id, path)
    second = music.upload(made.id, wav(0.2), name="Second")
    assert (first.name, second.name) == ("Moon light", "Second")
    changed = music.change_file(made.id, second.id, position=1)
    assert [it.id for it in changed.body.files] == [second.id, first.id]
    assert music.download(made.id, first.id, io.BytesIO()) == first.bytes
    music.delete_file(changed, second.id)
    assert [it.id for it in music.get(made).body.files] == [first.id]


def test_the_media_type_follows_from_the_content() -> None:
    assert (kind(io.BytesIO(wav())), kind(io.BytesIO(mp3()))) == ("audio/wav", "audio/mpeg")
