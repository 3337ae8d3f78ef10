"""The form that mod_xml_curl posts, read field by field.

A dialplan question is up to 10 KB of some 150 fields, of which a dozen matter. Fields are found
in the raw bytes when they are asked for. Values are percent-encoded except comma and slash, so a
`&` in the body always separates fields; of a repeated field (`section`) the first one counts.
"""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import unquote_plus

from nizam.routing.destinations.ivr import IVR_MISSES
from nizam.routing.request import ZONE_DID, CallRequest

_MICROSECONDS = re.compile(r"\A[0-9]{1,17}\Z")
_COUNTS = frozenset(map(str, range(100)))


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
    field = request.field
    username = field("variable_sip_auth_username")
    authorized = field("variable_sip_authorized") == "true"
    misses = field(f"variable_{IVR_MISSES}")
    asked_at = field("Event-Date-Timestamp")
    return CallRequest(
        context=field("Hunt-Context"),
        destination=field("Hunt-Destination-Number"),
        unique_id=field("Unique-ID"),
        call_id=field("variable_nizam_call_id") or None,
        caller_extension=username if username and authorized else None,
        caller_extension_id=field("variable_nizam_extension_id") or None,
        caller_number=field("Hunt-Caller-ID-Number"),
        caller_name=field("variable_effective_caller_id_name") or field("Hunt-Caller-ID-Name"),
        own_domain=field("variable_domain_name") or None,
        disposition=field("variable_originate_disposition") or None,
        ivr_misses=int(misses) if misses in _COUNTS else 0,
        node=node,
        question_id=f"{field('Core-UUID')} {field('Event-Sequence')}",
        asked_at=int(asked_at) if _MICROSECONDS.match(asked_at) else None,
        zone_did_id=field(f"variable_{ZONE_DID}") or None,
    )
