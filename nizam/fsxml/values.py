"""Values that may stand in FreeSWITCH's documents, each made by the builder for its place.

FreeSWITCH expands `${...}` in dialplan data whatever the XML escaping, twice in `set`, and reads
commas, pipes, braces and quotes in dial-strings. So no value is trusted to be harmless because of
where it came from: free text is cleaned, identifiers are refused unless they look as they should,
and only the builders put characters with a meaning into a document.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nizam.errors import InternalError

_WITH_MEANING = re.compile(
    r"[$\\{}\[\]|,;:/'\"`<>\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff"
    # What turns the direction of text, or is not seen: a name could show itself as another.
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+"
)
_BLANKS = re.compile(r"\s{2,}")
_MAX_TEXT = 200
_NOT_SPOKEN = re.compile(
    r"[$\\{}\[\]|\"`<>\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+"
)
_MAX_SPEECH = 2000

_WORD = re.compile(r"\A[A-Za-z0-9_.+*#@%-]{1,290}\Z")
_DOMAIN = re.compile(r"\A[A-Za-z0-9.-]{1,253}\Z")
_SOUND = re.compile(r"\A(tone_stream://[%(),;=0-9A-Za-z.]+|[A-Za-z0-9/_.-]+|/[\w /.+-]+)\Z")
_NEW_FILE = re.compile(r"\A/[A-Za-z0-9_/.+-]+\.wav\Z")
_MAX_SOUND = 255
_HEADER = re.compile(r"\AX-[A-Za-z0-9-]{1,40}\Z")
_CODECS = re.compile(r"\A[A-Za-z0-9@.:_-]+(,[A-Za-z0-9@.:_-]+)*\Z")
_HEX = "%[0-9A-Fa-f]{2}"
_CONTACT = re.compile(
    rf"\Asips?:(?:(?:[A-Za-z0-9_.!*+&=-]|{_HEX})+@)?[A-Za-z0-9.-]+(?::[0-9]{{1,5}})?"
    rf"(?:;[A-Za-z0-9_.-]+(?:=(?:[A-Za-z0-9_.:@!*+-]|{_HEX})*)?)*\Z"
)
_ADDRESS = re.compile(r"\A[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?\Z")
CALL_HEADER = "X-Nizam-Call-ID"
"""The header in which switches of ours tell each other the id of a call."""
_MAX_CONTACT = 400
_CAUSE = re.compile(r"\A[A-Z][A-Z0-9_]{2,40}\Z")


class UnsafeValue(InternalError):
    """A value that should have been checked long before would have a meaning to FreeSWITCH."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(f"not a {kind} that FreeSWITCH may be given: {value[:80]!r}")


def text(value: str) -> str:
    """Free text, such as a caller's name, without any character that FreeSWITCH gives a meaning.

    Never raises: what is removed leaves a blank.
    """
    cleaned = _WITH_MEANING.sub(" ", value) if _WITH_MEANING.search(value) else value
    cleaned = _BLANKS.sub(" ", cleaned) if "  " in cleaned else cleaned
    return cleaned.strip()[:_MAX_TEXT]


def speech(value: str) -> str:
    """A text to be spoken: free text that keeps its punctuation, and is not longer than 2000
    characters.

    Never raises: what has a meaning to FreeSWITCH leaves a blank.
    """
    cleaned = _NOT_SPOKEN.sub(" ", value)
    return _BLANKS.sub(" ", cleaned).strip()[:_MAX_SPEECH]


def argument(value: str) -> str:
    """What a builder of this module has made, as one argument of an application that separates
    them by blanks (switch_separate_string in switch_utils.c)."""
    return f"'{value}'" if " " in value else value


def word(value: str) -> str:
    """A number, an id, a re-entry token or the name of a variable. Raises UnsafeValue."""
    if _WORD.match(value) is None:
        raise UnsafeValue("word", value)
    return value


def domain(value: str) -> str:
    """A SIP domain. Raises UnsafeValue."""
    if _DOMAIN.match(value) is None:
        raise UnsafeValue("domain", value)
    return value


def header(name: str) -> str:
    """The name of a SIP header of ours, which starts with X-. Raises UnsafeValue."""
    if _HEADER.match(name) is None:
        raise UnsafeValue("SIP header", name)
    return name


def codecs(value: str) -> str:
    """A list of codecs in the brackets of a leg, where a comma would separate variables. Raises
    UnsafeValue."""
    if _CODECS.match(value) is None:
        raise UnsafeValue("list of codecs", value)
    return value.replace(",", "\\,")


def contact(value: str) -> str | None:
    """A SIP URI that a phone has registered with, as the end of a dial-string; None for one that
    would have a meaning there, or is none. Phones write what they like into it.

    IPv6 addresses are among what is refused: they stand in brackets.
    """
    return value if len(value) <= _MAX_CONTACT and _CONTACT.match(value) else None


def address(value: str) -> str:
    """Where another switch is reached by SIP: host or host:port. Raises UnsafeValue."""
    if not is_address(value):
        raise UnsafeValue("SIP address", value)
    return value


def is_address(value: str) -> bool:
    """Whether a dial-string can have it as the address of a switch; IPv6 ones stand in brackets,
    which begin something else there."""
    return _ADDRESS.match(value) is not None


def sound(value: str) -> str:
    """A sound file or tone stream, in an application's data. Raises UnsafeValue."""
    if _SOUND.match(value) is None or ".." in value or len(value) > _MAX_SOUND:
        raise UnsafeValue("sound", value)
    return value


def new_file(value: str) -> str:
    """The path of a file that FreeSWITCH is to write. Raises UnsafeValue."""
    if _NEW_FILE.match(value) is None or ".." in value or len(value) > _MAX_SOUND:
        raise UnsafeValue("file", value)
    return value


def playlist(paths: Sequence[str]) -> str:
    """Files that are played one after the other (mod_dptools.c, file_string_file_open).

    Raises UnsafeValue.
    """
    files = [sound(it) for it in paths]
    return files[0] if len(files) == 1 else f"file_string://{'!'.join(files)}"


def cause(value: str) -> str:
    """A hangup cause. Raises UnsafeValue."""
    if _CAUSE.match(value) is None:
        raise UnsafeValue("hangup cause", value)
    return value
