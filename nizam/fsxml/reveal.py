"""How stored secrets are read here: by a function that is given, since this room does no crypto."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

Reveal = Callable[[str, UUID, str, str], str]
"""(resource, id, field, encrypted text) -> the secret itself."""
