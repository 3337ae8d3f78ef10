"""A file system that hangs: only who wants a file of it waits, and only so many do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from nizam.errors import MediaUnavailable
from nizam.media import library as library_module
from nizam.media.folder import MediaFolder
from nizam.media.library import MediaLibrary


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A mount on which every look hangs until the event is set, as a hard NFS mount does."""
    answers = threading.Event()

    def hangs(self: MediaFolder, path: str) -> None:
        answers.wait(20)
        raise MediaUnavailable("there is no such file")

    monkeypatch.setattr(MediaFolder, "open", hangs)
    yield answers
    answers.set()


async def refused(library: MediaLibrary) -> str:
    """Why a file cannot be had."""
    with pytest.raises(MediaUnavailable) as caught:
        await library.open("t/recordings/a.wav")
    return str(caught.value.detail)


async def test_the_reactor_goes_on_and_so_much_work_waits_at_most(
    library: MediaLibrary, mount: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    monkeypatch.setattr(library_module, "_MOST_WORK", 10)
    waiting = [Deferred.fromCoroutine(refused(library)) for _ in range(10)]
    assert await refused(library) == "the media root does not answer"
    # The clock goes on meanwhile; whoever asked waits.
    await deferLater(reactor, 0.01)
    assert not any(it.called for it in waiting)

    mount.set()
    assert set(await gatherResults(waiting)) == {"there is no such file"}
    assert await refused(library) == "there is no such file"
