"""The answers to what cannot be done: one for each set of errors that share a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nizam.errors import (
    BadRequest,
    CsrfTokenMissing,
    DatabaseUnavailable,
    HeadersTooLarge,
    InternalError,
    InvalidTransition,
    MalformedJson,
    NizamError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestTooSlow,
    ScopeMissing,
    TargetTooLong,
    TimeoutExceeded,
    Unauthenticated,
    UnknownField,
    UnsupportedMediaType,
    ValidationFailed,
)
from nizam.http.openapi.headers import RATE_LIMITS, references
from nizam.http.openapi.walk import ref
from nizam.http.problems import problem
from nizam.http.route import Route

Errors = tuple[type[NizamError], ...]

_ALWAYS: Errors = (
    BadRequest,
    RequestTooSlow,
    TargetTooLong,
    HeadersTooLarge,
    RateLimited,
    InternalError,
    DatabaseUnavailable,
    TimeoutExceeded,
)
_WITH_BODY: Errors = (
    MalformedJson,
    PayloadTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
    UnknownField,
)
_RETRY = frozenset({429, 503, 504})


def errors_of(route: Route) -> Errors:
    """The errors that a request of the route can be answered with."""
    found: list[type[NizamError]] = [*_ALWAYS, *route.errors]
    if route.access != "public":
        found.append(Unauthenticated)
        if route.access != "any":
            found.append(ScopeMissing)
        if route.method != "GET":
            found.append(CsrfTokenMissing)
    if "{" in route.path:
        found.append(NotFound)
    if route.access == "tenant" and route.method != "GET":
        # A tenant that is terminated cannot be changed any more.
        found.append(InvalidTransition)
    if route.method in ("POST", "PUT", "PATCH"):
        found += _WITH_BODY
    if any(it.where == "query" for it in route.parameters):
        found.append(ValidationFailed)
    return tuple(dict.fromkeys(found))


def by_status(errors: Iterable[type[NizamError]]) -> dict[int, Errors]:
    """The errors that share a status, in the order of the statuses and their codes."""
    found: dict[int, set[type[NizamError]]] = {}
    for it in errors:
        found.setdefault(it.status, set()).add(it)
    return {
        status: tuple(sorted(found[status], key=lambda it: it.code)) for status in sorted(found)
    }


def response_name(errors: Errors) -> str:
    """The name of the answer for errors of one status: ConflictOrInUse."""
    return "Or".join(it.__name__ for it in errors)


def response(errors: Errors) -> dict[str, Any]:
    """The answer for errors of one status, with an example of each."""
    status = errors[0].status
    names = ["X-Request-Id", *RATE_LIMITS]
    names += ["Retry-After"] if status in _RETRY else []
    names += ["WWW-Authenticate"] if status == Unauthenticated.status else []
    about = "; ".join(f"`{it.code}`: {_first_line(it)}" for it in errors)
    return {
        "description": about,
        "headers": references(*names),
        "content": {
            "application/problem+json": {
                "schema": ref("Problem"),
                "examples": {it.code: {"value": example(it)} for it in errors},
            }
        },
    }


def example(error: type[NizamError]) -> dict[str, Any]:
    """A problem document as it is answered for such an error."""
    try:
        instance = error()
    except TypeError:
        instance = NizamError()
    shown = problem(instance, "01937a5e-0000-7000-8000-00000000000b").body
    document: dict[str, Any] = {**shown, "detail": _first_line(error)}
    if issubclass(error, ValidationFailed):
        code, message = _FIELDS.get(error.code, _FIELDS["validation_failed"])
        document["errors"] = [{"path": "/ring_seconds", "code": code, "message": message}]
    return {**document, **_MORE.get(error.code, {})}


def _first_line(error: type[NizamError]) -> str:
    return (error.__doc__ or error.title).strip().partition("\n\n")[0].replace("\n    ", " ")


_FIELDS = {
    "validation_failed": ("int_type", "Input should be a valid integer"),
    "unknown_field": ("unknown_field", "there is no such field"),
}
_REFERRER = {"type": "did", "id": "01937a5e-0000-7000-8000-00000000000c"}
_MORE: Mapping[str, Mapping[str, Any]] = {
    "scope_missing": {
        "scope": "extensions:write",
        "roles": ["platform_admin", "tenant_admin"],
        "yours": {"roles": [], "scopes": ["extensions:read"]},
    },
    "in_use": {"referrers": [_REFERRER]},
    "version_mismatch": {"current_version": 2},
    "login_locked": {"locked_until": "2026-11-28T09:45:00.000000Z"},
    "quota_exceeded": {"limit": 10},
}
"""The members that some problems have beside the standard ones."""
