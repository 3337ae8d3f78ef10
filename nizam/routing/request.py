"""What is asked about a call: by FreeSWITCH when it needs a dialplan, or by a dry run."""

from __future__ import annotations

import attrs

PUBLIC_CONTEXT = "public"
"""The context in which calls from outside arrive; a tenant's own context is its domain."""

ZONE_DID = "nizam_zone_did_id"
"""The channel variable that keeps the DID whose time zone counts for the call."""


@attrs.frozen
class CallRequest:
    """One question. Only what the switch itself vouches for may decide about rights.

    `context` and `destination` are what FreeSWITCH hunts for. `caller_extension` is the number of
    the extension whose phone signed in on this leg, `caller_extension_id` the id that our own
    directory put on it. `caller_number` and `caller_name` are what the caller claims, good for
    display only. `call_id` is the one an earlier question of the same call was given.
    `disposition` is how the last attempt to ring somebody ended on this leg. `ivr_misses` counts
    the numbers without an extension that the caller has dialled in the menu until now. `node` is
    the switch that asks; `question_id` (its core uuid and Event-Sequence) and `asked_at`, in
    microseconds since 1970 by its clock, are the same whenever the same question comes again.
    `zone_did_id` is the DID whose time zone counts for this call.
    """

    context: str
    destination: str
    unique_id: str
    call_id: str | None = None
    caller_extension: str | None = None
    caller_extension_id: str | None = None
    caller_number: str = ""
    caller_name: str = ""
    own_domain: str | None = None
    disposition: str | None = None
    ivr_misses: int = 0
    node: str = ""
    question_id: str = ""
    asked_at: int | None = None
    zone_did_id: str | None = None
