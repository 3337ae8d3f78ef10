"""The pages of docs/ as tests read them: their code blocks, and the commands in these."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of one language on the page `name`, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


def commands(name: str) -> list[str]:
    """The shell commands of the page, one each: a line that ends in a backslash goes on."""
    return [
        line for block in blocks(name, "sh") for line in block.replace("\\\n", " ").splitlines()
    ]
