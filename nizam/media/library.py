"""The media files of all tenants: what HTTP and the scheduler are given of the media root.

File systems block, and a network file system that hangs blocks for long: all work is done in a few
threads of its own, so that neither the reactor nor DNS waits for it, and a request that has to
wait too long is told so. When all threads hang and as much work waits as may, more is refused at
once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from time import time
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from nizam.errors import MediaUnavailable
from nizam.media.converter import Limits, convert
from nizam.media.folder import Found, MediaFolder
from nizam.media.upload import Upload, received
from nizam.media.wav import WavFacts
from nizam.model.audio import AudioFile, Folder, media_directory, recordings_directory
from nizam.model.identifiers import new_id

T = TypeVar("T")

PROMPT_LIMITS = Limits(max_bytes=32 * 1024 * 1024, max_seconds=15 * 60)
MUSIC_LIMITS = Limits(max_bytes=64 * 1024 * 1024, max_seconds=30 * 60)
LIMITS: dict[Folder, Limits] = {"prompts": PROMPT_LIMITS, "music-on-hold": MUSIC_LIMITS}

SETTLED_SECONDS = 30.0
"""How long nobody writes a file before its header is put right."""
_THREADS = 4
_MOST_WORK = 256
"""What may be under way or wait for a thread: more is there only while the file system hangs."""
_CONVERSIONS = 2
_STOP_SECONDS = 5.0


class _Daemonic(ThreadPool):
    # A thread that a dead file server holds must not keep the process from ending.
    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]  # noqa: N815


class MediaLibrary(Service):
    """Stores, opens, removes and lists files below `root`; None is no media root at all.

    Every method raises MediaUnavailable when the root cannot be used.
    """

    def __init__(self, reactor: Any, root: Path | None) -> None:
        self.root = root
        self._reactor = reactor
        self._threads = _Daemonic(0, _THREADS, name="media")
        self._converting = DeferredSemaphore(_CONVERSIONS)
        self._under_way = 0

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Be ready to work."""
        super().startService()  # type: ignore[no-untyped-call]
        self._threads.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Let the threads finish, for 5 s at most."""
        super().stopService()  # type: ignore[no-untyped-call]
        stopped: Deferred[None] = Deferred()

        def settle() -> None:
            if timer.active():
                timer.cancel()
            if not stopped.called:
                stopped.callback(None)

        def stop() -> None:
            self._threads.stop()
            self._reactor.callFromThread(settle)

        timer = self._reactor.callLater(_STOP_SECONDS, settle)
        Thread(target=stop, daemon=True, name="media-stop").start()
        return stopped

    async def receive(self, content: BinaryIO, content_type: str | None) -> Upload:
        """What the body of a request holds; see `nizam.media.upload.received`."""
        return await self._in_thread(lambda: received(content, content_type))

    async def store(
        self, tenant_id: UUID, folder: Folder, identifier: UUID, source: BinaryIO
    ) -> AudioFile:
        """Check and convert the upload in `source`, a file with a descriptor, and put it into the
        folder of its object; what is known of it then.

        Nothing is left of an upload that fails. Raises ValidationFailed for what is not taken,
        StorageFull, and TimeoutExceeded.
        """
        directory, file_id = media_directory(tenant_id, folder, identifier), new_id()
        name = f"{file_id}.wav"
        return await self.put(directory, name, source, LIMITS[folder], file_id=file_id)

    async def put(
        self,
        directory: str,
        name: str,
        source: BinaryIO,
        limits: Limits,
        *,
        file_id: UUID | None = None,
    ) -> AudioFile:
        """As `store`, for a file with a name of its own, in the place of one that has it."""
        await self._converting.acquire()
        try:
            draft = await self._run(lambda it: it.begin(directory))
            try:
                facts = await convert(self._reactor, source.fileno(), draft.fd, limits)
                audio = AudioFile(id=file_id or new_id(), **facts)
            except BaseException:
                await self._in_thread(draft.drop)
                raise
            await self._in_thread(lambda: draft.keep(name))
        finally:
            self._converting.release()
        return audio

    async def prepare_recordings(self, tenant_id: UUID) -> None:
        """Have the folder that the switches record a tenant's calls into."""
        await self._run(lambda it: it.make(recordings_directory(tenant_id)))

    async def examine(self, path: str) -> WavFacts | None:
        """What a recorded file holds; None if it is not there. See MediaFolder.examine."""
        before = time() - SETTLED_SECONDS
        return await self._run(lambda it: it.examine(path, settled_before=before))

    async def open(self, path: str) -> BinaryIO:
        """The file at this path below the root, for reading."""
        return await self._run(lambda it: it.open(path))

    async def size(self, file: BinaryIO) -> int:
        """How many bytes an open file has."""
        return await self._in_thread(lambda: os.fstat(file.fileno()).st_size)

    async def read(self, file: BinaryIO, size: int) -> bytes:
        """The next bytes of an open file."""
        return await self._in_thread(lambda: file.read(size))

    async def remove(self, path: str, *, written_before: float | None = None) -> bool:
        """Remove a file; whether it was there, and not written since `written_before`."""
        return await self._run(lambda it: it.remove(path, written_before=written_before))

    async def remove_tenant(self, tenant_id: UUID, most: int) -> int:
        """Remove files of a tenant, at most so many, and then its folders; how many files."""
        return await self._run(lambda it: it.remove_below(str(tenant_id), most))

    async def touch(self, path: str) -> None:
        """Have a file count as written now."""
        await self._run(lambda it: it.touch(path))

    async def files(self, wanted: Callable[[Found], bool] = lambda it: True) -> list[Found]:
        """Those files below the root that are `wanted`, which is asked in a thread."""
        return await self._run(lambda it: list(filter(wanted, it.files())))

    async def space(self) -> tuple[int, int]:
        """Bytes that are free, and bytes of the whole file system of the root."""
        return await self._run(lambda it: it.space())

    async def _run(self, work: Callable[[MediaFolder], T]) -> T:
        if self.root is None:
            raise MediaUnavailable("no media root is configured")
        folder = MediaFolder(self.root)
        return await self._in_thread(lambda: work(folder))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if not self.running:
            raise MediaUnavailable("this instance is stopping")
        if self._under_way >= _MOST_WORK:
            raise MediaUnavailable("the media root does not answer")
        self._under_way += 1

        def counted() -> T:
            try:
                return work()
            finally:
                # Not when whoever waits for it gives up: until then the thread is at it.
                self._reactor.callFromThread(self._one_less)

        result: T = await deferToThreadPool(self._reactor, self._threads, counted)
        return result

    def _one_less(self) -> None:
        self._under_way -= 1
