"""The receipt of a purge: the hash by which anybody can tell that it was not changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

UNHASHED: Final = frozenset({"id", "hash"})


def receipt_hash(receipt: Mapping[str, Any]) -> str:
    """What `hash` of a receipt must be, given the receipt as the API shows it: SHA-256, in
    hexadecimal digits, of its other members but `id`, as JSON in UTF-8 with its members sorted by
    name, without blanks and without escapes beyond those that JSON needs."""
    members = {name: value for name, value in receipt.items() if name not in UNHASHED}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
