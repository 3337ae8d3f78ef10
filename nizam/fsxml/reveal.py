"""How stored secrets are read here: by a function that is given, since this room does no crypto."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

Reveal = Callable[[str, str, UUID, str], str]
"""(encrypted text, resource, id, field) -> the secret itself."""
