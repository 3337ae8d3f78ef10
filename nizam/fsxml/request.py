"""The form that mod_xml_curl posts, read field by field.

A dialplan question is up to 10 KB of some 150 fields, of which a dozen and a half matter. Fields
are found in the raw bytes when they are asked for. Values are percent-encoded except comma and
slash, so a `&` in the body always separates fields; of a repeated field (`section`) the first one
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby, islice
from urllib.parse import unquote_plus

from nizam.fsxml import values
from nizam.fsxml.originate import CALLER_ID
from nizam.routing.destinations.ivr import IVR_MISSES
from nizam.routing.flow_state import FLOW_NEXT, FLOW_TO, HOPS, VARIABLE
from nizam.routing.request import NO_FLOW, PART_OF, ZONE_DID, CallRequest, FlowState

_MICROSECONDS = re.compile(r"\A[0-9]{1,17}\Z")
_COUNTS = frozenset(map(str, range(1000)))
_OWN = b"variable_nizam_"
_VARIABLE = len(b"variable_")
_FLOW_VARIABLE = re.compile(rf"\A{VARIABLE}([a-z][a-z0-9_]{{0,39}})\Z")
_MOST_VARIABLES = 200


def _pattern(names: Iterable[str]) -> re.Pattern[bytes]:
    """Matches these fields and every variable of ours. A regular expression tries its alternatives
    one after the other: so the names are told apart by their first word first."""

    def word(name: str) -> str:
        return re.split("(?<=[-_])", name, maxsplit=1)[0]

    alternatives = [
        re.escape(start) + "(?:" + "|".join(re.escape(it.removeprefix(start)) for it in same) + ")"
        for start, same in groupby(sorted(names), word)
    ]
    own = f"{_OWN.decode()}[^=&]*"
    return re.compile(f"&({'|'.join([*alternatives, own])})=([^&]*)".encode())


_OF_CALL = _pattern(
    (
        "Answer-State",
        "Caller-Network-Addr",
        "Core-UUID",
        "Event-Date-Timestamp",
        "Event-Sequence",
        "Hunt-Caller-ID-Name",
        "Hunt-Caller-ID-Number",
        "Hunt-Context",
        "Hunt-Destination-Number",
        "Hunt-Privacy-Hide-Number",
        "Unique-ID",
        "variable_domain_name",
        "variable_effective_caller_id_name",
        "variable_originate_disposition",
        "variable_sensitive_dtmf",
        "variable_sip_auth_username",
        "variable_sip_authorized",
        f"variable_sip_h_{values.CALL_HEADER}",
    )
)
_PEER_CALL_ID = b"variable_sip_h_%b" % values.CALL_HEADER.encode()


@cache
def _needle(name: str) -> bytes:
    return b"&%b=" % name.encode()


def _decoded(value: bytes) -> str:
    """A value as it was meant. Broken UTF-8 is replaced."""
    text = value.decode("utf-8", "replace")
    return unquote_plus(text, "utf-8", "replace") if "%" in text or "+" in text else text


class XmlRequest:
    """One question of FreeSWITCH. `field` never raises: what is not there is empty."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = b"&" + body

    def field(self, name: str) -> str:
        """The decoded value of a field, empty if it is not there. Broken UTF-8 is replaced."""
        body = self._body
        start = body.find(_needle(name))
        if start < 0:
            return ""
        start += len(name) + 2
        end = body.find(b"&", start)
        return _decoded(body[start:] if end < 0 else body[start:end])

    def matching(self, names: re.Pattern[bytes]) -> dict[bytes, bytes]:
        """The fields that a pattern of `&(name)=(value)` matches, not decoded, found in one pass:
        most are not there, and to find that out of each takes a look at the whole body."""
        found = names.findall(self._body)
        found.reverse()
        return dict(found)

    @property
    def section(self) -> str:
        """directory, dialplan, configuration, languages, phrases, chatplan ..."""
        return self.field("section")


def call_request(request: XmlRequest, node: str = "") -> CallRequest:
    """The routing question of a dialplan request.

    The tenant comes from the context that FreeSWITCH hunts in, the caller from the credentials
    that it checked (`sip_authorized`) or from what our directory set. Nothing is taken from what
    a caller can write: From, display name, headers. `node` is the switch whose credentials came
    with it.
    """
    found = request.matching(_OF_CALL)
    own = {
        name[_VARIABLE:].decode("utf-8", "replace"): _decoded(value)
        for name, value in found.items()
        if name.startswith(_OWN)
    }

    def field(name: bytes) -> str:
        value = found.get(name)
        return "" if value is None else _decoded(value)

    username = field(b"variable_sip_auth_username")
    authorized = field(b"variable_sip_authorized") == "true"
    misses = own.get(IVR_MISSES, "")
    asked_at = field(b"Event-Date-Timestamp")
    hops = own.get(HOPS, "")
    return CallRequest(
        context=field(b"Hunt-Context"),
        destination=field(b"Hunt-Destination-Number"),
        unique_id=field(b"Unique-ID"),
        call_id=own.get("nizam_call_id") or None,
        caller_extension=username if username and authorized else None,
        caller_extension_id=own.get("nizam_extension_id") or None,
        caller_number=field(b"Hunt-Caller-ID-Number"),
        caller_name=field(b"variable_effective_caller_id_name") or field(b"Hunt-Caller-ID-Name"),
        caller_hides=field(b"Hunt-Privacy-Hide-Number") == "true",
        own_domain=field(b"variable_domain_name") or None,
        disposition=field(b"variable_originate_disposition") or None,
        ivr_misses=int(misses) if misses in _COUNTS else 0,
        hops=int(hops) if hops in _COUNTS else 0,
        node=node,
        network_ip=field(b"Caller-Network-Addr"),
        peer_call_id=field(_PEER_CALL_ID) or None,
        part_of=own.get(PART_OF) or None,
        question_id=f"{field(b'Core-UUID')} {field(b'Event-Sequence')}",
        asked_at=int(asked_at) if _MICROSECONDS.match(asked_at) else None,
        zone_did_id=own.get(ZONE_DID) or None,
        answered=field(b"Answer-State") == "answered",
        digits_hidden=field(b"variable_sensitive_dtmf") == "true",
        flow=_flow_state(own),
        shown_caller=own.get(CALLER_ID) or None,
    )


def _flow_state(own: Mapping[str, str]) -> FlowState:
    following = own.get(FLOW_NEXT, "")
    if not following:
        return NO_FLOW
    named = ((_FLOW_VARIABLE.match(name), value) for name, value in own.items())
    variables = ((match[1], value) for match, value in named if match is not None)
    return FlowState(following, own.get(FLOW_TO, ""), dict(islice(variables, _MOST_VARIABLES)))
