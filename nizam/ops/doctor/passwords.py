"""Whether a password can be guessed."""

from __future__ import annotations

import math
from collections import Counter

MINIMUM_LENGTH = 16
MINIMUM_BITS = 40
_DEFAULTS = frozenset(
    {
        *("cluecon", "1234", "12345", "123456", "12345678", "123456789", "0000", "1111"),
        *("password", "passwort", "passw0rd", "secret", "secrets", "token", "changeme"),
        *("change-me", "change_me", "change me", "...", "xxx", "todo", "example", "test", "demo"),
        *("admin", "administrator", "root", "guest", "user", "default", "letmein", "qwerty"),
        *("postgres", "postgresql", "redis", "foobared", "nizam", "nizam_app", "freeswitch"),
        *("works", "laravel", "homestead", "sail", "kamailio", "kamailiorw", "pusher"),
    }
)
"""What programs come with, what documentation shows, and what is tried first; in lower case."""


def weakness(password: str, names: tuple[str, ...] = ()) -> tuple[bool, str] | None:
    """Why a password can be guessed: whether at once, and in words; None if it cannot.

    `names` are those that it goes with, which it must not be.
    """
    plain = password.strip().lower()
    if plain in _DEFAULTS:
        return True, "a default password, which is tried first"
    if plain in {it.lower() for it in names}:
        return True, "the same as the name that it goes with"
    if len(password) < MINIMUM_LENGTH:
        return False, f"{len(password)} characters; needed: {MINIMUM_LENGTH} or more"
    if _bits(password) < MINIMUM_BITS:
        return False, "the same few characters again and again"
    return None


def _bits(text: str) -> float:
    """An upper limit on what a text can hold, by how often its characters occur."""
    shares = [it / len(text) for it in Counter(text).values()]
    return -sum(it * math.log2(it) for it in shares) * len(text)
