"""Reading large JSON documents in pieces, as strictly as small ones.

A document is an object whose values are lists of objects. Each element of those lists is decoded
by itself, so that the thread is never held for longer than one of them takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from nizam.errors import FieldError, MalformedJson, PayloadTooLarge, ValidationFailed
from nizam.model.pointer import pointer
from nizam.slices import Sliced

MAX_DEPTH = 32
MAX_ELEMENT = 256 * 1024
"""Characters of one element of a list, or of one other value."""

MAX_OBJECTS = 20_000
"""Elements of all lists together."""

_BLANK = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAFE_DIGITS = 18
_EVERY = 50


def read_document(raw: bytes) -> Sliced[dict[str, Any]]:
    """The JSON object in `raw` (RFC 8259, UTF-8).

    Raises MalformedJson for what is no JSON, for duplicate keys, NaN, lone surrogates, nesting
    deeper than 32 and elements larger than 256 KB; ValidationFailed for strings with a NUL;
    PayloadTooLarge for more than 20,000 elements in all.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedJson("the body is not UTF-8") from None
    if not text or text.isspace():
        raise MalformedJson("the body is empty; a JSON object is expected")
    reader = _Reader(text)
    nul: list[FieldError] = []
    found: dict[str, Any] = {}
    reader.take("{", "the body is not a JSON object")
    if not reader.skips("}"):
        while True:
            name = reader.value()
            if not isinstance(name, str):
                raise reader.error("a key is expected")
            if name in found:
                raise MalformedJson(f"the key '{name[:80]}' stands twice in one object")
            nul += _check(name, (), 0)
            reader.take(":", "':' is expected")
            if reader.sees("["):
                left = MAX_OBJECTS - sum(len(it) for it in found.values() if isinstance(it, list))
                found[name] = yield from _list(reader, name, nul, left)
            else:
                found[name] = reader.value()
                nul += _check(found[name], (name,), 1)
            yield
            if not reader.skips(","):
                break
        reader.take("}", "',' or '}' is expected")
    reader.end()
    if nul:
        raise ValidationFailed("strings hold a NUL", errors=nul)
    return found


def _list(reader: _Reader, name: str, nul: list[FieldError], most: int) -> Sliced[list[Any]]:
    found: list[Any] = []
    reader.take("[", "a list is expected")
    if reader.skips("]"):
        return found
    while True:
        value = reader.value()
        nul += _check(value, (name, len(found)), 2)
        found.append(value)
        if len(found) > most:
            raise PayloadTooLarge(f"a document has at most {MAX_OBJECTS:,} objects")
        if len(found) % _EVERY == 0:
            yield
        if not reader.skips(","):
            break
    reader.take("]", "',' or ']' is expected")
    return found


class _Reader:
    """Decodes values out of a window that moves along the text: a decoder that is given all of it
    would go through all of it to say where a value is wrong."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._start = 0
        self._window = text[:MAX_ELEMENT]
        self._decode = json.JSONDecoder(
            object_pairs_hook=distinct, parse_int=_number, parse_constant=_no_constant
        ).raw_decode

    def value(self) -> Any:
        self._blank()
        if self._position - self._start > len(self._window) // 2:
            self._move()
        try:
            found, end = self._decode(self._window, self._position - self._start)
            # A number that ends where the window does may go on behind it.
            if end < len(self._window) or self._is_last:
                self._position = self._start + end
                return found
        except json.JSONDecodeError:
            pass
        except RecursionError:
            raise MalformedJson("nested too deeply") from None
        self._move()
        try:
            found, end = self._decode(self._window, 0)
        except json.JSONDecodeError as error:
            if not self._is_last:
                raise MalformedJson(
                    f"the element at character {self._position} is larger than {MAX_ELEMENT}, "
                    "or is not JSON"
                ) from None
            self._position += error.pos
            raise self.error(error.msg) from None
        except RecursionError:
            raise MalformedJson("nested too deeply") from None
        self._position += end
        return found

    def sees(self, character: str) -> bool:
        self._blank()
        return self._text.startswith(character, self._position)

    def skips(self, character: str) -> bool:
        if self.sees(character):
            self._position += 1
            return True
        return False

    def take(self, character: str, otherwise: str) -> None:
        if not self.skips(character):
            raise self.error(otherwise)

    def end(self) -> None:
        self._blank()
        if self._position < len(self._text):
            raise self.error("something follows the document")

    def error(self, message: str) -> MalformedJson:
        line = self._text.count("\n", 0, self._position) + 1
        column = self._position - self._text.rfind("\n", 0, self._position)
        return MalformedJson(f"{message}: line {line} column {column}")

    @property
    def _is_last(self) -> bool:
        return self._start + len(self._window) >= len(self._text)

    def _move(self) -> None:
        self._start = self._position
        self._window = self._text[self._start : self._start + MAX_ELEMENT]

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._position)
        assert found is not None  # noqa: S101 - it matches nothing at all, too
        self._position = found.end()


def _number(text: str) -> int | float:
    # Integers that no column and no other JSON reader holds become what those make of them.
    return int(text) if len(text) <= _SAFE_DIGITS else float(text)


def _no_constant(text: str) -> Any:
    raise MalformedJson(f"{text} is not JSON")


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; MalformedJson if a key stands twice. For `object_pairs_hook`."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedJson(f"the key '{name[:80]}' stands twice in one object")
            seen.add(name)
    return found


def _check(value: Any, path: tuple[str | int, ...], depth: int) -> list[FieldError]:
    """The strings of `value` that hold a NUL; MalformedJson for lone surrogates and for depth."""
    errors: list[FieldError] = []
    for text, where in _strings(value, path, depth):
        if "\x00" in text:
            errors.append(FieldError(pointer(where), "nul", "holds a NUL"))
        if not text.isascii() and _SURROGATE.search(text):
            raise MalformedJson("a string holds half of a surrogate pair")
    return errors


def _strings(
    value: Any, path: tuple[str | int, ...], depth: int
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    if isinstance(value, str):
        yield value, path
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise MalformedJson(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            for name, inner in value.items():
                yield name, path
                yield from _strings(inner, (*path, name), depth + 1)
        else:
            for index, inner in enumerate(value):
                yield from _strings(inner, (*path, index), depth + 1)
