"""`twistd nizam` as a person types it: help and the settings' check need neither database nor
reactor, and what is wrong is said at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.options import Options

REPOSITORY = Path(__file__).parent.parent


def twistd(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments],
        env=clean | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_help_names_the_options() -> None:
    done = twistd("nizam", "--help")
    assert done.returncode == 0
    assert {"--config=", "--roles=", "--check-config"} <= set(done.stdout.split())


def test_check_config_shows_the_effective_settings() -> None:
    done = twistd("nizam", "--check-config", environment={"DB_PASSWORD": "hush", "DB_PORT": "99"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "database.port = 99  # the environment" in done.stdout
    assert "hush" not in done.stdout


@pytest.mark.parametrize("arguments", [("nizam", "--check-config"), ("--pidfile=", "-n", "nizam")])
def test_a_wrong_setting_stops_the_start(arguments: tuple[str, ...]) -> None:
    done = twistd(*arguments, environment={"DB_PORT": "x"})
    assert done.returncode == 1
    assert done.stderr == "DB_PORT: 'x' is not a whole number; accepted: a port from 1 to 65535\n"


def test_a_wrong_role_is_named_by_its_option() -> None:
    done = twistd("nizam", "--roles", "xml,web")
    assert done.returncode == 1
    assert done.stderr.startswith("--roles: 'web' is no role; accepted: any of xml,")


def test_a_port_that_is_taken_ends_the_start_with_one_line_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = twistd("--pidfile=", "-n", "nizam", environment={"NIZAM_HTTP_PORT": port})
    (line,) = (it for it in map(orjson.loads, done.stderr.splitlines()) if it["level"] != "info")
    assert (done.returncode, line["level"]) == (1, "critical")
    assert line["event"] == (
        f"NIZAM_HTTP_HOST, NIZAM_HTTP_PORT: 127.0.0.1:{port} cannot be listened on: "
        "Address already in use"
    )


def test_a_start_that_waiting_does_not_mend_ends_as_a_failure(redis_server: PrivateRedis) -> None:
    wrong = redis_server.settings() | {"REDIS_PASSWORD": "wrong", "DB_PORT": "1"}
    port = {"NIZAM_HTTP_PORT": str(free_port())}
    done = twistd("--pidfile=", "-n", "nizam", environment=wrong | port)
    said = [it for it in map(orjson.loads, done.stderr.splitlines()) if it["level"] == "critical"]
    assert done.returncode == 1
    (line,) = (it["event"] for it in said)
    assert line.startswith("the daemon cannot start: Redis refuses our credentials: WRONGPASS")


def test_the_settings_are_read_from_the_file_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text("[http]\nport = 9001\n")
    (tmp_path / "b.toml").write_text("[http]\nport = 9002\n")
    monkeypatch.setenv("NIZAM_CONFIG", str(tmp_path / "a.toml"))
    options = Options()  # type: ignore[no-untyped-call]
    options.parseOptions([])  # type: ignore[no-untyped-call]
    assert options.loaded.settings.http.port == 9001
    options.parseOptions(["--config", str(tmp_path / "b.toml")])  # type: ignore[no-untyped-call]
    assert options.loaded.settings.http.port == 9002


def test_the_command_line_imports_no_reactor() -> None:
    code = (
        "import sys; from nizam.tap import Options; Options().parseOptions([]); "
        "assert 'twisted.internet.reactor' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=20)
