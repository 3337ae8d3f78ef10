"""docs/threat-model.md has every boundary of its picture, and a test for every threat."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "docs/threat-model.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_many_tests_are_named() -> None:
    # That they exist is looked at on every page: test_pages.py.
    assert len(NAMED) > 50


def test_every_boundary_of_the_picture_has_its_table_and_every_row_its_test() -> None:
    picture = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)[0]
    chapters = re.findall(r"^### (\d)\. .*?\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"(?<=[─│])\d(?=[─│])", picture)) == {number for number, _ in chapters}
    for number, text in chapters:
        rows = [it for it in text.splitlines() if re.match(r"\| [STRIDE] \|", it)]
        assert rows, number
        assert [it for it in rows if "`tests/" not in it] == []


def test_the_chapters_of_security_name_what_is_shipped() -> None:
    text = (REPOSITORY / "docs/security.md").read_text()
    named = set(re.findall(r"(?:deploy|etc/freeswitch)/[\w./-]+\w", text))
    assert "deploy/stunnel/switch.conf" in named
    assert [it for it in sorted(named) if not (REPOSITORY / it).exists()] == []
