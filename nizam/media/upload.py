"""What the body of an upload holds: the sound itself, or a form with it as browsers send it.

The body is read piece by piece from the file that the server has put it into, so that memory does
not grow with it. Nothing that it says about itself is believed: the names in it are for people,
and whether it is a sound is for `nizam.media.convert` to say.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from typing import BinaryIO

import attrs
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from nizam.errors import BadRequest, FieldError, UnsupportedMediaType, ValidationFailed

WAV_TYPES = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
MP3_TYPES = ("audio/mpeg", "audio/mp3")
FORM_TYPE = "multipart/form-data"
FORM_BYTES = 64 * 1024
"""What a form may hold beside the file."""

_TAKEN = frozenset({*WAV_TYPES, *MP3_TYPES})
_SUFFIXES = (".wav", ".wave", ".mp3")
_PIECE = 64 * 1024
_NAME_BYTES = 4096


@attrs.frozen
class Upload:
    """`file` has a descriptor, belongs to whoever is given it, and stands at its beginning.

    `size` is its length in bytes. `name` is what the client calls it, None if it does not;
    `digest` is that of the whole body.
    """

    file: BinaryIO
    size: int
    name: str | None
    digest: bytes


def own(content: BinaryIO) -> BinaryIO:
    """The body of a request as a file of one's own: the server closes its file when the client
    goes away."""
    try:
        return os.fdopen(os.dup(content.fileno()), "rb")
    except io.UnsupportedOperation:
        return io.BytesIO(content.read())


def received(content: BinaryIO, content_type: str | None) -> Upload:
    """The sound in the body `content`; blocks, so it is called in a thread.

    Raises UnsupportedMediaType for a body that is none of WAV, MP3 and form by what it says,
    BadRequest for a form that is none, ValidationFailed for one without exactly one file.
    """
    media_type, options = parse_options_header(content_type or "")
    if media_type == FORM_TYPE:
        return _of_form(content, options.get("boundary", ""))
    if media_type not in _TAKEN:
        raise UnsupportedMediaType(
            f"taken are {', '.join((*WAV_TYPES, *MP3_TYPES, FORM_TYPE))}",
            headers=(("Accept", ", ".join((*WAV_TYPES, *MP3_TYPES, FORM_TYPE))),),
        )
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever is given it closes it
    try:
        shutil.copyfileobj(content, file, _PIECE)
        file.seek(0)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Upload(file, size, None, digest)


def _of_form(content: BinaryIO, boundary: str) -> Upload:
    form = _Form(tempfile.TemporaryFile())  # noqa: SIM115 - whoever is given it closes it
    digest = hashlib.sha256()

    def read(size: int) -> bytes:
        piece = content.read(size)
        digest.update(piece)
        return piece

    try:
        parser = PushMultipartParser(boundary, strict=True, max_segment_count=8)
        for event in parser.parse_blocking(read, _PIECE):
            form.take(event)
        # What follows the form is a part of the body too.
        while read(_PIECE):
            pass
        name = form.finish()
    except (MultipartError, UnicodeError) as error:
        form.file.close()
        raise BadRequest(f"the body is no multipart/form-data: {error}") from None
    except BaseException:
        form.file.close()
        raise
    return Upload(form.file, form.size, name, digest.digest())


@attrs.define
class _Form:
    """The parts of a form, as they come: `file` with the sound and, if need be, `name`."""

    file: BinaryIO
    size: int = 0
    _part: str = ""
    _files: int = 0
    _name: bytes = b""
    _filename: str | None = None
    _errors: list[FieldError] = attrs.field(factory=list)

    def take(self, event: MultipartSegment | bytearray | bytes | None) -> None:
        """The head of a part, a piece of it, or its end."""
        if event is None:
            return
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif self._part == "file":
            if self._files == 1:
                self.size += self.file.write(event)
        elif self._part == "name":
            self._name += event
            if len(self._name) > _NAME_BYTES:
                raise MultipartError("the name is too long")

    def finish(self) -> str | None:
        """What the sound is called; raises ValidationFailed that names every wrong field."""
        if not self._files:
            self._errors.append(FieldError("/file", "missing", "the form has no file"))
        if self._errors:
            wrong = ", ".join(it.path for it in self._errors)
            raise ValidationFailed(f"wrong: {wrong}", errors=self._errors)
        self.file.seek(0)
        return self._name.decode() or (bare_name(self._filename) if self._filename else None)

    def _begin(self, part: MultipartSegment) -> None:
        self._part = part.name or ""
        if self._part == "file":
            self._files += 1
            self._filename = part.filename
            if self._files == 2:
                self._errors.append(FieldError("/file", "too_many", "one file is taken at a time"))
        elif self._part != "name":
            words = "there is no such field; known are file and name"
            self._errors.append(FieldError(f"/{self._part[:80]}", "unknown_field", words))


def bare_name(filename: str) -> str | None:
    """What people call a file: its name without folders and without the end that says its type."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    root, dot, end = last.rpartition(".")
    bare = root if dot and f".{end.lower()}" in _SUFFIXES else last
    printable = "".join(it for it in bare if it.isprintable()).strip(" .")
    return printable[:60].strip() or None
