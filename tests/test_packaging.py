"""What is installed: locks that fit setup.cfg, hashes on everything, units that systemd accepts."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent
LOCKS = ("audit", "build", "embedded", "runtime", "test")


def declared(*extras: str) -> list[Requirement]:
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    texts = [config["options"]["install_requires"]]
    texts += [config["options.extras_require"][extra] for extra in extras]
    return [Requirement(line) for text in texts for line in text.split("\n") if line.strip()]


def locked(name: str) -> dict[str, str]:
    text = (REPOSITORY / f"requirements/{name}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "extras"), [("runtime", ()), ("embedded", ("embedded",)), ("test", ("test",))]
)
def test_every_requirement_is_locked_to_a_version_it_allows(
    lock: str, extras: tuple[str, ...]
) -> None:
    pins = locked(lock)
    for requirement in declared(*extras):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name}: run script/lock"
        assert requirement.specifier.contains(version), f"{requirement}: run script/lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_hashes_and_nothing_else(lock: str) -> None:
    text = (REPOSITORY / f"requirements/{lock}.lock").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    entry = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; \S.*)? \\")
    allowed = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    for before, line in zip(["", *lines], lines, strict=False):
        assert entry.fullmatch(line) or allowed.fullmatch(line), line
        assert before.endswith("\\") == bool(allowed.fullmatch(line)), line


def test_the_smaller_locks_agree_with_the_largest() -> None:
    largest = locked("test").items()
    # That of script/audit is for an environment of its own.
    for name in set(LOCKS) - {"audit"}:
        assert locked(name).items() <= largest, f"{name}: run script/lock"


UNITS = sorted(it.name for it in (REPOSITORY / "systemd").iterdir() if it.suffix != ".sysusers")
with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=25, check=False
    )


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units in a folder, with programs that are there."""
    programs = Path(sys.prefix, "bin")
    for unit in UNITS:
        text = (REPOSITORY / "systemd" / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/opt/nizam/bin", str(programs)))
    return tmp_path


@with_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_the_units(units: Path, unit: str) -> None:
    done = systemd_analyze("verify", str(units / unit.replace("@", "@xml")))
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
@pytest.mark.parametrize("unit", [it for it in UNITS if it.endswith(".service")])
def test_the_units_may_do_little(units: Path, unit: str) -> None:
    done = systemd_analyze("security", "--offline=true", "--threshold=20", str(units / unit))
    assert done.returncode == 0, done.stdout[-400:]
