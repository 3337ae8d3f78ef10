"""The legs of a call are a tree, whatever the switch says of who made which."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from nizam.store.cdr_detail import as_tree


def legs(*pairs: tuple[int, int | None]) -> list[dict[str, Any]]:
    """Legs, the oldest first, each with the one that made it."""
    return [
        {"leg_id": UUID(int=it), "originator_id": None if by is None else UUID(int=by)}
        for it, by in pairs
    ]


@pytest.mark.parametrize(
    ("pairs", "tree"),
    [
        ([], []),
        ([(1, None)], [(1, None, 0)]),
        # A phone that rang for the first leg, and one that rang for that one.
        ([(1, None), (2, 1), (3, 2), (4, 1)], [(1, None, 0), (2, 1, 1), (3, 2, 2), (4, 1, 1)]),
        # The first leg is at the top, whoever made it; what made a leg may be of another call.
        ([(1, 9), (2, 9), (3, None)], [(1, None, 0), (2, 1, 1), (3, 1, 1)]),
        # The first leg is not known yet.
        ([(2, 1), (3, 2)], [(2, None, 0), (3, 2, 1)]),
        # Each says that the other made it, or that it made itself.
        ([(1, None), (2, 3), (3, 2)], [(1, None, 0), (2, 1, 1), (3, 1, 1)]),
        ([(2, 2)], [(2, None, 0)]),
    ],
)
def test_each_leg_stands_below_the_one_that_it_was_made_for(
    pairs: list[tuple[int, int | None]], tree: list[tuple[int, int | None, int]]
) -> None:
    found = as_tree(UUID(int=1), legs(*pairs))
    shown = [
        (it["leg_id"].int, it["parent_leg_id"] and it["parent_leg_id"].int, it["depth"])
        for it in found
    ]
    assert shown == tree
