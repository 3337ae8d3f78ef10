"""What script/audit makes of pip-audit's words, as they were seen."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parent.parent / "script/audit_locks.py"))
CLEAN = {"name": "attrs", "version": "26.1.0", "vulns": []}
SILENT = {
    "name": "setuptools",
    "skip_reason": "Dependency not found on PyPI and could not be audited: setuptools (84.2.1)",
}
FOUND = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {"id": "PYSEC-2021-66", "fix_versions": ["2.11.3"], "aliases": [], "description": ""}
    ],
}


@pytest.mark.parametrize(
    ("packages", "status", "text"),
    [
        ([CLEAN], 0, "1 packages, no known vulnerability"),
        ([CLEAN, SILENT], 3, "nothing is known of 1 of 2 packages: setuptools"),
        ([CLEAN, FOUND], 1, "jinja2 2.4.1: PYSEC-2021-66, mended in 2.11.3"),
        ([FOUND, SILENT], 1, "nothing is known of 1 of 2"),
    ],
)
def test_what_is_found_is_said(packages: list[dict[str, Any]], status: int, text: str) -> None:
    output = json.dumps({"dependencies": packages, "fixes": []})
    found, lines = AUDIT["judge"](output, "No known vulnerabilities found")
    assert found == status
    assert text in "\n".join(lines)


def test_data_that_cannot_be_had_is_not_taken_for_safety() -> None:
    errors = "Traceback\nrequests.exceptions.ConnectionError: Failed to resolve 'api.osv.dev'\n"
    status, (line,) = AUDIT["judge"]("", errors)
    assert status == 3
    assert line.startswith("the data cannot be had, so nothing is known: requests.exc")


def test_a_vulnerability_is_worse_than_not_to_know() -> None:
    assert [AUDIT["worst"](it) for it in ([0, 0], [0, 3], [3, 1, 0])] == [0, 3, 1]
