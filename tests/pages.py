"""The pages for operators and integrators as tests read them: their code blocks, and the commands
in these. Everything that asks what stands on a page asks here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

REPOSITORY = Path(__file__).parent.parent
DOCS = REPOSITORY / "docs"
PAGES = (
    REPOSITORY / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(REPOSITORY.glob("deploy/**/*.md")),
    *sorted(REPOSITORY.glob("etc/**/*.md")),
    REPOSITORY / "benchmarks" / "README.md",
)
SHELL = ("sh", "bash", "console", "shell")
_FENCE = re.compile(r"^ *```(.*)$")
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)")


@attrs.frozen
class Block:
    """One block of code, as long as it is fenced; `line` is that of its first line."""

    page: str
    line: int
    language: str
    text: str


@attrs.frozen
class Command:
    """One command as it stands on its page, however many lines it has, and the lines of comment
    right before it."""

    page: str
    line: int
    text: str
    comment: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@cache
def all_blocks(page: Path) -> tuple[Block, ...]:
    """The blocks of a page, in their order."""
    found: list[Block] = []
    lines: list[str] = []
    language, first = "", 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and not first:
            language, first, lines = fence[1].strip(), number + 1, []
        elif fence:
            name = str(page.relative_to(REPOSITORY))
            found.append(Block(name, first, language, "".join(f"{it}\n" for it in lines)))
            first = 0
        elif first:
            lines.append(line)
    assert not first, f"{page}: the block of line {first} has no end"
    return tuple(found)


def blocks(name: str, language: str) -> list[str]:
    """The text of the blocks of one language on the page `name` of docs/."""
    return [it.text for it in all_blocks(_page(name)) if it.language == language]


def commands(name: str) -> list[str]:
    """The shell commands of the page `name`, each on one line if a backslash is all that breaks
    it."""
    return [it.text.replace("\\\n", " ") for it in commands_of(_page(name))]


def commands_of(page: Path, after: str = "") -> list[Command]:
    """The shell commands of a page; with `after` those of the first block behind this text."""
    found = [it for it in all_blocks(page) if it.language in SHELL or it.language == ""]
    if after:
        text = page.read_text()
        behind = text[: text.index(after)].count("\n") + 1
        found = [it for it in found if it.line > behind and it.language in SHELL][:1]
    return [command for block in found for command in _commands(block)]


def parts(text: str) -> list[str]:
    """What a command consists of where `&&` and `;` divide it, without its comment."""
    found, begin, depth, quote = [], 0, 0, ""
    if "<<" in text:
        return [text]
    for place, it in enumerate(text):
        if quote:
            quote = "" if it == quote else quote
        elif it in "'\"":
            quote = it
        elif it in "({":
            depth += 1
        elif it in ")}":
            depth -= 1
        elif depth == 0 and it == "#" and text[place - 1 : place].isspace():
            found.append(text[begin:place])
            begin = len(text)
            break
        elif depth == 0 and (it == ";" or text.startswith("&&", place)):
            found.append(text[begin:place])
            begin = place + (1 if it == ";" else 2)
    return [it.strip() for it in (*found, text[begin:]) if it.strip()]


def words(text: str) -> list[str]:
    """The words of one part of a command."""
    return shlex.split(text.replace("\\\n", " "), comments=True)


def _page(name: str) -> Path:
    return DOCS / name if (DOCS / name).exists() else REPOSITORY / name


def _commands(block: Block) -> Iterator[Command]:
    comment = text = ""
    begun = 0
    for number, line in enumerate(block.text.splitlines(), block.line):
        if block.language not in SHELL:
            # A session, with what is answered: only what follows the prompt is a command.
            if line.startswith("$ "):
                yield Command(block.page, number, line.removeprefix("$ "))
            continue
        if not text and (not line.strip() or line.startswith("#")):
            comment = line.removeprefix("# ") if line.strip() else ""
            continue
        begun = begun if text else number
        text += line
        if _goes_on(text):
            text += "\n"
            continue
        yield Command(block.page, begun, text, comment)
        comment = text = ""
    assert not text, f"{block.page}:{begun}: the command has no end"


def _goes_on(text: str) -> bool:
    if text.endswith("\\"):
        return True
    if here := _HERE_DOCUMENT.search(text):
        return not text.endswith(f"\n{here[1]}")
    try:
        words(text)
    except ValueError:  # A quotation that has not ended.
        return True
    return False
