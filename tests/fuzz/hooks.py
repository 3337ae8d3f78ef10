"""What schemathesis is told before each request, so that it reaches what is there.

Random ids are of nothing. Most of them are replaced by ids of the furnished tenant, always the
same one for the same random id, so that a run can be repeated; those that came out of answers stay.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any
from zlib import crc32

import schemathesis

from nizam.model.registry import resources
from nizam.model.resource import Resource

_IDS: dict[str, list[str]] = json.loads(os.environ["NIZAM_FUZZ_IDS"])
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_BY_NAME: dict[str, Resource] = dict(resources())
_BY_DESTINATION = {
    it.destination_type: it for it in _BY_NAME.values() if it.destination_type is not None
} | {"voicemail": _BY_NAME["extension"]}
_EVENT_OF_EXAMPLES = "evt_0193a1b2c3d40123456789abcdef0123"
_ENDS_TENANT = re.compile(r".*/tenants/{tenant_id}(/suspend|/terminate)?\Z")
_OF_EXAMPLES = "01937a5e-0000-"
_ONE_IN = 8
"""Of so many random ids one stays."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Lead the request to what is there; nobody outside is told of it."""
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        case.path_parameters[name] = _led(path, name, value, case.method.upper())
    if isinstance(case.body, dict | list):
        case.body = _body(case.body)


def _led(path: str, name: str, value: Any, method: str) -> Any:
    if name == "tenant_id":
        tenants = _IDS["tenants"]
        if method != "GET" and _ENDS_TENANT.match(path):
            return _one_of(tenants[1:], value)
        return _one_of(tenants[:1], value)
    segment = path.partition("/{" + name + "}")[0].rpartition("/")[2]
    if segment == "call-events" and value == _EVENT_OF_EXAMPLES and _IDS[segment]:
        return _IDS[segment][0]
    return _one_of(_IDS.get(segment, []), value)


def _one_of(ids: list[str], value: Any) -> Any:
    if not ids or not isinstance(value, str) or not _UUID.match(value):
        return value
    of_example, number = value.startswith(_OF_EXAMPLES), crc32(value.encode())
    is_real = value.startswith("019") and not of_example
    if is_real or (number % _ONE_IN == 0 and not of_example):
        return value
    return ids[number % len(ids)]


def _body(value: Any) -> Any:
    if isinstance(value, list):
        return [_body(it) for it in value]
    if not isinstance(value, dict):
        return value
    found = {name: _body(it) for name, it in value.items()}
    target = _BY_DESTINATION.get(str(found.get("type"))) if "id" in found else None
    if target is not None:
        found["id"] = _one_of(_IDS[target.path], found["id"])
    for name, given in list(found.items()):
        pointed = name.removesuffix("_id").removeprefix("inbound_")
        if name.endswith("_id") and pointed in _BY_NAME:
            found[name] = _one_of(_IDS[_BY_NAME[pointed].path], given)
    # Only this machine is talked to.
    if isinstance(found.get("url"), str):
        found["url"] = re.sub(r"^(https?://)[^/?#]*", r"\g<1>127.0.0.1:9", found["url"])
    if isinstance(found.get("esl_host"), str) and re.search(r"\w", found["esl_host"]):
        found["esl_host"] = "127.0.0.1"
    return found
