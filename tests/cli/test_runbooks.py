"""What pages tell to type within sentences is there; for blocks see tests/test_page_commands.py."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from nizam.cli.root import commands
from tests.pages import PAGES

_INLINE = re.compile(r"`(nizam [^`]+)`")


def told(page: Path) -> list[str]:
    """The whole commands of NIZAM's that are in its sentences and tables."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return [" ".join(it.split()) for it in _INLINE.findall(text) if "..." not in it]


def problem(line: str) -> str | None:
    """What is wrong with a command line; words in capitals stand for something else."""
    _, *words = shlex.split(line)
    found: click.Command = commands
    context = click.Context(found)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        inner = found.get_command(context, name)
        if inner is None:
            return f"there is no command {name!r}"
        found = inner
    options = {name: it for it in found.params for name in it.opts if isinstance(it, click.Option)}
    for word, value in itertools.pairwise([*words, ""]):
        if not word.startswith("-"):
            continue
        if word in ("-h", "--help"):
            continue
        if word not in options:
            return f"there is no option {word}"
        kind = options[word].type
        if isinstance(kind, click.Choice) and not value.isupper() and value not in kind.choices:
            return f"{word} takes no {value!r}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.stem)
def test_the_commands_within_sentences_are_there(page: Path) -> None:
    assert {line: it for line in told(page) if (it := problem(line)) is not None} == {}


def test_there_are_such_commands_and_wrong_ones_are_seen() -> None:
    assert sum(len(told(page)) for page in PAGES) > 60
    assert problem("nizam doctor --only media") == "--only takes no 'media'"
    assert problem("nizam doctor --only AREA") is None
    assert problem("nizam queue look") == "there is no command 'look'"
    assert problem("nizam backup verify --hard") == "there is no option --hard"
