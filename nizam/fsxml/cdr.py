"""The body that mod_json_cdr posts, in every form that it has.

The content type says nothing: JSON comes as form-urlencoded too. With `encode` the JSON is the
form field `cdr`; with `encode-values` the values in `variables` are percent-encoded, those in
`callflow` are not, and nothing says so. JSON from FreeSWITCH can hold invalid UTF-8.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, unquote_plus

import orjson

from nizam.errors import MalformedJson

_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
# What switch_url_encode never leaves as it is.
_UNSAFE = re.compile(r"[\r\n \"#&+:;<=>?@\[\\\]^`{|}]")


def read_cdr(body: bytes) -> dict[str, Any]:
    """The record, values decoded. Raises MalformedJson when there is none in the body."""
    text = body.decode("utf-8", "replace")
    if text.startswith("cdr="):
        text = unquote_plus(text.removeprefix("cdr=").partition("&")[0])
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(str(error)) from None
    if not isinstance(record, dict):
        raise MalformedJson("the CDR is not a JSON object")
    variables = record.get("variables")
    if isinstance(variables, dict) and _are_encoded(variables):
        record["variables"] = {
            name: unquote(it) if isinstance(it, str) else it for name, it in variables.items()
        }
    return record


def record_uuid(record: dict[str, Any], parameter: str) -> str | None:
    """The uuid of the leg: from the URL, where A legs may be marked `a_`, or from the record."""
    variables = record.get("variables")
    own = variables.get("uuid") if isinstance(variables, dict) else None
    found = parameter.removeprefix("a_") or own
    return found if isinstance(found, str) and found else None


def _are_encoded(variables: dict[str, Any]) -> bool:
    values = [it for it in variables.values() if isinstance(it, str)]
    return any(map(_ENCODED.search, values)) and not any(map(_UNSAFE.search, values))
