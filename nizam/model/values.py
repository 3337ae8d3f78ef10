"""The kinds of values that fields hold, each with its limits.

Text that people type can reach XML, dialplan data, logs and SQL. Control characters and lone
surrogates have no honest use in any of them, and `${` starts a variable expansion that
FreeSWITCH performs even when it is escaped, so they are refused here, before anything is stored.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints

_CONTROL = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_XML = re.compile("[\ufffe\uffff]")


def safe_text(value: str) -> str:
    """Return `value` unchanged; raise ValueError for text that no peer can take safely."""
    if _SURROGATE.search(value):
        raise ValueError("holds half of a surrogate pair, which is not text")
    if _CONTROL.search(value):
        raise ValueError("holds a control character")
    if _NOT_XML.search(value):
        raise ValueError("holds a character that XML does not allow")
    if "${" in value or "$$" in value:
        raise ValueError("holds '${' or '$$', which FreeSWITCH would expand")
    return value


def made_safe(value: str) -> str:
    """`value` without what `safe_text` would refuse."""
    for unsafe in (_SURROGATE, _CONTROL, _NOT_XML):
        value = unsafe.sub("", value)
    return value.replace("${", "$ {").replace("$$", "$ $").replace("$$", "$ $")


def known_time_zone(value: str) -> str:
    """Return `value` if it names an IANA time zone; raise ValueError otherwise."""
    if value not in _time_zones():
        raise ValueError("is not an IANA time zone such as Europe/Berlin")
    return value


@cache
def _time_zones() -> frozenset[str]:
    """Every zone of the IANA database, but what stands for no place or for this machine's own.

    Kept, since the database is some 600 files that are opened each time.
    """
    return frozenset(available_timezones() - {"Factory", "localtime"})


TEXT_LENGTH = 255

Text = Annotated[str, StringConstraints(max_length=TEXT_LENGTH), AfterValidator(safe_text)]
"""Up to 255 characters on one line."""

Label = Annotated[
    str,
    StringConstraints(min_length=1, max_length=120, strip_whitespace=True),
    AfterValidator(safe_text),
]
"""A name for people: 1 to 120 characters."""

LongText = Annotated[str, StringConstraints(max_length=2000), AfterValidator(safe_text)]

InternalNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{2,15}$"), Field(examples=["1001"])
]
"""A number dialled inside a tenant: 2 to 15 digits."""

E164 = Annotated[
    str, StringConstraints(pattern=r"^\+[1-9][0-9]{4,14}$"), Field(examples=["+12025550101"])
]
"""A public number in E.164 with its plus sign."""

DialString = Annotated[
    str, StringConstraints(pattern=r"^\+?[0-9*#]{1,32}$"), Field(examples=["+12025550199"])
]
"""What a person may dial: digits, star and hash, optionally in E.164."""

NumberFormat = Literal["as_routed", "e164_plus", "e164", "national", "international", "as_dialled"]
"""How a number is written for a carrier. `e164_plus` +442079460000, `e164` 442079460000,
`international` 00442079460000 (with the prefix of the tenant's country, such as 011), `national`
02079460000 within the country and as `international` beyond it, `as_dialled` as the caller dialled
it, `as_routed` as the route's pattern is written: E.164 with its plus for one that starts with +,
otherwise as dialled."""

CallerNumberFormat = Literal["e164_plus", "e164", "national", "international"]
"""How the caller's number is written for a carrier; see NumberFormat."""

TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(known_time_zone)]

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(examples=["DE"])]
"""ISO 3166-1 alpha-2."""

Language = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$"), Field(examples=["en"])
]

Domain = Annotated[
    str,
    StringConstraints(
        max_length=253,
        to_lower=True,
        pattern=r"^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+"
        r"[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
    ),
    Field(examples=["acme.example.test"]),
]
"""A DNS name with at least two labels, lower case."""

Host = Annotated[
    str,
    StringConstraints(
        max_length=253,
        pattern=r"^([a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?|[0-9a-fA-F:]{2,39})$",
    ),
    Field(examples=["sip.example.com"]),
]
"""A host name or an IP address, without port."""

Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
    Field(examples=["acme"]),
]

Port = Annotated[int, Field(ge=1, le=65535)]

SipToken = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._~+*-]{1,64}$"), Field(examples=["acme"])
]
"""A SIP user name without any character that FreeSWITCH gives a meaning to."""

SipPassword = Annotated[str, StringConstraints(min_length=12, max_length=128, pattern=r"^[!-~]+$")]
"""12 to 128 printable ASCII characters without blanks."""

HangupCause = Annotated[
    str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{2,40}$"), Field(examples=["USER_BUSY"])
]


def stays_below(value: str) -> str:
    """Return a path unchanged; raise ValueError for one that leads up again."""
    if ".." in value:
        raise ValueError("holds '..'")
    return value


SoundPath = Annotated[
    str,
    StringConstraints(
        max_length=255,
        pattern=r"^(tone_stream://[%(),;=0-9A-Za-z.]+|[A-Za-z0-9_.-][A-Za-z0-9/_.-]*)$",
    ),
    AfterValidator(stays_below),
    Field(examples=["ivr/ivr-welcome.wav"]),
]
"""A sound as FreeSWITCH reads it: a path below its folder of sounds, without `..`, or a
tone_stream. Elsewhere are the recordings and voicemails of others."""
