"""Schedules are repeatable, cover what was asked for, and fit into their time."""

from __future__ import annotations

import itertools

import pytest

from tests.chaos.schedule import FAULTS, chosen, draw


def test_the_same_seed_draws_the_same_faults_and_another_one_others() -> None:
    kinds = chosen(["all"])
    assert draw(1, kinds, 60.0) == draw(1, kinds, 60.0)
    assert draw(1, kinds, 60.0) != draw(2, kinds, 60.0)


def test_each_kind_comes_once_before_any_comes_again_and_one_after_the_other() -> None:
    steps = draw(3, chosen(["all"]), 1000.0)
    assert {it.kind.name for it in steps[: len(FAULTS)]} == set(FAULTS)
    for before, after in itertools.pairwise(steps):
        assert after.at >= before.at + before.seconds + 0.49
    assert steps[-1].at + steps[-1].seconds <= 1000.0
    assert len(draw(3, chosen(["all"]), 1000.0, most=5)) == 5


@pytest.mark.parametrize(
    ("names", "some", "count"),
    [
        (["kill"], "kill-postgres", 3),
        (["esl"], "corrupt-esl", 7),
        (["flush-redis", "kill"], "flush-redis", 4),
        (["all"], "fail-webhooks", len(FAULTS)),
    ],
)
def test_faults_are_chosen_by_name_by_what_is_done_and_by_what_it_is_done_to(
    names: list[str], some: str, count: int
) -> None:
    kinds = chosen(names)
    assert some in {it.name for it in kinds}
    assert len(kinds) == count


def test_an_unknown_fault_is_refused_and_says_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"no fault 'flood'.*kill-daemon.*esl"):
        chosen(["flood"])
