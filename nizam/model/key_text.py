"""The text of an API key: `nzm_<environment>_<random>_<checksum>`.

The checksum lets a mistyped key be refused, and a leaked one be recognised by scanners, without
asking any database. Only the SHA-256 of the whole text is ever stored: the random part has 190
bits, so that a slow hash would add nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_START_LENGTH = 6
_FORM = re.compile(rf"nzm_[a-z0-9]{{1,16}}_[0-9A-Za-z]{{{_RANDOM_LENGTH}}}_[0-9A-Za-z]{{6}}\Z")


def new_key(environment: str) -> str:
    """A fresh key; `environment` is the word that tells production's keys from the others."""
    word = re.sub("[^a-z0-9]", "", environment.lower())[:16] or "live"
    random = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    start = f"nzm_{word}_{random}"
    return f"{start}_{_checksum(start)}"


def is_well_formed(key: str) -> bool:
    """Whether `key` has the form of a key and its checksum fits."""
    if not _FORM.match(key):
        return False
    start, _, checksum = key.rpartition("_")
    return hmac.compare_digest(_checksum(start), checksum)


def key_hash(key: str) -> str:
    """What is stored of a key: its SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_start(key: str) -> str:
    """What is shown of a key ever after, so that people find out which of theirs it is: its
    beginning, with 6 of the 32 random characters."""
    start, _, random = key.rpartition("_")[0].rpartition("_")
    return f"{start}_{random[:_START_LENGTH]}"


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
