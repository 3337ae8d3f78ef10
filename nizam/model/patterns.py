"""Dial patterns as Asterisk and FreePBX users write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_PATTERN = re.compile(r"\A\+?[0-9XZN*#]{0,32}[.]?\Z")


def dial_pattern(value: str) -> str:
    """Return `value` if it is a dial pattern; raise ValueError otherwise."""
    if not value or not _PATTERN.match(value):
        raise ValueError(
            "takes digits, + at the start, X (0-9), Z (1-9), N (2-9) and a final . for any rest"
        )
    return value


Pattern = Annotated[str, StringConstraints(max_length=34), AfterValidator(dial_pattern)]
"""A dial pattern; one that starts with + is matched against E.164."""
