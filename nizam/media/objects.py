"""Object storage that speaks S3: what is stored there is believed once its checksum says so.

Requests are signed and made by botocore, which blocks, in a few threads of its own: a storage that
hangs holds up nobody but those who want something of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from threading import Lock, Thread
from typing import Any, BinaryIO, Final, TypeVar

import attrs
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from nizam.errors import MediaUnavailable, StorageUnavailable
from nizam.media.readable import PIECE_BYTES
from nizam.settings import RecordingSettings

T = TypeVar("T")
_THREADS: Final = 8
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 30
_ATTEMPTS: Final = 2
_PIECE: Final = 1024 * 1024
_LISTED: Final = 500
_NOT_THERE: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class _Daemonic(ThreadPool):
    # A thread that a dead storage holds must not keep the process from ending.
    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]  # noqa: N815


class ObjectStore:
    """The bucket of the settings. Every method raises StorageUnavailable, with what the storage
    said, when it does not do what it should."""

    def __init__(self, reactor: Any, settings: RecordingSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._threads: ThreadPool | None = None
        self._lock = Lock()
        self._made: Any = None

    def close(self) -> None:
        """Let the threads end."""
        if self._threads is not None:
            Thread(target=self._threads.stop, daemon=True, name="objects-stop").start()
            self._threads = None

    def key(self, *steps: object) -> str:
        """The name of an object, below the prefix."""
        return self._settings.s3_prefix + "/".join(map(str, steps))

    async def store(self, key: str, file: BinaryIO, sha256: str) -> None:
        """Store an open file, whose SHA-256 in hexadecimal digits is known, as the object `key`,
        and see that what is there is that."""
        await self._in_thread(lambda: self._store(key, file, sha256))

    async def open(self, key: str) -> StoredObject:
        """The object, for reading. Raises MediaUnavailable if it is not there."""
        head = await self._in_thread(lambda: self._client().head_object(**self._at(key)))
        return StoredObject(self, key, int(head["ContentLength"]))

    async def remove(self, key: str) -> None:
        """Remove an object; one that is not there is removed."""
        await self._in_thread(lambda: self._client().delete_object(**self._at(key)))

    async def remove_below(self, prefix: str, most: int) -> int:
        """Remove objects whose names begin so, at most so many; how many."""
        return await self._in_thread(lambda: self._remove_below(prefix, most))

    async def begin(self, key: str, first: int, length: int) -> Any:
        """The bytes of an object from `first` on, as what botocore reads."""
        wanted = f"bytes={first}-{first + length - 1}"
        found = await self._in_thread(
            lambda: self._client().get_object(**self._at(key), Range=wanted)
        )
        return found["Body"]

    async def read(self, body: Any, size: int) -> bytes:
        """The next bytes of what was begun."""
        return await self._in_thread(lambda: bytes(body.read(size)))

    # -- in a thread ---------------------------------------------------------------------------

    def _store(self, key: str, file: BinaryIO, sha256: str) -> None:
        size, md5, digest = _digests(file)
        if digest != sha256:
            raise MediaUnavailable("the file is not as it was when it was complete")
        client = self._client()
        file.seek(0)
        client.put_object(
            **self._at(key),
            Body=file,
            ContentLength=size,
            ContentType="audio/wav",
            # One of the two is checked by every storage there is.
            ContentMD5=base64.b64encode(md5).decode(),
            ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
        )
        head = client.head_object(**self._at(key), ChecksumMode="ENABLED")
        if head["ContentLength"] != size:
            raise StorageUnavailable(f"it has {head['ContentLength']} of {size} bytes")
        if not _says_so(head, md5, sha256) and self._hash(key) != sha256:
            raise StorageUnavailable("what it has is not what it was given")

    def _hash(self, key: str) -> str:
        body = self._client().get_object(**self._at(key))["Body"]
        digest = hashlib.sha256()
        while piece := body.read(_PIECE):
            digest.update(piece)
        return digest.hexdigest()

    def _remove_below(self, prefix: str, most: int) -> int:
        client = self._client()
        found = client.list_objects_v2(
            Bucket=self._settings.s3_bucket, Prefix=prefix, MaxKeys=min(most, _LISTED)
        )
        keys = [it["Key"] for it in found.get("Contents", ())]
        for key in keys:
            client.delete_object(**self._at(key))
        return len(keys)

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._settings.s3_bucket, "Key": key}

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = _make_client(self._settings)
            return self._made

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = _Daemonic(0, _THREADS, name="objects")
            self._threads.start()

        def told() -> T:
            from botocore.exceptions import BotoCoreError, ClientError

            try:
                return work()
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in _NOT_THERE:
                    raise MediaUnavailable("the object is not in the object storage") from None
                raise StorageUnavailable(f"the object storage says: {error}"[:300]) from None
            except (BotoCoreError, OSError) as error:
                words = f"the object storage cannot be reached: {error}"
                raise StorageUnavailable(words[:300]) from None

        result: T = await deferToThreadPool(self._reactor, self._threads, told)
        return result


@attrs.frozen
class StoredObject:
    """A Readable: an object of a store."""

    store: ObjectStore
    key: str
    size: int

    async def pieces(self, first: int, length: int) -> AsyncIterator[bytes]:
        """See Readable."""
        body = await self.store.begin(self.key, first, length)
        try:
            while length > 0:
                piece = await self.store.read(body, min(length, PIECE_BYTES))
                if not piece:
                    raise MediaUnavailable("the object has become shorter")
                length -= len(piece)
                yield piece
        finally:
            body.close()

    def close(self) -> None:
        """See Readable: nothing is open before it is read."""


def _digests(file: BinaryIO) -> tuple[int, bytes, str]:
    """Length, MD5 and SHA-256 of a file."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(_PIECE):
        md5.update(piece)
        sha256.update(piece)
        size += len(piece)
    return size, md5.digest(), sha256.hexdigest()


def _says_so(head: dict[str, Any], md5: bytes, sha256: str) -> bool:
    """Whether the storage itself names the checksum of what it has."""
    named = head.get("ChecksumSHA256")
    if named:
        try:
            return base64.b64decode(named, validate=True).hex() == sha256
        except binascii.Error:
            return False
    return str(head.get("ETag", "")).strip('"') == md5.hex()


def _make_client(settings: RecordingSettings) -> Any:
    from botocore.config import Config
    from botocore.session import Session

    secret = settings.s3_secret_access_key
    return Session().create_client(
        "s3",
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.reveal() if secret else None,
        config=Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": settings.s3_addressing},
            max_pool_connections=_THREADS,
            signature_version="s3v4",
            # Storages that are not Amazon's know no checksums in trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            proxies={},
        ),
    )
