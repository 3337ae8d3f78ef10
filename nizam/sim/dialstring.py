"""Dial-strings: the argument of `bridge` and `originate`, read as FreeSWITCH reads it.

`{a=b}` holds for the whole string, `[a=b]` for one leg, `,` rings together, `|` tries one after
the other, `:_:` separates independent branches. `{^^:a=b:c=d}` chooses another delimiter. A
backslash or single quotes keep a delimiter from counting. Source: switch_ivr_originate.c,
switch_event.c (switch_event_create_brackets).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


class DialStringError(ValueError):
    """The text is not a dial-string; FreeSWITCH would end the call DESTINATION_OUT_OF_ORDER."""


@attrs.frozen
class DialLeg:
    """One thing to ring: `technology` is user, sofia, error, loopback..., `address` the rest."""

    variables: Mapping[str, str]
    technology: str
    address: str


@attrs.frozen
class DialString:
    """One branch: `attempts` are tried in turn, the legs of one attempt ring together."""

    variables: Mapping[str, str]
    attempts: tuple[tuple[DialLeg, ...], ...]


def parse_dial_string(text: str) -> tuple[DialString, ...]:
    """The branches of `text`, one unless it holds `:_:`.

    Raises DialStringError for an unclosed bracket, an empty leg or one without a technology.
    """
    return tuple(_branch(part) for part in text.split(":_:"))


def _branch(text: str) -> DialString:
    variables, rest = _brackets(text.strip(), "{", "}")
    attempts = tuple(
        tuple(_leg(leg) for leg in _split(attempt, ",")) for attempt in _split(rest, "|")
    )
    return DialString(variables, attempts)


def _leg(text: str) -> DialLeg:
    variables, rest = _brackets(text.strip(), "[", "]")
    own, rest = _brackets(rest, "{", "}")
    technology, slash, address = rest.partition("/")
    if not slash or not technology:
        raise DialStringError(f"no technology in {text!r}")
    return DialLeg(own | variables, technology, address)


def _brackets(text: str, opening: str, closing: str) -> tuple[dict[str, str], str]:
    """All leading bracketed blocks of one kind as variables, and what follows them."""
    variables: dict[str, str] = {}
    while text.startswith(opening):
        end = _closing(text, opening, closing)
        block, text = text[1:end], text[end + 1 :].lstrip()
        delimiter = ","
        if block.startswith("^^") and len(block) > 2:
            delimiter, block = block[2], block[3:]
        for item in _split(block, delimiter):
            name, equals, value = item.partition("=")
            if equals and name.strip():
                variables[name.strip()] = _unquote(value, delimiter)
    return variables, text


def _closing(text: str, opening: str, closing: str) -> int:
    depth = 0
    for index, character in enumerate(text):
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return index
    raise DialStringError(f"no {closing!r} in {text!r}")


def _split(text: str, delimiter: str) -> list[str]:
    """`text` cut at `delimiter` where it is not escaped, quoted or inside brackets."""
    parts, start, depth, quoted, index = [], 0, 0, False, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            index += 1
        elif character == "'":
            quoted = not quoted
        elif not quoted and character in "[{":
            depth += 1
        elif not quoted and character in "]}":
            depth -= 1
        elif not quoted and depth == 0 and character == delimiter:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    parts.append(text[start:])
    return parts


def _unquote(value: str, delimiter: str) -> str:
    value = value.replace("\\" + delimiter, delimiter)
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    return value
