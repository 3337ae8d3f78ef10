"""The state folder: one user at a time, secrets that stay, files that only their owner reads."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nizam.dev.folder import FolderInUseError, StateFolder, default_folder
from nizam.settings import load


def taken(path: Path) -> StateFolder:
    folder = StateFolder(path)
    folder.take()
    return folder


def test_a_second_start_is_told_who_is_there(tmp_path: Path) -> None:
    first = taken(tmp_path)
    first.announce("http://127.0.0.1:8080, process 1")
    with pytest.raises(FolderInUseError, match=r"http://127\.0\.0\.1:8080, process 1"):
        StateFolder(tmp_path).take()


def test_a_folder_is_free_again_when_its_process_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from nizam.dev.folder import StateFolder; "
        "StateFolder(Path(sys.argv[1])).take(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=root, check=False, timeout=20)
    taken(tmp_path)


def test_secrets_are_made_once_and_survive(tmp_path: Path) -> None:
    first = taken(tmp_path / "new" / "folder")
    made = first.secret("a"), first.webhook_secret(), first.encryption_key()
    first.keep("b", "given")
    again = StateFolder(tmp_path / "new" / "folder")
    assert (again.secret("a"), again.webhook_secret(), again.encryption_key()) == made
    assert (again.kept("b"), again.kept("c")) == ("given", None)


def test_the_keys_have_the_form_that_their_readers_want(tmp_path: Path) -> None:
    folder = taken(tmp_path)
    (key,) = load(None, {"NIZAM_SECRET_KEYS": folder.encryption_key()}).settings.secret_keys
    assert len(key.key) == 32
    assert len(base64.b64decode(folder.webhook_secret().removeprefix("whsec_"))) == 32


def test_dev_json_is_for_its_owner_only_and_not_there_before_the_system_runs(
    tmp_path: Path,
) -> None:
    folder = taken(tmp_path)
    folder.write_dev_json({"http": "http://127.0.0.1:8080"})
    assert folder.dev_json.stat().st_mode & 0o777 == 0o600
    assert json.loads(folder.dev_json.read_text()) == {"http": "http://127.0.0.1:8080"}
    os.close(folder._lock)  # type: ignore[arg-type]
    StateFolder(tmp_path).take()
    assert not folder.dev_json.exists()


def test_root_and_others_have_their_own_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_folder() == Path("/var/lib/nizam-dev")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_folder() == Path("/home/ada/.local/state/nizam")
