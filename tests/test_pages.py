"""What the pages of docs/ point to is there: tests, files, chapters; and every heading of the
deployment guide has its row."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
GUIDE = (
    "Architecture Overview",
    "Prerequisites",
    "Environment Variables (Production)",
    "Docker Production Build",
    "Docker Compose (Production)",
    "API Layer",
    "Queue Workers",
    "Read Replicas",
    "Connection Pooling",
    "Redis Scaling",
    "Laravel Reverb (Planned)",
    "Alternative: Pusher/Ably",
    "Single-Node (Current)",
    "Multi-Node (Future)",
    "Database Backup",
    "Redis Backup",
    "Full Backup Script",
    "Restore Procedure",
    "Health Checks",
    "Prometheus Metrics (Recommended)",
    "Log Aggregation",
    "TLS Configuration",
    "Firewall Rules",
    "ESL Security",
)
each_page = pytest.mark.parametrize("page", PAGES, ids=[it.stem for it in PAGES])


@cache
def functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text())
    found = (it for it in ast.walk(tree) if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(it.name for it in found)


@cache
def chapters(page: Path) -> frozenset[str]:
    """The anchors of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", it.lower()).strip().replace(" ", "-") for it in titles)


@each_page
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in TEST.findall(page.read_text())
        if not (REPOSITORY / file).is_file() or (name and name not in functions(REPOSITORY / file))
    ]
    assert missing == []


@each_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    wrong = []
    for place, chapter in LINK.findall(text):
        if "://" in place or place.startswith("mailto:"):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists():
            wrong.append(place)
        elif chapter and target.suffix == ".md" and chapter not in chapters(target):
            wrong.append(f"{place}#{chapter}")
    assert wrong == []


def test_each_heading_of_the_deployment_guide_has_its_row_and_what_shows_it() -> None:
    lines = (DOCS / "deployment-guide.md").read_text().splitlines()
    rows = [[cell.strip() for cell in it.strip("|").split(" | ")] for it in lines if " | " in it]
    shown = {cells[0].strip("| "): cells[2] for cells in rows[1:]}
    assert tuple(it for it in shown if it in GUIDE) == GUIDE
    assert [it for it in GUIDE if not re.search(r"`(tests|script)/", shown[it])] == []
