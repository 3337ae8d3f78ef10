"""Learns from a recording what FreeSWITCH says about a leg, and where in its source each event is.

    python -m nizam.sim.learn < events-json-all.s2c.raw > nizam/sim/recorded.json

The input is the recorded `event json ALL` stream of the run "calls". For one leg of each role the
variables that appear at each stage are kept in their order, with what belongs to that one call
replaced by placeholders; what the dialplan, the directory or the course of the call sets is left
to the simulation.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping

import attrs

Pairs = list[tuple[str, str]]

DIRECTORY = "*directory*"  # here the variables of the directory's user are set
DIAL_STRING = "*dialstring*"  # here exported variables and those of the dial-string are set

_STAGES = {
    "CHANNEL_CREATE": "create",
    "CHANNEL_PROGRESS": "progress",
    "CHANNEL_PROGRESS_MEDIA": "media",
    "CHANNEL_ANSWER": "answer",
    "CHANNEL_BRIDGE": "established",
    "CALL_UPDATE": "established",
    "CHANNEL_HANGUP_COMPLETE": "complete",
}

# Set by the simulation itself, because they depend on what happens in the call.
_LIVE = re.compile(
    r"hangup_after_bridge|continue_on_fail|dialed_\w+|export_vars|call_direction|ringback|"
    r"call_timeout|current_application(_data)?|originat\w+|DIALSTATUS|signal_bond|\w*bridge_\w+|"
    r"last_sent_callee_\w+|did_number|transfer_\w+|domain_name|user_context|tenant_id|accountcode|"
    r"effective_caller_\w+|outbound_caller_\w+|callgroup|toll_allow|max_forwards|call_uuid|"
    r"endpoint_disposition|pre_transfer_\w+|channel_cid_flipped"
)
_FROM_DIRECTORY = re.compile(
    r"user_context|tenant_id|accountcode|effective_caller_\w+|outbound_caller_\w+|callgroup|"
    r"toll_allow"
)
_FROM_DIAL_STRING = re.compile(
    r"export_vars|dialed_extension|sip_invite_domain|presence_id|origination_\w+"
)
_RTP_STATISTICS = re.compile(r"rtp_audio_(in|out|rtcp)_\w+")


@attrs.frozen
class Reference:
    """A recorded leg to learn a role from, and what in its values belongs to that call only."""

    role: str
    unique_id: str
    placeholders: Mapping[str, str]


_COMMON = {
    "4fb4fae7-8b2d-440b-8903-24ad9988defd": "core_uuid",
    "fs1.example.test": "hostname",
}
_ACME = {
    "acme.example.test": "domain",
    "User 1001": "caller_name",
    "Acme 1001": "caller_name",
    "1001": "caller",
    "1002": "destination",
}
REFERENCES = (
    Reference(
        "internal",
        "f1ce7d5b-bfdb-4635-8f61-2ebffbfe2240",
        _ACME | {"7301": "port", "14530": "pid", "cZXZ6er6r004a": "tag", "22066": "rtp_port"},
    ),
    Reference(
        "external",
        "0addeb2c-ae9b-4ca0-963c-101c1cd38c4c",
        {
            "carrier.example.test": "domain",
            "User 13105550999": "caller_name",
            "13105550999": "caller",
            "12025550101": "destination",
            "7324": "port",
            "16052": "pid",
            "jv4F4aZKNcS9B": "tag",
            "29578": "rtp_port",
        },
    ),
    Reference(
        "user",
        "2af9ac13-307c-466d-9da9-bfd0b9f92d49",
        _ACME
        | {
            "f1ce7d5b-bfdb-4635-8f61-2ebffbfe2240": "other_uuid",
            "39471175-6235-1240-68ae-f6ffbd16c22c": "sip_call_id",
            "7102": "port",
            "14525": "pid",
            "14530": "pid",
            "D8pr8989N9pQp": "tag",
            "23170": "rtp_port",
        },
    ),
    Reference(
        "gateway",
        "f80f172b-7632-4bf6-ae01-d895e48b6a5d",
        {
            "e188f027-fa29-43e4-aaed-7143e4d25409": "other_uuid",
            "89968a9e-6235-1240-68ae-f6ffbd16c22c": "sip_call_id",
            "Acme 1001": "caller_name",
            "12025550101": "caller",
            "12025550777": "destination",
            "acme-trunk": "gateway",
            "7900": "port",
            "16114": "pid",
            "16123": "pid",
            "HmmgUH90U0BDK": "tag",
            "21004": "rtp_port",
        },
    ),
    Reference(
        "originate",
        "85dffe34-092a-4de8-8239-e33224db2aa9",
        _ACME
        | {
            "ebb58767-6235-1240-68ae-f6ffbd16c22c": "sip_call_id",
            "Click To Dial": "caller_name",
            "0000000000": "caller",
            "7102": "port",
            "17670": "pid",
            "29D6g9pQ7reSm": "tag",
        },
    ),
)
_BY_NAME = {
    "session_id": "{session_id}",
    "sip_invite_stamp": "{created}",
    "Event-Date-Local": "{date_local}",
    "Event-Date-GMT": "{date_gmt}",
    "Event-Date-Timestamp": "{created}",
    "Event-Sequence": "{sequence}",
    "uuid": "{uuid}",
}


def learn(stream: bytes) -> dict[str, object]:
    """What recorded.json holds: `calling` by event, `legs` by role and stage, `statistics`."""
    events = list(_events(stream))
    calling: dict[str, list[str]] = {}
    for event in events:
        fields = dict(event)
        key = fields.get("Event-Subclass") or fields["Event-Name"]
        action = fields.get("VM-Action")
        if key in ("conference::maintenance", "valet_parking::info"):
            action = fields["Action"]
        calling.setdefault(f"{key} {action}" if action else key, _calling(fields))
    statistics: Pairs = []
    legs = {}
    for reference in REFERENCES:
        own = [e for e in events if dict(e).get("Unique-ID") == reference.unique_id]
        legs[reference.role] = stages = _stages(own, reference)
        statistics = [
            pair for pair in stages.pop("complete", []) if _RTP_STATISTICS.fullmatch(pair[0])
        ] or statistics
    return {"calling": calling, "legs": legs, "statistics": statistics}


def _calling(fields: Mapping[str, str]) -> list[str]:
    names = ("File", "Function", "Line-Number")
    return [fields[f"Event-Calling-{name}"] for name in names]


def _stages(events: Iterable[Pairs], reference: Reference) -> dict[str, Pairs]:
    stages: dict[str, Pairs] = {}
    before: Pairs = []
    for event in events:
        fields = dict(event)
        stage = _STAGES.get(fields["Event-Name"])
        if stage is None or stage in stages:
            continue
        now = [(n.removeprefix("variable_"), v) for n, v in event if n.startswith("variable_")]
        stages[stage] = list(_generalised(stage, _set_since(before, now), reference))
        before = now
    return stages


def _set_since(before: Pairs, now: Pairs) -> Pairs:
    """What was set between two events: setting moves a variable to the end, changed or not."""
    order = [name for name, _ in before]
    position = 0
    for index, (name, _) in enumerate(now):
        try:
            position = order.index(name, position) + 1
        except ValueError:
            return now[index:]
    return []


def _generalised(stage: str, added: Pairs, reference: Reference) -> Iterator[tuple[str, str]]:
    marked: set[str] = set()
    for name, value in added:
        marker = None
        if stage == "create" and _FROM_DIRECTORY.fullmatch(name):
            marker = DIRECTORY
        elif stage == "create" and _dialled(name, reference):
            marker = DIAL_STRING
        elif stage != "create" and _LIVE.fullmatch(name):
            continue
        if marker is None:
            yield name, _BY_NAME.get(name) or _template(value, reference)
        elif marker not in marked:
            marked.add(marker)
            yield marker, ""


def _dialled(name: str, reference: Reference) -> bool:
    return reference.role not in ("internal", "external") and bool(
        _FROM_DIAL_STRING.fullmatch(name)
    )


def _template(value: str, reference: Reference) -> str:
    known = {reference.unique_id: "uuid"} | _COMMON | dict(reference.placeholders)
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(text)}(?!\d)" for text in longest_first))
    escaped = value.replace("{", "{{").replace("}", "}}")
    return pattern.sub(lambda match: "{" + known[match[0]] + "}", escaped)


def _events(stream: bytes) -> Iterator[Pairs]:
    position = 0
    while (end := stream.find(b"\n\n", position)) >= 0:
        head = stream[position:end].decode()
        found = re.search(r"^Content-Length: (\d+)$", head, re.MULTILINE)
        start = end + 2
        position = start + (int(found[1]) if found else 0)
        if "text/event-json" in head:
            text = stream[start:position].decode(errors="replace")
            yield json.loads(text, object_pairs_hook=lambda pairs: pairs)


if __name__ == "__main__":
    json.dump(learn(sys.stdin.buffer.read()), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
