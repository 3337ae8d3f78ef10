"""What FreeSWITCH 1.11 makes of an answer, written anew from its source and of nothing of NIZAM's.

The functions are named for what they stand for: the preprocessor of XML files (switch_xml.c), the
expansion of variables (switch_channel.c), the splitting of strings (switch_utils.c), the braces of
variables (switch_event.c) and dial-strings (switch_ivr_originate.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import attrs

_DIRECTIVES = re.compile(rb"x-pre-process|<!--#|<include>|</include>|<\?", re.IGNORECASE)


class NotInert(AssertionError):
    """FreeSWITCH would do more with a text than take it as it is."""


def preprocess(raw: bytes) -> bytes:
    """switch_xml.c, preprocess(): the text as it is parsed. NotInert if it is not `raw` itself."""
    if b"$${" in raw:
        raise NotInert("a global variable would be put in")
    found = _DIRECTIVES.search(raw)
    if found is not None:
        raise NotInert(f"the preprocessor obeys {found[0]!r}, or drops the line")
    if b"\x00" in raw:
        raise NotInert("the text ends at a NUL")
    return raw


@attrs.define
class Expansion:
    """What came of expanding: the variables that were read, the API commands that were run."""

    variables: Mapping[str, str] = attrs.field(factory=dict)
    read: list[str] = attrs.field(factory=list)
    commands: list[str] = attrs.field(factory=list)

    def expand(self, text: str, depth: int = 0) -> str:
        """switch_channel.c, switch_channel_expand_variables_check()."""
        if depth > 100 or not ("${" in text or "\\" in text):
            return text
        out: list[str] = []
        position = 0
        while position < len(text):
            here = text[position]
            following = text[position + 1 : position + 2]
            if here == "\\" and following == "$":
                position += 2 if text[position + 2 : position + 3] == "$" else 1
                out.append(text[position : position + 1])
                position += 1
            elif here == "\\" and following == "'":
                position += 1  # the escape goes, the quote stays
            elif here == "\\" and following == "\\":
                out.append("\\")
                position += 2
            elif here == "$" and text[position:].startswith(("${", "$${")):
                start = position + text[position:].index("{") + 1
                end = _closing(text, start)
                out.append(self._value(text[start:end], depth))
                position = end + 1
            else:
                out.append(here)
                position += 1
        return "".join(out)

    def _value(self, inside: str, depth: int) -> str:
        call = re.search(r"[ (]", inside)
        if call is not None:
            name, argument = inside[: call.start()], inside[call.start() + 1 :].rstrip(")")
            self.commands.append(f"{self.expand(name, depth + 1)} {argument}")
            return ""
        name = self.expand(inside, depth + 1).partition(":")[0].partition("[")[0]
        self.read.append(name)
        return self.expand(self.variables.get(name, ""), depth + 1)


def _closing(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        if text[position] == "{" and position != start:
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(text)


def separate(text: str, delimiter: str) -> list[str]:
    """switch_utils.c, separate_string_char_delim() with its quotes and escapes."""
    parts: list[str] = []
    position, quoted, begin = 0, False, 0
    while position < len(text):
        here = text[position]
        if here == "\\":
            position += 1
        elif here == "'" and (quoted or "'" in text[position + 1 :]):
            quoted = not quoted
        elif here == delimiter and not quoted:
            parts.append(text[begin:position])
            begin = position + 1
        position += 1
    if begin < len(text):
        parts.append(text[begin:])
    return [_cleaned(it, delimiter) for it in parts]


def _cleaned(part: str, delimiter: str) -> str:
    """switch_utils.c, cleanup_separated_string()."""
    part = part.lstrip(" ")
    out: list[str] = []
    end, position, quoted = 0, 0, False
    while position < len(part):
        here, following = part[position], part[position + 1 : position + 2]
        if here == "\\" and following and following in f"'\"\\{delimiter}nrts":
            out.append({"n": "\n", "r": "\r", "t": "\t", "s": " "}.get(following, following))
            position += 2
            end = len(out)
            continue
        if here == "'" and (quoted or "'" in part[position + 1 :]):
            quoted = not quoted
        else:
            out.append(here)
            if here != " " or quoted:
                end = len(out)
        position += 1
    return "".join(out[:end])


def brackets(text: str, opening: str, closing: str, delimiter: str) -> tuple[dict[str, str], str]:
    """switch_event.c, switch_event_create_brackets(): the variables, and what follows them."""
    end = _end_paren(text, opening, closing)
    if end is None:
        raise NotInert(f"nothing closes {opening}: {text!r}")
    inside = text[1:end]
    if inside.startswith("^^"):
        delimiter, inside = inside[2:3], inside[3:]
    found: dict[str, str] = {}
    for item in separate(inside, delimiter):
        name, equals, value = item.partition("=")
        if equals:
            found[name] = value
    return found, text[end + 1 :]


def _end_paren(text: str, opening: str, closing: str) -> int | None:
    """switch_utils.c, switch_find_end_paren()."""
    depth = 0
    for position, here in enumerate(text):
        if here == opening:
            depth += 1
        elif here == closing:
            depth -= 1
            if depth == 0:
                return position
    return None


@attrs.frozen
class Called:
    """One leg of a dial-string: its endpoint, what that is given, and the leg's variables."""

    endpoint: str
    rest: str
    variables: Mapping[str, str]


def dial_string(text: str) -> tuple[Mapping[str, str], list[Called]]:
    """switch_ivr_originate.c: the variables of all legs, and every leg that could be called."""
    if ":_:" in text:
        raise NotInert("several originates at once")
    text = text.lstrip(" ")
    shared: dict[str, str] = {}
    for opening, closing in (("<", ">"), ("{", "}")):
        while text.startswith(opening):
            found, text = brackets(text, opening, closing, ",")
            shared |= found
    legs: list[Called] = []
    for alternative in separate(text.lstrip(" "), "|"):
        for leg in _split_at_commas(alternative):
            own: dict[str, str] = {}
            rest = leg.lstrip(" ")
            while rest.startswith("["):
                found, rest = brackets(rest, "[", "]", ",")
                own |= found
            endpoint, _, address = rest.lstrip(" ").partition("/")
            legs.append(Called(endpoint, address, own))
    return shared, legs


def _split_at_commas(text: str) -> list[str]:
    """Commas in the brackets of a leg do not separate legs; they are escaped before."""
    parts, depth, begin = [], 0, 0
    for position, here in enumerate(text):
        depth += (here == "[") - (here == "]")
        if here == "," and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    return [*parts, text[begin:]]


def application_data(text: str, see: Callable[[Expansion], None]) -> str:
    """switch_core_session.c, switch_core_session_exec(): data as the application gets it.

    `see` is told what was expanded on the way. NotInert for variables of a scope (`%[a=b]`).
    """
    expansion = Expansion()
    expanded = expansion.expand(text)
    if re.match(r"%.?\[", expanded):
        raise NotInert("variables would be set for the application")
    see(expansion)
    return expanded
