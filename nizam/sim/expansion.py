"""`${name}` in dialplan data, with API expansion switched off as our documents need it.

Source: switch_channel_expand_variables_check; the text for a refused API call was seen on a
switch with api-expansion=false.
"""

from __future__ import annotations

import re
from collections.abc import Callable

REFUSED = "<API Execute Permission Denied>"

_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_API_CALL = re.compile(r"^\w+[ (]")


def expand(text: str, value_of: Callable[[str], str | None]) -> str:
    """`text` with every `${name}` replaced by `value_of(name)`, by nothing where that is None.

    What looks like an API call, `${system x}` or `${system(x)}`, becomes REFUSED.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if _API_CALL.match(name):
            return REFUSED
        return value_of(name) or ""

    return _REFERENCE.sub(replace, text) if "${" in text else text
