"""Many things at a time: so many, in order, and the first error as it is."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from nizam.errors import SwitchUnavailable
from nizam.switch.side_by_side import side_by_side


def test_so_many_are_under_way_and_their_results_are_in_order() -> None:
    begun: dict[int, Deferred[int]] = {}

    async def work(item: int) -> int:
        begun[item] = Deferred()
        return await begun[item]

    done = Deferred.fromCoroutine(side_by_side(range(4), work, 2))
    assert list(begun) == [0, 1]
    for item in (1, 0, 2, 3):
        begun[item].callback(item * 10)
    assert done.called
    found: list[list[int]] = []
    done.addCallback(found.append)
    assert found == [[0, 10, 20, 30]]


async def test_an_error_is_raised_as_it_is() -> None:
    async def work(item: int) -> int:
        if item == 1:
            raise SwitchUnavailable("fs1 is not connected")
        return item

    with pytest.raises(SwitchUnavailable, match="fs1 is not connected"):
        await side_by_side(range(3), work)
