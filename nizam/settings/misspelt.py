"""Names in the environment that look like a setting and are none.

Nothing is refused for them: other programs have variables too. But one that is a letter away from a
setting is told of, since otherwise the default would be in force without a word.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final

_ALIKE: Final = 0.87
_OTHERS: Final = frozenset({"NIZAM_CONFIG", "NIZAM_URL", "NIZAM_API_KEY"})
"""What the commands read beside the settings."""


def notes(environment: Iterable[str], settings: Iterable[str]) -> Iterator[str]:
    """A sentence for each name that is none of the `settings`, with the one that it resembles."""
    known = sorted({name for it in settings for name in (it, f"{it}_FILE")})
    prefixes = tuple({f"{it.partition('_')[0]}_" for it in known})
    for name in sorted(environment):
        if name in known or name in _OTHERS or not name.startswith(prefixes):
            continue
        if name.rstrip("0123456789") != name:
            # One of several: DB_READ_HOST_2, or a service link of Kubernetes.
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
        # Or cut short, as DB_USER is.
        close += [it for it in known if it.startswith(name)]
        if close:
            yield f"{name}: there is no such setting and nothing comes of it; perhaps {close[0]}"
