"""What each problem code means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from nizam.errors import NizamError
from nizam.http.docs.html import as_json, block, code, prose, tag
from nizam.http.openapi.problems import example

ADVICE: Mapping[str, str] = {
    "bad_request": "Look at the query and the header fields; `detail` says which is wrong.",
    "malformed_json": "Send one JSON object in UTF-8, without duplicate keys, NaN or lone "
    "surrogates, nested at most 32 deep.",
    "malformed_csv": "Send a CSV file (RFC 4180) in UTF-8 with a header line.",
    "not_acceptable": "Accept one of the media types that the operation names.",
    "unauthenticated": "Send `Authorization: Bearer` with a key or token that still holds, from an "
    "address that it may be used from.",
    "scope_missing": "`scope` is what is missing, `roles` who has it, `yours` what you have. Ask "
    "an administrator for a key or a role with it.",
    "csrf_token_missing": "Send the `csrf_token` that the login gave, as `X-CSRF-Token`, with "
    "every change.",
    "page_not_allowed": "Log in from a page of this server, or have its origin added to the "
    "settings.",
    "not_found": "Look at the ids: it is not there, not there any more, or another tenant's.",
    "method_not_allowed": "`Allow` names the methods that the path has.",
    "request_timeout": "Send the whole request sooner.",
    "conflict": "`errors` names the field, `holder` who has the number. Choose another, or change "
    "that one first.",
    "in_use": "`referrers` lists who still refers to it. Change or delete those first.",
    "quota_exceeded": "Delete what is no longer needed, or have the tenant's quota raised.",
    "call_refused": "`detail` is why routing does not let the call go there; `nizam explain` shows "
    "every step.",
    "media_unavailable": "Mount the media root on this instance; `nizam doctor` says what is "
    "wrong.",
    "legal_hold": "Have the hold released by whoever has `recordings:hold`.",
    "link_invalid": "Ask for a new link: this one was changed, or its time is over.",
    "storage_unavailable": "Send it again; `detail` is what the object storage said.",
    "invalid_transition": "Look at the tenant's status; the steps are in [tenants](/docs/tenants).",
    "version_mismatch": "Read the object again, apply your change to it, and send its new ETag. "
    "`changes` says what has changed meanwhile.",
    "payload_too_large": "Send less: 1 MiB, unless the operation says otherwise.",
    "uri_too_long": "Send fewer filters, or shorter ones.",
    "unsupported_media_type": "Send the body as the operation says, with its `Content-Type`.",
    "range_not_satisfiable": "Ask for a range within the file; `Content-Range` says how long it "
    "is.",
    "expectation_failed": "Send no `Expect` but `100-continue`.",
    "validation_failed": "`errors` names every wrong field with a JSON Pointer, a code and words.",
    "unknown_field": "Leave out the fields that do not exist; `errors` names them.",
    "idempotency_mismatch": "Choose a new key for a new request.",
    "precondition_required": "Read the object and send its ETag as `If-Match`.",
    "rate_limited": "Wait for as long as `Retry-After` says.",
    "login_locked": "Wait until `locked_until`, or have a reset token issued.",
    "headers_too_large": "Send fewer or shorter header fields.",
    "internal": "Not your fault. Tell the operator the `request_id`.",
    "switch_error": "`detail` is what FreeSWITCH said.",
    "database_unavailable": "Send it again after `Retry-After`; with an Idempotency-Key that is "
    "safe for a POST too.",
    "redis_unavailable": "Send it again after `Retry-After`.",
    "switch_unavailable": "Send it again once a switch node is connected.",
    "timeout": "Whether it was carried out is not known: look, or send it again with the same "
    "Idempotency-Key.",
    "upgrade_required": "Connect with a WebSocket client.",
    "streams_full": "Connect again after `Retry-After`, perhaps to another instance.",
    "storage_full": "Make room where the media root lies.",
}
"""By code."""

_NOT_SERVED = frozenset({"setting_invalid"})


def explained() -> str:
    """A section for each code, under an anchor of its name."""
    parts = []
    for it in sorted(_kinds(), key=lambda it: (it.status, it.code)):
        heading = tag("h3", code(it.code), " ", tag("span", str(it.status), class_="status"))
        said = [heading, tag("p", escape(f"{it.title}.")), tag("p", prose(_meaning(it)))]
        said.append(tag("p", prose(ADVICE.get(it.code, ""))))
        parts.append(tag("section", *said, id=it.code, class_="problem"))
    return "".join(parts)


def problem_example() -> str:
    """One problem document, whole."""
    kind = next(it for it in _kinds() if it.code == "validation_failed")
    return block(as_json(example(kind)), "422 application/problem+json")


def _kinds() -> Iterator[type[NizamError]]:
    found = {it.code: it for it in _subclasses(NizamError) if "code" in vars(it)}
    found["internal"] = NizamError
    return (it for code, it in found.items() if code not in _NOT_SERVED)


def _subclasses(kind: type[NizamError]) -> Iterator[type[NizamError]]:
    for it in kind.__subclasses__():
        yield it
        yield from _subclasses(it)


def _meaning(kind: type[NizamError]) -> str:
    if kind is NizamError:
        return "Something went wrong that was not foreseen."
    return " ".join((kind.__doc__ or kind.title).split())
