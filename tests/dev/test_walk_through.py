"""The commands of README.md and the pages beside it, pasted one after the other into a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest

from nizam.dev.folder import default_folder
from tests.dev.running import Dev, get, until
from tests.pages import REPOSITORY, Command, commands_of

_END = "--end-of-command--"


def steps(page: str, after: str = "") -> list[Command]:
    """The commands of the first shell block behind the text `after`."""
    return commands_of(REPOSITORY / page, after or "\n")


@attrs.frozen
class Shell:
    """One bash into which commands are pasted."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, environment: dict[str, str]) -> Shell:
        """One with `folder` as its home."""
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={"HOME": str(folder), "PATH": programs} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return cls(process)

    def run(self, command: str) -> str:
        """What the command prints, which has to succeed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho {_END} $?\n")
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            before, found, status = line.partition(_END)
            printed += before
            if found:
                assert status.strip() == "0", (command, printed)
                break
        return printed

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """A `nizam dev` through which calls go."""
    running = Dev(tmp_path / "state", "--port", "0", "--cps", "10")
    try:
        known = running.up()
        tenant = f"{known['http']}/api/v1/tenants/{known['tenant_id']}"
        until(lambda: bool(get(f"{tenant}/cdrs?result=answered", known["api_key"])["data"]))
        yield running
        running.stop()
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def shell(dev: Dev, tmp_path: Path) -> Iterator[Shell]:
    """A shell whose programs find the settings of the daemon and its API in the environment."""
    known = dev.up()
    database, redis = urlsplit(known["database_dsn"]), urlsplit(known["redis_url"])
    settings = {
        "APP_ENV": "testing",
        "DB_HOST": database.hostname,
        "DB_PORT": database.port,
        "DB_DATABASE": database.path[1:],
        "DB_USERNAME": database.username,
        "DB_PASSWORD": database.password,
        "REDIS_HOST": redis.hostname,
        "REDIS_PORT": redis.port,
        "REDIS_PASSWORD": redis.password or "",
        "NIZAM_URL": known["http"],
        "NIZAM_API_KEY": known["api_key"],
    }
    running = Shell.start(tmp_path, {name: str(it) for name, it in settings.items()})
    yield running
    running.stop()


@pytest.mark.time_limit(150)
def test_what_is_pasted_line_by_line_does_what_the_pages_say(
    dev: Dev, shell: Shell, tmp_path: Path
) -> None:
    _readme(dev, shell, tmp_path)
    (explain,) = steps("docs/api.md")
    _explains(shell.run(explain.text))
    _audit(shell, tmp_path)
    (bootstrap,) = steps("docs/authentication.md")
    (tmp_path / "nizam.toml").touch()
    made = shell.run(bootstrap.text.replace("/etc/nizam/nizam.toml", "nizam.toml"))
    assert "you@example.com" in made
    assert re.search(r"nzm_\w+", made)


def _readme(dev: Dev, shell: Shell, home: Path) -> None:
    where, *others = steps("README.md", "## What you see")
    # Where `nizam dev` keeps its state unless told; this one was told.
    folder = default_folder() if os.geteuid() == 0 else home / ".local" / "state" / "nizam"
    assert shell.run(f"{where.text}; echo $DEV").strip() == f"{folder}/dev.json"
    shell.run(f"DEV={dev.folder}/dev.json")
    promised = iter(_PROMISED.items())
    for step in others:
        if not step.comment:
            assert shell.run(step.text) == ""
            continue
        words, check = next(promised)
        assert step.comment.startswith(words)
        check(shell.run(step.text))
    assert next(promised, None) is None


def _audit(shell: Shell, home: Path) -> None:
    of_tenant, of_platform, listed = steps("docs/audit.md")
    found = json.loads(shell.run(of_tenant.text))["data"]
    assert {it["resource_type"] for it in found} == {"extension"}
    assert json.loads(shell.run(of_platform.text))["data"]
    shell.run(listed.text)
    verify, again = steps("docs/audit.md", listed.text)
    shell.run(verify.text)
    (heads,) = home.glob("heads-*.json")
    shell.run(again.text.replace("heads-2026-11-24.json", heads.name))


def _happens(printed: str) -> None:
    assert '"type":"call.' in printed
    assert printed.count("\nid: ") >= 1


def _is_well(printed: str) -> None:
    assert json.loads(printed)["status"] == "healthy"


def _tells_of_calls(printed: str) -> None:
    found = json.loads(printed)["data"]
    assert 1 <= len(found) <= 3
    for it in found:
        assert all(it[name] for name in ("from", "to", "result", "hangup_by")), it


def _shows_the_password(printed: str) -> None:
    made = json.loads(printed)
    assert (made["number"], made["display_name"]) == ("1010", "Alan Turing")
    assert len(made["sip_password"]) >= 12


def _explains(printed: str) -> None:
    found = json.loads(printed)
    assert all(it["step"] and it["detail"] for it in found["trace"])
    assert found["plan"]
    assert "<extension" in found["xml"]


def _lets_the_phone_register(printed: str) -> None:
    assert '<user id="1010"' in printed
    assert re.search(r'name="a1-hash" value="[0-9a-f]{32}"', printed)


def _makes_a_tenant(printed: str) -> None:
    made = json.loads(printed)
    assert made["tenant"]["status"] == "active"
    assert [it["sip"]["user"] for it in made["extensions"]] == ["1001", "1002", "1003"]


_PROMISED: dict[str, Callable[[str], None]] = {
    "Is it well?": _is_well,
    "The calls of the last minute": _tells_of_calls,
    "What happens from now on": _happens,
    "Make an extension; its SIP password is shown this once": _shows_the_password,
    "Why would this call go where it goes?": _explains,
    "What FreeSWITCH gets when that phone registers": _lets_the_phone_register,
    "A tenant with phones that can register": _makes_a_tenant,
}
"""What the comment before each command says, and whether what it prints keeps the promise."""
