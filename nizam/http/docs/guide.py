"""What holds for every operation: the first page of the reference."""

from __future__ import annotations

from nizam.http.docs.html import block, paragraphs, tag
from nizam.http.docs.problems import explained, problem_example

_CURL = """\
URL=https://nizam.example.com KEY=nzm_live_...
TENANT=01937a5e-0000-7000-8000-0000000000ff

curl "$URL/api/v1/tenants/$TENANT/extensions" \\
  -H "Authorization: Bearer $KEY\""""

_PYTHON = """\
from nizam.client import Client

client = Client(
    "https://nizam.example.com", "nzm_live_..."
)
acme = client.tenant("acme")
ada = acme.extensions.create(
    number="1001", display_name="Ada Lovelace"
)
print(ada.secrets["sip_password"])"""

_PAGE = """\
{
  "data": [{"id": "01937a5e-...", "number": "1001"}],
  "next_cursor": "WyJudW1iZXIi...",
  "has_more": true
}"""

_PAGES = """\
for it in acme.extensions.list(enabled=True, sort="-number"):
    print(it.body.number)"""

_KEY = """\
curl -X POST "$URL/api/v1/tenants/$TENANT/extensions" \\
  -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: order-4711" \\
  -d '{"number": "1001", "display_name": "Ada Lovelace"}'"""

_IF_MATCH = """\
curl -X PATCH "$URL/api/v1/tenants/$TENANT/extensions/$ID" \\
  -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/merge-patch+json" \\
  -H 'If-Match: "3"' \\
  -d '{"ring_seconds": 40}'"""

_LIMITS = """\
RateLimit-Policy: "default";q=60;w=60
RateLimit: "default";r=59;t=1
X-RateLimit-Limit: 60
X-RateLimit-Remaining: 59
X-RateLimit-Reset: 1"""

SECTIONS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "start",
        "Start here",
        "NIZAM is asked by JSON over HTTP, below `/api/v1`. Ids are UUIDv7; calls and their legs "
        "have FreeSWITCH's own. Times are RFC 3339 in UTC with microseconds. What ends in "
        "`_seconds` is a setting in seconds, what ends in `_ms` was measured in milliseconds. "
        "Public numbers are E.164 with `+`.\n\n"
        "A tenant's things are below `/api/v1/tenants/{tenant_id}`. Another tenant's do not exist "
        "for you: 404.\n\n"
        "The same as this reference is at [/api/v1/openapi.json](/api/v1/openapi.json) for "
        "programs, as OpenAPI 3.1. Requests have no fields that are not described; answers can get "
        "new ones in later versions, so pass over those that you do not know.",
        ((_CURL, "curl"), (_PYTHON, "Python")),
    ),
    (
        "authentication",
        "Authentication",
        "Send `Authorization: Bearer` with an [API key](/docs/api-keys) (`nzm_...`), or with a "
        "token (`nzt_...`) that a user got by [logging in](/docs/auth). Browsers have a session in "
        "a cookie; with it every change needs the header `X-CSRF-Token` that the login gave.\n\n"
        "A key is shown once, when it is made or rotated. It can be limited to scopes, to source "
        "networks and in time. After a rotation both texts work for a while.\n\n"
        "Scopes are `resource:action`, such as `extensions:read`; `extensions:*` is all of one "
        "resource, `*` everything. A user's roles are sets of the same scopes. What you lack is "
        "named in the 403, with who has it. [Who am I](/docs/auth#me) tells what you have.",
        (('curl "$URL/api/v1/me" \\\n  -H "Authorization: Bearer $KEY"', "curl"),),
    ),
    (
        "lists",
        "Lists and pages",
        "A list answers a page: `data`, `next_cursor` and `has_more`. Send `next_cursor` as "
        "`cursor` to get the next page; objects that come and go meanwhile make no other appear "
        "twice or not at all. `limit` is 1 to 200, 50 by default.\n\n"
        "`sort` takes a field, with `-` before it to descend. A filter is `field=value`, or "
        "`field[op]=value` with one of `gte`, `lte`, `gt`, `lt`, `in` (values divided by commas) "
        "and `prefix`; all filters hold at once. `q` searches names and numbers.",
        ((_PAGE, "200 application/json"), (_PAGES, "Python")),
    ),
    (
        "idempotency",
        "Repeating safely",
        "Send an `Idempotency-Key` of your own making, 1 to 255 characters, with a POST. The same "
        "key with the same body gives the first answer again for 24 hours, secrets included, with "
        "`Idempotent-Replayed: true`; nothing is made twice. With another body it is 422 "
        "`idempotency_mismatch`. GET, PUT and DELETE can be repeated as they are. The Python "
        "client does all of this by itself.",
        ((_KEY, "curl"),),
    ),
    (
        "versions",
        "Changing what somebody else changes too",
        "Every object has a `version`, and its answers an `ETag` made of it. Send the ETag as "
        "`If-Match` with PUT, PATCH or DELETE, and the change is refused with 412 "
        "`version_mismatch` when somebody else was first; `changes` says what they did. With "
        "`If-None-Match` a GET is answered with 304 when you have the present version already.\n\n"
        "PATCH is a JSON Merge Patch (RFC 7396): the fields that are sent change, objects are "
        "merged, lists are replaced, and null gives a field its default back. PUT replaces "
        "everything but secrets that are left out.",
        ((_IF_MATCH, "curl"),),
    ),
    (
        "secrets",
        "Secrets",
        "SIP passwords, gateway passwords, PINs and signing secrets are stored encrypted. Those "
        "that NIZAM makes are shown once, in the answer to the creation. After that they are read "
        "by `POST .../{id}/reveal` alone, which needs a scope of its own and is written to the "
        "[audit log](/docs/audit-logs).",
        (),
    ),
    (
        "rate-limits",
        "Rate limits",
        "Each key has a number of requests a minute, 60 unless configured otherwise; a key can "
        "have its own, and a tenant has one for all of its keys. Every answer says what is left. "
        "Over the limit it is 429, and `Retry-After` says when to come back. Requests that cost "
        "the server more count for several. Logging in has limits of its own.",
        ((_LIMITS, "Header fields"),),
    ),
    (
        "errors",
        "Errors",
        "Errors are `application/problem+json` (RFC 9457). `code` is stable: rely on it, not on "
        "the words. `errors` names every wrong field at once, each with a JSON Pointer, a code and "
        "a message. Quote the `request_id` when you ask for help; it is in `X-Request-Id` too, and "
        "is your own if you sent one.\n\n"
        "Any request can be answered with `bad_request`, `unauthenticated`, `rate_limited`, "
        "`database_unavailable`, `timeout` and `internal`, besides what its operation says.",
        (),
    ),
)
"""Anchor, title, text, and what is shown beside it: code and its title."""


def guide() -> str:
    """The page's content."""
    parts = []
    for anchor, title, text, examples in SECTIONS:
        heading = tag("h2", tag("a", title, href=f"#{anchor}"))
        shown = "".join(block(*it) for it in examples)
        if anchor == "errors":
            shown = problem_example()
        said = tag("div", heading, paragraphs(text), class_="said")
        parts.append(
            tag(
                "section",
                said,
                tag("div", shown, class_="shown"),
                id=anchor,
                class_="operation",
            )
        )
    problems = tag("h2", tag("a", "Problem codes", href="#problems"), id="problems")
    return (
        tag("h1", "The NIZAM API")
        + "".join(parts)
        + tag("div", problems, explained(), class_="problems")
    )
