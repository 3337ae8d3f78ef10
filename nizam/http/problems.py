"""Errors as RFC 9457 problem details."""

from __future__ import annotations

import traceback
from typing import Any

import attrs
from pydantic import ValidationError

from nizam.errors import (
    FieldError,
    InternalError,
    NizamError,
    RateLimited,
    UnknownField,
    ValidationFailed,
)
from nizam.http.reply import PROBLEM, Reply
from nizam.model.validation import field_errors

_RETRY_SECONDS = "1"


def problem(
    error: BaseException, request_id: str, *, instance: str = "", debug: bool = False
) -> Reply:
    """The answer for `error`. One that NIZAM did not foresee says nothing about its cause.

    `debug` adds the traceback of unforeseen errors; it is refused in production.
    """
    known = error if isinstance(error, NizamError) else InternalError()
    document: dict[str, Any] = {
        "type": f"/docs#{known.code}",
        "title": known.title,
        "status": known.status,
        "detail": known.detail,
        "code": known.code,
        "request_id": request_id,
    }
    if instance:
        document["instance"] = instance
    if known.errors:
        document["errors"] = [attrs.asdict(it) for it in known.errors]
    for name, value in known.extra.items():
        document.setdefault(name, value)
    if debug and known is not error:
        document["traceback"] = traceback.format_exception(error)
    headers = known.headers
    if known.retryable and not isinstance(known, RateLimited):
        headers = (*headers, ("Retry-After", _RETRY_SECONDS))
    return Reply(document, known.status, headers, PROBLEM)


def from_validation(error: ValidationError, prefix: str = "") -> ValidationFailed:
    """Every wrong field that pydantic found, each with its JSON Pointer."""
    return wrong_fields(field_errors(error, prefix))


def wrong_fields(errors: list[FieldError]) -> ValidationFailed:
    """The problem for these fields: `unknown_field` if nothing else is wrong."""
    names = ", ".join(it.path or "the body" for it in errors[:5])
    more = f" and {len(errors) - 5} more" if len(errors) > 5 else ""
    if errors and all(it.code == "unknown_field" for it in errors):
        return UnknownField(f"unknown: {names}{more}", errors=errors)
    return ValidationFailed(f"wrong: {names}{more}", errors=errors)
