"""The commands that upload and download sounds."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nizam.cli.fields import destination
from nizam.client import Client
from tests.cli.conftest import Run
from tests.client.conftest import threaded
from tests.media.sounds import mp3, wav
from tests.pages import commands

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}
IN_ACME = ("--tenant", "acme")


@threaded
def test_a_prompt_is_uploaded_used_and_downloaded(run: Run, api: Client, tmp_path: Path) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    sound, back = tmp_path / "hello.mp3", tmp_path / "back.wav"
    sound.write_bytes(mp3())
    run("prompt", "create", *IN_ACME, "--name", "Welcome")
    made = json.loads(run("prompt", "upload", "Welcome", str(sound), *IN_ACME, "--json").stdout)
    assert made["audio"]["source_format"] == "mp3"
    run("prompt", "download", "Welcome", str(back), *IN_ACME)
    assert back.stat().st_size == made["audio"]["bytes"]
    assert sorted(it.name for it in tmp_path.glob("*.wav")) == ["back.wav"]
    assert run("prompt", "download", "Welcome", "-", *IN_ACME).stdout_bytes == back.read_bytes()
    menu = ("ivr", "create", *IN_ACME, "--number", "5000", "--name", "Menu")
    run(*menu, "--greeting-long", "prompt:Welcome", "--exit-sound", "ivr/bye.wav")
    run("ivr", "update", "5000", *IN_ACME, "--timeout-destination", "play:prompt:Welcome")
    run("ivr", "update", "5000", *IN_ACME, "--set", "greeting_short=ivr/short.wav")
    body = acme.ivrs.find("5000").body.model_dump(mode="json")
    assert body["greeting_long"] == {"prompt_id": made["id"]}
    assert body["exit_sound"] == "ivr/bye.wav"
    assert body["timeout_destination"]["prompt_id"] == made["id"]
    run("prompt", "delete-audio", "Welcome", *IN_ACME)
    refused = run("prompt", "download", "Welcome", str(tmp_path / "no.wav"), *IN_ACME, status=1)
    assert "the prompt has no sound" in refused.output
    assert sorted(it.name for it in tmp_path.iterdir() if it.is_file()) == ["back.wav", "hello.mp3"]


@threaded
def test_music_is_uploaded_ordered_downloaded_and_removed(
    run: Run, api: Client, tmp_path: Path
) -> None:
    api.tenants.create(ACME)
    acme = api.tenant("acme")
    acme.music_on_hold.create(name="Piano")
    for name, seconds in (("one", 0.1), ("two", 0.2)):
        (tmp_path / f"{name}.wav").write_bytes(wav(seconds))
        run("music-on-hold", "upload", "Piano", str(tmp_path / f"{name}.wav"), *IN_ACME)
    assert [it.name for it in acme.music_on_hold.find("Piano").body.files] == ["one", "two"]
    run("music-on-hold", "change-file", "Piano", "two", *IN_ACME, "--position", "1")
    first = acme.music_on_hold.find("Piano").body.files[0]
    assert first.name == "two"
    target = tmp_path / "back.wav"
    run("music-on-hold", "download", "Piano", str(first.id), str(target), *IN_ACME)
    assert target.stat().st_size == first.bytes
    run("music-on-hold", "delete-file", "Piano", "two", *IN_ACME)
    gone = run("music-on-hold", "delete-file", "Piano", "two", *IN_ACME, status=1)
    assert "there are: one (" in gone.output


@threaded
def test_what_is_no_sound_is_told_with_its_reason(run: Run, api: Client, tmp_path: Path) -> None:
    api.tenants.create(ACME)
    api.tenant("acme").prompts.create(name="Welcome")
    text = tmp_path / "text.wav"
    text.write_text("hello")
    refused = run("prompt", "upload", "Welcome", str(text), *IN_ACME, status=1)
    assert "neither a WAV nor an MP3 file" in refused.output
    run("prompt", "upload", "Welcome", str(tmp_path / "none.wav"), *IN_ACME, status=2)
    nowhere = str(tmp_path / "no" / "x.wav")
    run("prompt", "download", "Welcome", nowhere, *IN_ACME, status=2)


@threaded
def test_the_commands_of_the_page_work_one_after_the_other(
    run: Run, api: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    api.tenants.create(ACME)
    for name, content in (("welcome.mp3", mp3()), ("one.wav", wav(0.1)), ("two.mp3", mp3())):
        Path(name).write_bytes(content)
    for line in commands("media.md"):
        program, *arguments = shlex.split(line)
        if program == "nizam":
            run(*arguments)
    [left] = api.tenant("acme").music_on_hold.find("Piano").body.files
    assert (left.name, Path("back.wav").exists()) == ("Two", True)


def test_a_destination_can_play_a_prompt_or_a_sound() -> None:
    assert destination("play:prompt:Welcome") == {"type": "play", "prompt_id": "Welcome"}
    assert destination("play:ivr/x.wav") == {"type": "play", "sound": "ivr/x.wav"}
