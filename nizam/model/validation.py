"""What pydantic says of wrong values, as the field errors that every answer names."""

from __future__ import annotations

from pydantic import ValidationError

from nizam.errors import FieldError
from nizam.model.pointer import pointer


def kind_tag(name: str) -> str:
    """The tag of one alternative of a union, so that it is not taken for a field in a path."""
    return f"({name})"


def kind_by_type(value: object) -> str | None:
    """The tag of a value by its field `type`: the discriminator of most unions."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind_tag(kind) if isinstance(kind, str) else None


def _is_kind(step: str | int) -> bool:
    return isinstance(step, str) and step.startswith("(") and step.endswith(")")


def field_errors(error: ValidationError, prefix: str = "") -> list[FieldError]:
    """Every wrong field, each with its JSON Pointer below `prefix`."""
    return [
        FieldError(
            prefix + pointer(step for step in it["loc"] if not _is_kind(step)),
            "unknown_field" if it["type"] == "extra_forbidden" else it["type"],
            "there is no such field"
            if it["type"] == "extra_forbidden"
            else it["msg"].removeprefix("Value error, "),
        )
        for it in error.errors(include_url=False, include_context=False, include_input=False)
    ]
