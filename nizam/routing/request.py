"""What is asked about a call: by FreeSWITCH when it needs a dialplan, or by a dry run."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

PUBLIC_CONTEXT = "public"
"""The context in which calls from outside arrive; a tenant's own context is its domain."""

ZONE_DID = "nizam_zone_did_id"
"""The channel variable that keeps the DID whose time zone counts for the call."""

PART_OF = "nizam_part_of"
"""The channel variable that names the call at another switch of which this call is a part."""
_UUID = re.compile(r"\A[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def is_uuid(text: str) -> bool:
    """Whether it is a UUID as FreeSWITCH writes the ids of channels."""
    return _UUID.match(text) is not None


@attrs.frozen
class FlowState:
    """Where a call is in a call flow, as its channel remembers it.

    `next` is the token that the flow itself last sent the call to, which nobody but NIZAM puts on a
    channel; `to` is what was dialled when the flow began. `variables` are the flow's own: callers
    and other people's servers have chosen the values.
    """

    next: str = ""
    to: str = ""
    variables: Mapping[str, str] = attrs.field(factory=dict, hash=False)


NO_FLOW = FlowState()


@attrs.frozen
class CallRequest:
    """One question. Only what the switch itself vouches for may decide about rights.

    `context` and `destination` are what FreeSWITCH hunts for. `caller_extension` is the number of
    the extension whose phone signed in on this leg, `caller_extension_id` the id that our own
    directory put on it. `caller_number` and `caller_name` are what the caller claims, good for
    display only; `caller_hides` says that neither is to be shown (Privacy, Remote-Party-ID).
    `call_id` is the one an earlier question of the same call was given. `disposition` is how the
    last attempt to ring somebody ended on this leg. `ivr_misses` counts the numbers without an
    extension that the caller has dialled in the menu until now. `node` is the switch that asks;
    `question_id` (its core uuid and Event-Sequence) and `asked_at`, in microseconds since 1970 by
    its clock, are the same whenever the same question comes again. `zone_did_id` is the DID whose
    time zone counts for this call. `answered` says whether the caller's call is; `hops` counts the
    re-entries of the call until now.
    `digits_hidden` says that an earlier answer keeps what is pressed out of events and logs.
    `shown_caller` is the number in E.164 to be shown outside, of a call that the API has placed.
    `network_ip` is the address that the call came from, `peer_call_id` the call id that came with
    it, which counts only from another switch of ours. `part_of` is the call at another switch that
    this one was found to be a part of.
    """

    context: str
    destination: str
    unique_id: str
    call_id: str | None = None
    caller_extension: str | None = None
    caller_extension_id: str | None = None
    caller_number: str = ""
    caller_name: str = ""
    caller_hides: bool = False
    own_domain: str | None = None
    disposition: str | None = None
    ivr_misses: int = 0
    hops: int = 0
    node: str = ""
    network_ip: str = ""
    peer_call_id: str | None = None
    part_of: str | None = None
    question_id: str = ""
    asked_at: int | None = None
    zone_did_id: str | None = None
    answered: bool = False
    digits_hidden: bool = False
    flow: FlowState = NO_FLOW
    shown_caller: str | None = None

    @property
    def known_id(self) -> str:
        """The id of the call: the one that it was given before, or that of this leg; empty when
        neither is one."""
        return next((it for it in (self.call_id, self.unique_id) if it and is_uuid(it)), "")
