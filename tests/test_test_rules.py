"""The rules that tests/conftest.py puts on every test do stop a test that breaks them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import time
import pytest
from twisted.internet.defer import Deferred
from twisted.internet import reactor
"""
REPOSITORY = Path(__file__).parent.parent


def run(folder: Path, test: str) -> str:
    file = folder / "test_it.py"
    file.write_text(HEAD + test)
    options = ["-v", "-p", "tests.conftest", "-c", "/dev/null", f"--rootdir={folder}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        (
            "@pytest.mark.time_limit(0.2)\nasync def test_waits(): await Deferred()",
            "the test awaited for more than 0.2 s",
        ),
        (
            "@pytest.mark.time_limit(-1.5)\ndef test_blocks(): time.sleep(20)",
            "blocked for more than 0.5 s",
        ),
        (
            "@pytest.mark.time_limit(-1.5)\nasync def test_blocks():\n"
            "    try: time.sleep(20)\n    except Exception: pass",
            "blocked for more than 0.5 s",
        ),
        (
            "async def test_leaves_a_call(): reactor.callLater(60, print)",
            "left on the reactor after the test",
        ),
        (
            "def test_leaves_a_port():\n"
            "    from twisted.internet.protocol import Factory\n"
            "    reactor.listenTCP(0, Factory(), interface='127.0.0.1')",
            "left on the reactor after the test",
        ),
    ],
    ids=["endless await", "endless call", "swallowed in async", "delayed call", "open port"],
)
def test_a_test_that_breaks_a_rule_fails(tmp_path: Path, test: str, complaint: str) -> None:
    said = run(tmp_path, test + "\n\nasync def test_next_one_is_fine(): pass\n")
    assert complaint in said
    assert "test_next_one_is_fine PASSED" in said
