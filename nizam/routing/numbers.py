"""Numbers as people and carriers write them, and as NIZAM compares them: E.164 with its plus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType

from nizam.model.values import CallerNumberFormat

_DIALLED = re.compile(r"\A\+?[0-9*#]{1,32}\Z", re.ASCII)
_E164 = re.compile(r"\A\+[1-9][0-9]{4,14}\Z", re.ASCII)

_SHORTEST = 5
"""Shorter numbers are short codes (110, 911), which mean nothing in another country."""

_LONGEST_FOR_HELP = 6

Kind = Literal["local", "international", "premium"]


def is_dialled(text: str) -> bool:
    """Whether `text` is something a person can dial: digits, star, hash, a plus in front."""
    return _DIALLED.match(text) is not None


@lru_cache(maxsize=20_000)
def to_e164(dialled: str, country: str) -> str | None:
    """`dialled` as E.164, read as somebody in `country` (ISO 3166-1) would dial it.

    International prefixes (00, 011 ...) and trunk prefixes are those of the country. None when it
    cannot be a public number.
    """
    if _E164.match(dialled):
        return dialled
    if not dialled.isdigit() or not dialled.isascii() or len(dialled) < _SHORTEST:
        return None
    try:
        number = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=20_000)
def is_possible(e164: str) -> bool:
    """Whether a number in E.164 has a country code that there is, and a length that it can have."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return False


@lru_cache(maxsize=20_000)
def country_of(e164: str) -> str | None:
    """The country of a number in E.164 (ISO 3166-1 alpha-2; `001` for networks of no country);
    None when nobody has been given such numbers."""
    try:
        found = phonenumbers.region_code_for_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return None
    return None if found is None else str(found)


@lru_cache(maxsize=20_000)
def is_emergency(dialled: str, country: str) -> bool:
    """Whether `dialled` calls for help in `country`: 911, 112, 110 ..."""
    short = dialled.isdigit() and dialled.isascii() and len(dialled) <= _LONGEST_FOR_HELP
    return short and bool(phonenumbers.is_emergency_number(dialled, country))


@lru_cache(maxsize=20_000)
def written(e164: str, form: CallerNumberFormat, country: str) -> str:
    """A number in E.164 as a carrier in `country` wants it; see model.values.NumberFormat.

    `national` is the national number with its trunk prefix, such as 0, where the country dials one
    (ITU-T E.123), and the international form for another country.
    """
    if form == "e164_plus":
        return e164
    if form == "e164":
        return e164.removeprefix("+")
    if form == "national":
        try:
            number = phonenumbers.parse(e164)
        except phonenumbers.NumberParseException:
            return e164
        if number.country_code == phonenumbers.country_code_for_region(country):
            style = phonenumbers.PhoneNumberFormat.NATIONAL
            return "".join(filter(str.isdigit, phonenumbers.format_number(number, style)))
    return international_prefix(country) + e164.removeprefix("+")


@cache
def international_prefix(country: str) -> str:
    """What is dialled before a foreign number in `country`: 00, 011 ..."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country, None)
    if metadata is not None:
        for found in (metadata.preferred_international_prefix, metadata.international_prefix):
            if found and found.isdigit():
                return str(found)
    return "00"


def did_candidates(received: str) -> Iterator[str]:
    """The E.164 forms that a number received from a carrier may stand for, likeliest first.

    Carriers send +1555..., 1555..., 001555..., 0111555...; what they send says which, not where
    they are.
    """
    if _E164.match(received):
        yield received
        return
    if not received.isdigit() or not received.isascii():
        return
    for prefix in ("", "00", "011"):
        if received.startswith(prefix):
            candidate = f"+{received[len(prefix) :]}"
            if _E164.match(candidate):
                yield candidate


def national_candidates(received: str) -> Iterator[str]:
    """The E.164 forms of a number written nationally, one for each country calling code.

    Whoever uses one must check it with `to_e164` and the country of the tenant it leads to.
    """
    if not received.isdigit() or not received.isascii() or len(received) > 15:
        return
    national = received.lstrip("0")
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        yield f"+{code}{national}"


@lru_cache(maxsize=20_000)
def kind(e164: str, country: str) -> Kind:
    """Whether calling `e164` from `country` is a local, an international or a premium call.

    Premium are those that libphonenumber says so of, and those of `premium_prefixes.txt`:
    satellites and international networks among them. What is shared between countries (+1) is
    international when its area code belongs to another one.
    """
    if e164.startswith(_premium_prefixes()):
        return "premium"
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return "international"
    if phonenumbers.number_type(number) == PhoneNumberType.PREMIUM_RATE:
        return "premium"
    return "local" if _region(number) == country else "international"


@lru_cache(maxsize=20_000)
def country(e164: str) -> str | None:
    """The country (ISO 3166-1) that a number in E.164 belongs to; None if it is of none."""
    try:
        return _region(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return None


def _region(number: phonenumbers.PhoneNumber) -> str | None:
    """The country of the number, judged by its first digits when it is not assigned."""
    region: str | None = phonenumbers.region_code_for_number(number)
    if region is not None:
        return region
    regions = phonenumbers.region_codes_for_country_code(number.country_code or 0)
    national = phonenumbers.national_significant_number(number)
    for code in regions:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(code, None)
        leading = None if metadata is None else metadata.leading_digits
        if leading and re.match(leading, national):
            return str(code)
    return str(regions[0]) if regions else None


@cache
def _premium_prefixes() -> tuple[str, ...]:
    """The first word of each line of `premium_prefixes.txt`."""
    text = files(__package__).joinpath("premium_prefixes.txt").read_text(encoding="utf-8")
    return tuple(it.split()[0] for it in text.splitlines() if it.startswith("+"))


_CLASSES = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "+": r"\+", "*": r"\*"}


@lru_cache(maxsize=10_000)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A dial pattern (digits, X 0-9, Z 1-9, N 2-9, a final . for one or more) as an expression."""
    return re.compile("".join(_CLASSES.get(it, it) for it in pattern))


def matches(pattern: str, dialled: str, e164: str | None) -> bool:
    """Whether a pattern fits: one that starts with + the E.164 form, others what was dialled."""
    text = e164 if pattern.startswith("+") else dialled
    return text is not None and compile_pattern(pattern).fullmatch(text) is not None
