"""Who makes a change, from where, by which request, and whether it was made already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import attrs


@attrs.frozen
class Idempotency:
    """What a client calls its request, so that it is carried out once in 24 h.

    `owner` is whose key it is, `request_hash` the digest of the whole request. `save` turns the
    answer into bytes, which are stored encrypted, and `restore` those bytes into the answer.
    """

    owner: str
    key: str
    request_hash: bytes
    save: Callable[[Any], bytes] = attrs.field(repr=False)
    restore: Callable[[bytes], Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class ChangeContext:
    """Stands in the audit log beside every change."""

    actor_type: str
    actor_name: str
    actor_id: UUID | None = None
    address: str | None = None
    request_id: str | None = None
    idempotency: Idempotency | None = None


SYSTEM = ChangeContext(actor_type="system", actor_name="nizam")
"""Changes that NIZAM makes by itself."""
