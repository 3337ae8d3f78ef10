"""Every error that NIZAM raises on purpose, each with the words that outsiders rely on.

An error knows its stable `code`, the HTTP status it becomes, a title that never changes and
whether the same request may succeed later. The API renders it as RFC 9457 problem details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs


@attrs.frozen
class FieldError:
    """One wrong field of a request.

    `path` is a JSON Pointer (RFC 6901) into the body, or the name of a query parameter;
    `code` is stable, `message` is for people.
    """

    path: str
    code: str
    message: str


class NizamError(Exception):
    """The root: catch this to catch everything that NIZAM foresees.

    `extra` members are shown in the problem document beside the standard ones.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Sequence[tuple[str, str]] = (),
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = tuple(headers)
        self.extra = extra


class InternalError(NizamError):
    """Our own fault."""


class ValidationFailed(NizamError):
    """One or more fields are wrong; `errors` names all of them."""

    code = "validation_failed"
    status = 422
    title = "The request has wrong fields"


class UnknownField(ValidationFailed):
    """The request has fields that do not exist."""

    code = "unknown_field"
    title = "The request has unknown fields"


class MalformedJson(NizamError):
    """The body is not JSON (RFC 8259), or holds what JSON forbids, such as duplicate keys."""

    code = "malformed_json"
    status = 400
    title = "The body is not valid JSON"


class MalformedTable(NizamError):
    """The body is no CSV file (RFC 4180) in UTF-8."""

    code = "malformed_csv"
    status = 400
    title = "The body is not a valid CSV file"


class BadRequest(NizamError):
    """The request itself is not understood: its form, a header or a query parameter."""

    code = "bad_request"
    status = 400
    title = "The request is not understood"


class RequestTooSlow(NizamError):
    """The client took too long to send its request."""

    code = "request_timeout"
    status = 408
    title = "The request did not arrive in time"


class TargetTooLong(NizamError):
    """The request line is longer than any URL of ours."""

    code = "uri_too_long"
    status = 414
    title = "The URL is too long"


class ExpectationFailed(NizamError):
    """The client expects something other than 100-continue."""

    code = "expectation_failed"
    status = 417
    title = "That expectation is not supported"


class HeadersTooLarge(NizamError):
    """The header fields are too many or too long."""

    code = "headers_too_large"
    status = 431
    title = "The header fields are too large"


class PayloadTooLarge(NizamError):
    """The body is over the limit of this endpoint."""

    code = "payload_too_large"
    status = 413
    title = "The body is too large"


class UnsupportedMediaType(NizamError):
    """The body has a media type that this path does not take."""

    code = "unsupported_media_type"
    status = 415
    title = "This media type is not taken here"


class RangeNotSatisfiable(NizamError):
    """The range that was asked for begins after the end of the file."""

    code = "range_not_satisfiable"
    status = 416
    title = "There is no such range"


class Unauthenticated(NizamError):
    """No credentials, or credentials that are not valid."""

    code = "unauthenticated"
    status = 401
    title = "Valid credentials are needed"


class ScopeMissing(NizamError):
    """The credentials are valid but lack a scope; `extra` names it."""

    code = "scope_missing"
    status = 403
    title = "The credentials lack a scope"


class CsrfTokenMissing(NizamError):
    """A browser's session needs the X-CSRF-Token that its login gave for every change."""

    code = "csrf_token_missing"
    status = 403
    title = "The X-CSRF-Token of the session is missing or wrong"


class PageNotAllowed(NizamError):
    """A page of another site may not sign its visitors in here."""

    code = "page_not_allowed"
    status = 403
    title = "Pages of that site may not do this"


class NotFound(NizamError):
    """It does not exist, or it belongs to somebody else: the two look the same."""

    code = "not_found"
    status = 404
    title = "Not found"


class MethodNotAllowed(NizamError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"
    status = 405
    title = "This method is not allowed here"


class NotAcceptable(NizamError):
    """The answer cannot have any of the media types that the client accepts."""

    code = "not_acceptable"
    status = 406
    title = "No media type that the client accepts"


class Conflict(NizamError):
    """Another object stands in the way, such as one with the same number."""

    code = "conflict"
    status = 409
    title = "Another object is in the way"


class InUse(Conflict):
    """The object is still referred to; `extra` lists the referrers."""

    code = "in_use"
    title = "The object is still in use"


class QuotaExceeded(Conflict):
    """The tenant has as many of these as its quota allows."""

    code = "quota_exceeded"
    title = "The quota is used up"


class CallRefused(Conflict):
    """Routing would not let the call go there; `detail` has its words, `extra` its outcome."""

    code = "call_refused"
    title = "The call may not go there"


class MediaUnavailable(Conflict):
    """The media root is not there, not mounted or not writable; or a file in it is gone."""

    code = "media_unavailable"
    title = "The media root is not available"


class LegalHold(Conflict):
    """The recording is under legal hold."""

    code = "legal_hold"
    title = "It is under legal hold"


class LinkInvalid(NizamError):
    """A signed link that was changed, or whose time is over."""

    code = "link_invalid"
    status = 403
    title = "The link does not hold"


class StorageUnavailable(NizamError):
    """The object storage does not take, or give, what it should."""

    code = "storage_unavailable"
    status = 503
    title = "The object storage is not available"
    retryable = True


class StorageFull(NizamError):
    """The file system of the media root has no room for the file."""

    code = "storage_full"
    status = 507
    title = "No room is left for the file"


class InvalidTransition(Conflict):
    """The state machine has no such step from the present state."""

    code = "invalid_transition"
    title = "This step is not possible in the present state"


class VersionMismatch(NizamError):
    """`If-Match` names another version than the present one."""

    code = "version_mismatch"
    status = 412
    title = "The object has changed"


class PreconditionRequired(NizamError):
    """This request is only accepted with `If-Match`."""

    code = "precondition_required"
    status = 428
    title = "If-Match is required"


class IdempotencyMismatch(NizamError):
    """The idempotency key was used before with another request."""

    code = "idempotency_mismatch"
    status = 422
    title = "The idempotency key belongs to another request"


class UpgradeRequired(NizamError):
    """The path speaks another protocol than HTTP; the `Upgrade` header names it."""

    code = "upgrade_required"
    status = 426
    title = "Another protocol is needed"


class RateLimited(NizamError):
    """Too many requests; the `Retry-After` header says when to come back."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"
    retryable = True


class LoginLocked(RateLimited):
    """Too many wrong passwords; `extra` says until when not even the right one is taken."""

    code = "login_locked"
    title = "Too many wrong passwords"


class DatabaseUnavailable(NizamError):
    """PostgreSQL did not answer within its deadline, or no connection was free."""

    code = "database_unavailable"
    status = 503
    title = "The database is not available"
    retryable = True


class KeyValueUnavailable(NizamError):
    """Redis did not answer within its deadline."""

    code = "redis_unavailable"
    status = 503
    title = "Redis is not available"
    retryable = True


class StreamsFull(NizamError):
    """This instance, or the tenant, has as many streams open as it may."""

    code = "streams_full"
    status = 503
    title = "No more streams can be opened now"
    retryable = True


class SwitchUnavailable(NizamError):
    """No FreeSWITCH node is connected that could run the command."""

    code = "switch_unavailable"
    status = 503
    title = "The switch is not available"
    retryable = True


class ConnectionGone(SwitchUnavailable):
    """The connection to FreeSWITCH ended before the answer came.

    `maybe_executed` is true when the command had been written: it may have been carried out.
    """

    def __init__(self, detail: str = "", *, maybe_executed: bool) -> None:
        super().__init__(detail or "the connection to FreeSWITCH ended before the answer came")
        self.maybe_executed = maybe_executed


class SwitchError(NizamError):
    """FreeSWITCH answered `-ERR`; `detail` carries its text."""

    code = "switch_error"
    status = 502
    title = "The switch refused the command"


class TimeoutExceeded(NizamError):
    """A peer did not answer in time, and whether it acted is not known."""

    code = "timeout"
    status = 504
    title = "No answer in time"
    retryable = True
