"""A media root of one's own, and the library over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from nizam.media.library import MediaLibrary


@pytest.fixture
def media_root(tmp_path: Path) -> Path:
    root = tmp_path / "media"
    root.mkdir()
    return root


@pytest_twisted.async_yield_fixture
async def library(media_root: Path) -> AsyncIterator[MediaLibrary]:
    from twisted.internet import reactor

    library = MediaLibrary(reactor, media_root)
    library.startService()
    yield library
    await library.stopService()
