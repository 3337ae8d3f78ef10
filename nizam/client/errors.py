"""What goes wrong for a client: the API refused, or it could not be asked.

There is a class for each code of the API, so that `except NotFound` says what is meant. A code
that this version does not know is an `ApiError` with that code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from nizam.errors import FieldError


class ClientError(Exception):
    """The root: catch this to catch everything that the client raises on purpose."""


class CannotReach(ClientError):
    """No answer. `maybe_executed` is true when the request may have been carried out."""

    def __init__(self, detail: str, *, maybe_executed: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.maybe_executed = maybe_executed


class UnexpectedAnswer(ClientError):
    """An answer that is not the API's: another server, or a version that does not fit."""


class ApiError(ClientError):
    """The API answered with a problem (RFC 9457).

    `errors` names every wrong field; `extra` holds what the problem has beside the standard
    members, such as the referrers of `in_use`. `retry_after` is in seconds.
    """

    code: str = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        status: int,
        document: Mapping[str, Any],
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.code = str(document.get("code", self.code))
        self.title = str(document.get("title", f"HTTP status {status}"))
        self.detail = str(document.get("detail", self.title))
        self.request_id = request_id or document.get("request_id")
        self.retry_after = retry_after
        self.errors: Sequence[FieldError] = tuple(
            _field_error(it) for it in document.get("errors", ()) if isinstance(it, Mapping)
        )
        self.extra = {name: it for name, it in document.items() if name not in _STANDARD}
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        wrong = "; ".join(f"{it.path} {it.message}" for it in self.errors)
        return f"{self.detail} ({self.code}{': ' + wrong if wrong else ''})"


@attrs.frozen
class CellError(FieldError):
    """What is wrong with a file that was imported, by row and column; None is no single one."""

    row: int | None
    column: str | None


def _field_error(it: Mapping[str, Any]) -> FieldError:
    path, code, message = (str(it.get(name, "")) for name in ("path", "code", "message"))
    if "row" not in it:
        return FieldError(path, code, message)
    return CellError(path, code, message, it["row"], it.get("column"))


_STANDARD = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
)


class InternalError(ApiError):
    """The server's own fault."""

    code = "internal"


class BadRequest(ApiError):
    """The form of the request, a header or a parameter is not understood."""

    code = "bad_request"


class MalformedJson(ApiError):
    """The body is not JSON."""

    code = "malformed_json"


class MalformedTable(ApiError):
    """The body is no CSV file in UTF-8."""

    code = "malformed_csv"


class ValidationFailed(ApiError):
    """Fields are wrong; `errors` names all of them."""

    code = "validation_failed"


class UnknownField(ValidationFailed):
    """The request has fields that do not exist."""

    code = "unknown_field"


class PayloadTooLarge(ApiError):
    """The body is over the limit of this endpoint."""

    code = "payload_too_large"


class Unauthenticated(ApiError):
    """No credentials, or credentials that are not valid."""

    code = "unauthenticated"


class ScopeMissing(ApiError):
    """The credentials lack a scope, which `extra["scope"]` names."""

    code = "scope_missing"


class NotFound(ApiError):
    """It does not exist, or it belongs to somebody else."""

    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path does not know this method."""

    code = "method_not_allowed"


class NotAcceptable(ApiError):
    """The answer cannot have any of the media types that are accepted."""

    code = "not_acceptable"


class Conflict(ApiError):
    """Another object is in the way, such as one with the same number."""

    code = "conflict"


class InUse(Conflict):
    """The object is still referred to; `extra` lists the referrers."""

    code = "in_use"


class CallRefused(Conflict):
    """Routing would not let the call go there; `extra["outcome"]` says which way it is refused."""

    code = "call_refused"


class QuotaExceeded(Conflict):
    """The tenant has as many of these as its quota allows."""

    code = "quota_exceeded"


class InvalidTransition(Conflict):
    """The present state has no such step."""

    code = "invalid_transition"


class VersionMismatch(ApiError):
    """The object has changed since it was read."""

    code = "version_mismatch"


class PreconditionRequired(ApiError):
    """This request is only accepted with an ETag."""

    code = "precondition_required"


class IdempotencyMismatch(ApiError):
    """The idempotency key was used before with another request."""

    code = "idempotency_mismatch"


class RateLimited(ApiError):
    """Too many requests; it was not carried out."""

    code = "rate_limited"
    retryable = True


class DatabaseUnavailable(ApiError):
    """PostgreSQL did not answer the server."""

    code = "database_unavailable"
    retryable = True


class KeyValueUnavailable(ApiError):
    """Redis did not answer the server."""

    code = "redis_unavailable"
    retryable = True


class SwitchUnavailable(ApiError):
    """No FreeSWITCH node is connected that could run the command."""

    code = "switch_unavailable"
    retryable = True


class SwitchError(ApiError):
    """FreeSWITCH refused the command; `detail` carries its text."""

    code = "switch_error"


class TimeoutExceeded(ApiError):
    """A peer of the server did not answer in time; whether it acted is not known."""

    code = "timeout"
    retryable = True


class RequestTooSlow(ApiError):
    """The client took too long to send its request."""

    code = "request_timeout"


class TargetTooLong(ApiError):
    """The request line is longer than any URL of ours."""

    code = "uri_too_long"


class ExpectationFailed(ApiError):
    """The client expects something other than 100-continue."""

    code = "expectation_failed"


class HeadersTooLarge(ApiError):
    """The header fields are too many or too long."""

    code = "headers_too_large"


class UnsupportedMediaType(ApiError):
    """The body has a media type that this path does not take."""

    code = "unsupported_media_type"


class RangeNotSatisfiable(ApiError):
    """The range that was asked for begins after the end of the file."""

    code = "range_not_satisfiable"


class CsrfTokenMissing(ApiError):
    """A browser's session needs the X-CSRF-Token that its login gave for every change."""

    code = "csrf_token_missing"


class MediaUnavailable(Conflict):
    """The media root is not there, not mounted or not writable; or a file in it is gone."""

    code = "media_unavailable"


class UpgradeRequired(ApiError):
    """The path speaks WebSocket only."""

    code = "upgrade_required"


class StreamsFull(ApiError):
    """The server, or the tenant, has as many streams open as it may."""

    code = "streams_full"
    retryable = True


class StorageUnavailable(ApiError):
    """Where recordings are kept cannot be reached now."""

    code = "storage_unavailable"
    retryable = True


class LinkInvalid(ApiError):
    """A link to a recording does not hold: it has expired, or was changed."""

    code = "link_invalid"


class LegalHold(Conflict):
    """The recording is under legal hold: nothing deletes it."""

    code = "legal_hold"


class StorageFull(ApiError):
    """The file system of the media root has no room for the file."""

    code = "storage_full"


class LoginLocked(RateLimited):
    """Too many wrong passwords; `extra` says until when not even the right one is taken."""

    code = "login_locked"


class PageNotAllowed(ApiError):
    """A page of another site may not sign its visitors in here."""

    code = "page_not_allowed"


def known_codes() -> Mapping[str, type[ApiError]]:
    """The class of each code."""
    found: dict[str, type[ApiError]] = {}
    waiting: list[type[ApiError]] = ApiError.__subclasses__()
    while waiting:
        it = waiting.pop()
        found[it.code] = it
        waiting += it.__subclasses__()
    return found


def error_from(
    status: int,
    document: object,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ApiError:
    """The exception for a problem; `document` is what the answer's body held, whatever it is."""
    problem = document if isinstance(document, Mapping) else {}
    kind = known_codes().get(str(problem.get("code")), ApiError)
    return kind(status, problem, request_id=request_id, retry_after=retry_after)
