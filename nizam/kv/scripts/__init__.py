"""The Lua scripts, each in a file of its own; `script` finds one by the file's name."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import attrs


@attrs.frozen
class Script:
    """A script's text and the SHA-1 by which Redis knows it."""

    text: bytes
    digest: str


@cache
def script(name: str) -> Script:
    """The script `<name>.lua` of this folder; FileNotFoundError if there is none."""
    text = files(__package__).joinpath(f"{name}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
