"""Which calls are recorded, and into which file.

The caller's extension and the DID have the whole call recorded on the caller's leg; the extension
that is called has its own leg recorded once it has answered, so that of a group only those are
recorded who are to be. A call is recorded into one file.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from nizam.model.audio import recordings_folder
from nizam.model.extension import Extension, RecordingPolicy
from nizam.model.feature_code import FeatureCode
from nizam.routing.context import Routing
from nizam.routing.plan import OfferRecording, RecordCall, Step
from nizam.routing.request import is_uuid
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView
from nizam.routing.time import local_time

_INBOUND = frozenset({"inbound", "all"})
_OUTBOUND = frozenset({"outbound", "all"})
_KEY = re.compile(r"\A\*([0-9])\Z")


def recording_folder(view: TenantView, now: datetime) -> str | None:
    """Where FreeSWITCH puts a recording of the tenant that begins `now`, as a path of its own; None
    without a media root."""
    root, tenant = view.media_root, view.tenant
    if root is None:
        return None
    at = local_time(now, tenant.time_zone)
    return f"{root}/{recordings_folder(view.id, tenant.recording_folders, at)}"


def of_call(routing: Routing) -> tuple[Step, ...]:
    """The steps that record the call, or let the parties do so, from when it is bridged."""
    caller, did = routing.caller, routing.did
    if did is not None and did.body.recording == "on_demand":
        routing.recorded_on_demand = True
    whole = _is_whole(routing)
    if whole is not None:
        path = _file(routing)
        if path is None:
            return ()
        routing.note("recording", "chosen", f"is recorded: {whole}")
        return (RecordCall(path),)
    by_caller = caller is not None and caller.body.recording == "on_demand"
    if not by_caller and not routing.recorded_on_demand:
        return ()
    key = _on_demand_key(routing)
    path = None if key is None else _file(routing)
    if key is None or path is None:
        return ()
    who: Literal["a", "b", "ab"] = "ab" if routing.recorded_on_demand else "a"
    if not by_caller:
        who = "b"
    routing.note("recording", "matched", f"can be recorded by pressing *{key}")
    return (OfferRecording(path, key, who),)


def of_callee(routing: Routing, entry: Entry[Extension]) -> str | None:
    """The file that the leg of an extension that is rung is recorded into; None for none."""
    policy: RecordingPolicy = entry.body.recording
    if policy == "on_demand":
        routing.recorded_on_demand = True
    if policy not in _INBOUND or _is_whole(routing) is not None:
        return None
    path = _file(routing)
    if path is not None:
        routing.note("recording", "chosen", f"{entry.body.number} has its calls recorded", entry)
    return path


def _is_whole(routing: Routing) -> str | None:
    """In words, why the whole call is recorded; None if it is not."""
    caller = routing.caller
    if caller is not None and caller.body.recording in _OUTBOUND:
        return f"calls of {caller.body.number} are"
    did = routing.did
    if did is not None and did.body.recording in _INBOUND:
        return f"calls to {did.body.number} are"
    return None


def _file(routing: Routing) -> str | None:
    """The file of this call as FreeSWITCH writes it; None, with a line in the trace, if there is
    no place for it."""
    folder = recording_folder(routing.view, routing.now)
    if folder is None:
        routing.note("recording", "failed", "there is no media root to record into")
        return None
    channel = routing.request.unique_id
    call = routing.request.call_id or channel
    if not is_uuid(channel) or not is_uuid(call):
        routing.note("recording", "failed", "the call has no id to name the file by")
        return None
    # A later question can come from another leg of the call, which is recorded apart.
    name = call if channel == call else f"{call}-{channel[:8]}"
    return f"{folder}/{name}.wav"


def _on_demand_key(routing: Routing) -> str | None:
    """The digit after the star that the tenant has for it."""
    codes: list[Entry[FeatureCode]] = routing.view.all(FeatureCode)
    for entry in codes:
        found = _KEY.match(entry.body.code)
        if entry.body.feature == "record" and entry.body.enabled and found is not None:
            return found[1]
    routing.note("recording", "failed", "no feature code of a star and one digit records calls")
    return None
