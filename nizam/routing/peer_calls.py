"""One id for a call that goes from one switch of ours to another.

The switch that sends the call on tells its id in a header, sealed with a key that only NIZAM has:
whoever else sends the header, or copies it into another call, has it ignored, and the call is one
of its own. FreeSWITCH carries the header; it never learns the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from nizam.routing.request import is_uuid
from nizam.routing.tokens import RingHere

_PURPOSE = b"nizam: calls between switches"
_DIGITS = 32


def peer_keys(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """The keys of seals that follow from secrets of this installation; the first one seals."""
    return tuple(hmac.digest(it, _PURPOSE, "sha256") for it in secrets)


def sealed(keys: tuple[bytes, ...], call_id: str, token: RingHere) -> str:
    """What another switch is told of the call that is sent to it with this token."""
    if not keys:
        return call_id
    return f"{call_id}.{_seal(keys[0], call_id, token)}"


def opened(keys: tuple[bytes, ...], text: str | None, token: RingHere) -> str | None:
    """The id of the call that another switch has told; None if the seal is not ours, or is for
    another token."""
    call_id, _, seal = (text or "").partition(".")
    if not is_uuid(call_id) or not seal:
        return None
    made = (_seal(key, call_id, token) for key in keys)
    found = [hmac.compare_digest(it.encode(), seal.encode()) for it in made]
    return call_id if any(found) else None


def _seal(key: bytes, call_id: str, token: RingHere) -> str:
    what = f"{call_id} {token.tenant_id} {token.extension_id}"
    if token.what != "ring":
        what += f" {token.what}"
    return hmac.new(key, what.encode(), hashlib.sha256).hexdigest()[:_DIGITS]
