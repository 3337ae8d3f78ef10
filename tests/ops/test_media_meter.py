"""The metrics of the media root, while it is there, away, and hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nizam.errors import MediaUnavailable
from nizam.media.folder import MediaFolder
from nizam.metrics import REGISTRY
from nizam.ops.media_meter import MEASURE_SECONDS, MediaMeter


class Root:
    """A media library whose answers come when the test says so."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[Deferred[tuple[int, int]]] = []

    async def space(self) -> tuple[int, int]:
        self.asked.append(Deferred())
        return await self.asked[-1]

    def measured(self, name: str) -> float | None:
        return REGISTRY.get_sample_value(f"nizam_media_root_{name}", {"root": str(self.root)})


def test_a_root_that_hangs_is_down_and_holds_one_thread(tmp_path: Path) -> None:
    clock, root = Clock(), Root(tmp_path)
    library: Any = root
    meter = MediaMeter(clock, library)
    meter.startService()
    root.asked[0].callback((3, 10))
    assert [root.measured(it) for it in ("up", "free_bytes", "size_bytes")] == [1, 3, 10]
    for _ in range(3):
        clock.advance(MEASURE_SECONDS)
    assert (root.measured("up"), len(root.asked)) == (0, 2)
    root.asked[1].callback((4, 10))
    clock.advance(MEASURE_SECONDS)
    root.asked[2].errback(MediaUnavailable("away"))
    assert (root.measured("up"), root.measured("free_bytes")) == (0, 4)
    meter.stopService()
    assert clock.getDelayedCalls() == []


def test_the_space_of_a_folder_is_known_only_while_files_can_be_written_there(
    tmp_path: Path,
) -> None:
    free, size = MediaFolder(tmp_path).space()
    assert 0 < free <= size
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaUnavailable):
        MediaFolder(tmp_path / "not mounted").space()
