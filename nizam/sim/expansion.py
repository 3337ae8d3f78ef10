"""`${name}` in dialplan data, with API expansion switched off unless asked for.

Source: switch_channel_expand_variables_check; the text for a refused API call was seen on a
switch with api-expansion=false.
"""

from __future__ import annotations

import re
from collections.abc import Callable

REFUSED = "<API Execute Permission Denied>"

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_API_CALL = re.compile(r"^\w+[ (]")


def expand(
    text: str,
    value_of: Callable[[str], str | None],
    run: Callable[[str], str] = lambda command: REFUSED,
) -> str:
    """`text` with every `${name}` replaced by `value_of(name)`, by nothing where that is None.

    What looks like an API call, `${system x}` or `${system(x)}`, becomes what `run` says to
    `system x`; that it is refused unless told otherwise.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if _API_CALL.match(name):
            return run(name.replace("(", " ", 1).removesuffix(")"))
        return value_of(name) or ""

    while "${" in text:  # from the inside out: an argument may hold a reference itself
        before, text = text, _REFERENCE.sub(replace, text)
        if text == before:
            break
    return text
