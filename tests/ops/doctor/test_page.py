"""Every check is on the page, and has a test where it is right and one where it is wrong."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from nizam.cli import doctor as command
from nizam.ops.doctor import CHECKS, Area, Severity
from nizam.ops.doctor.page import page
from tests.cli.conftest import nizam, no_settings_from_outside

__all__ = ["no_settings_from_outside"]
FOLDER = Path(__file__).parent
GONE = {"DB_PORT": "1", "REDIS_PORT": "1"}


def named_by(*functions: str) -> set[str]:
    """The checks that the tests give to these functions."""
    found: set[str] = set()
    for file in FOLDER.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in functions:
                    texts = (it.value for it in ast.walk(node) if isinstance(it, ast.Constant))
                    found |= {it for it in texts if isinstance(it, str)}
    return found


def test_the_page_is_current() -> None:
    written = (FOLDER.parents[2] / "docs/doctor.md").read_text()
    assert written == page(), "run python -m nizam.ops.doctor.page"


def test_each_check_has_a_name_of_its_own_in_its_area() -> None:
    names = [it.name for it in CHECKS]
    assert sorted(set(names)) == sorted(names)
    assert all(it.name.startswith(f"{it.area}.") for it in CHECKS)
    assert {it.area for it in CHECKS} == set(Area)
    assert all(it.why.endswith(".") and it.mend for it in CHECKS)


def test_each_check_has_a_test_where_it_is_right() -> None:
    assert {it.name for it in CHECKS} - named_by("is_right") == set()


def test_each_check_has_a_test_where_it_is_wrong() -> None:
    missing = {it.name for it in CHECKS} - named_by("is_wrong", "Wrong")
    # Named in parts by a table.
    source = (FOLDER / "test_freeswitch.py").read_text()
    missing -= {it for it in missing if f'"{it.removeprefix("freeswitch.")}", ' in source}
    assert missing == set()


def test_the_command_knows_the_areas_and_severities() -> None:
    assert tuple(it.value for it in Area) == command.AREAS
    assert list(command.ENDS) == [it.value for it in Severity]


@pytest.mark.parametrize(
    ("environment", "area", "status", "ends"),
    [
        ({"DB_HOST": "127.0.0.1"}, "names", "ok", 0),
        ({}, "clocks", "note", 0),
        ({"NIZAM_BACKUP_FOLDER": "/"}, "disk", "warning", 1),
        ({}, "redis", "failure", 2),
        ({"DB_PORT": "x"}, "redis", "failure", 2),
    ],
)
def test_the_command_ends_as_bad_as_what_it_found(
    tmp_path: Path, environment: dict[str, str], area: str, status: str, ends: int
) -> None:
    tmp_path.chmod(0o750)
    there = GONE | {"NIZAM_MEDIA_ROOT": str(tmp_path)} | environment
    done = nizam("doctor", "--only", area, "--json", environment=there)
    found = json.loads(done.stdout)
    assert (done.exit_code, found["status"]) == (ends, status)
    assert sum(found["counts"].values()) == len(found["findings"])
    for it in found["findings"]:
        assert list(it) == ["check", "area", "subject", "severity", "detail", "why", "mend"]
        assert (it["why"] is None) == (it["severity"] in ("ok",)) or it["severity"] == "note"


def test_the_command_says_what_is_wrong_why_and_how_to_mend_it() -> None:
    done = nizam("doctor", "--only", "redis", "--quiet", environment=GONE)
    lines = done.output.splitlines()
    assert lines[1] == "redis"
    assert lines[2].startswith("failure  reachable: redis 127.0.0.1:1: ")
    assert lines[3].startswith("         why   Webhooks wait")
    assert lines[4].startswith("         mend  Start it")
    assert lines[-1] == "0 ok, 0 notes, 0 warnings, 1 failure"


def test_an_area_that_there_is_not_is_wrong_usage() -> None:
    assert nizam("doctor", "--only", "weather").exit_code == 2
