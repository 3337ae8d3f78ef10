"""What a switch says of its configuration over the event socket (`xml_locate`, mod_commands)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from nizam.ops.doctor.event_socket import EventSocket
from nizam.ops.doctor.running import ProbeError

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, recover=False)


def configuration(switch: EventSocket, name: str) -> Any:
    """The element of a configuration such as `xml_curl.conf` as the switch has it, from NIZAM or
    from its files; None when it has none."""
    return _parsed(switch.api(f"xml_locate configuration configuration name {name}"))


def from_files(switch: EventSocket) -> Any:
    """The whole document that the switch has read from its files."""
    return _parsed(switch.api("xml_locate root"))


def _parsed(text: str) -> Any:
    if not text.startswith("<"):
        return None
    try:
        return etree.fromstring(text.encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise ProbeError(f"its configuration cannot be read: {error}") from None


def params(element: Any) -> Mapping[str, list[str]]:
    """The values of the `<param>` below an element, by their names."""
    found: dict[str, list[str]] = {}
    for it in () if element is None else element.iter("param"):
        found.setdefault(it.get("name", ""), []).append(it.get("value", ""))
    return found


def first(values: Mapping[str, list[str]], name: str, default: str = "") -> str:
    """The one that counts when a parameter is there once."""
    return values.get(name, [default])[0]


def version_of(text: str) -> tuple[int, ...]:
    """Such as (1, 10, 12), out of what `version` prints; empty when there is none in it."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else ()
