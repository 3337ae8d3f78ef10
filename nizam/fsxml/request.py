"""The form that mod_xml_curl posts, read field by field.

A dialplan question is up to 10 KB of some 150 fields, of which a dozen matter. Fields are found
in the raw bytes when they are asked for. Values are percent-encoded except comma and slash, so a
`&` in the body always separates fields; of a repeated field (`section`) the first one counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from itertools import islice
from urllib.parse import unquote_plus

from nizam.fsxml import values
from nizam.routing.destinations.ivr import IVR_MISSES
from nizam.routing.flow_state import FLOW_NEXT, FLOW_TO, HOPS, VARIABLE
from nizam.routing.request import NO_FLOW, ZONE_DID, CallRequest, FlowState

_MICROSECONDS = re.compile(r"\A[0-9]{1,17}\Z")
_COUNTS = frozenset(map(str, range(1000)))
_OWN = b"&variable_nizam_"
_FLOW_VARIABLE = re.compile(rf"\A{VARIABLE}([a-z][a-z0-9_]{{0,39}})\Z")
_MOST_VARIABLES = 200


@cache
def _needle(name: str) -> bytes:
    return b"&%b=" % name.encode()


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
        value = (body[start:] if end < 0 else body[start:end]).decode("utf-8", "replace")
        if "%" in value or "+" in value:
            return unquote_plus(value, "utf-8", "replace")
        return value

    def own_variables(self) -> dict[str, str]:
        """The channel's variables that are named `nizam_...`, found in one pass: most are not
        there, and to find that out of each takes a look at the whole body."""
        body = self._body
        found: dict[str, str] = {}
        start = body.find(_OWN)
        while start >= 0:
            start += len(_OWN)
            end = body.find(b"&", start)
            name, _, value = (body[start:] if end < 0 else body[start:end]).partition(b"=")
            text = value.decode("utf-8", "replace")
            if "%" in text or "+" in text:
                text = unquote_plus(text, "utf-8", "replace")
            found.setdefault(f"nizam_{name.decode('utf-8', 'replace')}", text)
            start = -1 if end < 0 else body.find(_OWN, end)
        return found

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
    field, own = request.field, request.own_variables()
    username = field("variable_sip_auth_username")
    authorized = field("variable_sip_authorized") == "true"
    misses = own.get(IVR_MISSES, "")
    asked_at = field("Event-Date-Timestamp")
    destination = field("Hunt-Destination-Number")
    hops = own.get(HOPS, "")
    return CallRequest(
        context=field("Hunt-Context"),
        destination=destination,
        unique_id=field("Unique-ID"),
        call_id=own.get("nizam_call_id") or None,
        caller_extension=username if username and authorized else None,
        caller_extension_id=own.get("nizam_extension_id") or None,
        caller_number=field("Hunt-Caller-ID-Number"),
        caller_name=field("variable_effective_caller_id_name") or field("Hunt-Caller-ID-Name"),
        caller_hides=field("Hunt-Privacy-Hide-Number") == "true",
        own_domain=field("variable_domain_name") or None,
        disposition=field("variable_originate_disposition") or None,
        ivr_misses=int(misses) if misses in _COUNTS else 0,
        hops=int(hops) if hops in _COUNTS else 0,
        node=node,
        network_ip=field("Caller-Network-Addr"),
        peer_call_id=field(f"variable_sip_h_{values.CALL_HEADER}") or None,
        question_id=f"{field('Core-UUID')} {field('Event-Sequence')}",
        asked_at=int(asked_at) if _MICROSECONDS.match(asked_at) else None,
        zone_did_id=own.get(ZONE_DID) or None,
        answered=field("Answer-State") == "answered",
        digits_hidden=field("variable_sensitive_dtmf") == "true",
        flow=_flow_state(own),
    )


def _flow_state(own: Mapping[str, str]) -> FlowState:
    following = own.get(FLOW_NEXT, "")
    if not following:
        return NO_FLOW
    named = ((_FLOW_VARIABLE.match(name), value) for name, value in own.items())
    variables = ((match[1], value) for match, value in named if match is not None)
    return FlowState(following, own.get(FLOW_TO, ""), dict(islice(variables, _MOST_VARIABLES)))
