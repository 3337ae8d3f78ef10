"""Which passwords are too easy to guess (NIST SP 800-63B, section 5.1.1.2).

No composition rules and no forced changes: length counts. Refused is what a guesser tries first
at that length: repetitions, runs of the keyboard or the alphabet, everyday words with a tail of
digits, and the person's own name and address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MIN_DISTINCT = 5
_MIN_LEFT = 6
"""Characters that must remain when everything easy to guess is taken away."""

_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb",
    "!@#$%^&*()",
)
_RUN_LENGTH = 4
_WORDS = (
    "password",
    "passwort",
    "passphrase",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "contrasena",
    "motdepasse",
    "letmein",
    "welcome",
    "willkommen",
    "iloveyou",
    "changeme",
    "changeit",
    "default",
    "administrator",
    "admin",
    "root",
    "secret",
    "master",
    "dragon",
    "monkey",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "batman",
    "shadow",
    "summer",
    "winter",
    "spring",
    "autumn",
    "hello",
    "login",
    "test",
    "user",
    "nizam",
    "freeswitch",
    "telephone",
)
_YEAR = re.compile(r"(19|20)\d\d")
_PLAIN = re.compile(r"[\W_]+")


def normalised(password: str) -> str:
    """The password as it is hashed: NFKC, so that every keyboard's way to type it is the same."""
    return unicodedata.normalize("NFKC", password)


def weakness(password: str, known: Iterable[str] = ()) -> str | None:
    """Why the password is easy to guess, or None. `known` are words about the person."""
    text = normalised(password).lower()
    if len(set(text)) < _MIN_DISTINCT:
        return "repeats too few different characters"
    left = text
    own = {part for it in known for part in _PLAIN.split(it.lower()) if len(part) >= 3}
    for word in sorted(own | set(_WORDS), key=len, reverse=True):
        left = left.replace(word, "")
    left = _without_runs(_YEAR.sub("", left))
    if len(set(_PLAIN.sub("", left)) ^ set(left)) < _MIN_LEFT:
        # A few signs between or behind the words make nothing harder to guess.
        left = _PLAIN.sub("", left)
    if len(left) < _MIN_LEFT or len(set(left)) < _MIN_LEFT - 1:
        return "is made of words, names or runs of keys that are guessed first"
    return None


def _without_runs(text: str) -> str:
    """`text` without pieces of four and more neighbouring keys or letters, in either direction."""
    kept = []
    at = 0
    while at < len(text):
        length = max(_run_at(text, at, run) for run in (*_RUNS, *(it[::-1] for it in _RUNS)))
        if length >= _RUN_LENGTH:
            at += length
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _run_at(text: str, at: int, run: str) -> int:
    start = run.find(text[at])
    length = 0
    while (
        start >= 0
        and at + length < len(text)
        and start + length < len(run)
        and text[at + length] == run[start + length]
    ):
        length += 1
    return length
