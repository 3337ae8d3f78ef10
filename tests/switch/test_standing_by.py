"""What a process keeps for another one, how far it trusts that one, and what it finds missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nizam.model.events import Event
from nizam.switch.batch import Batch
from nizam.switch.coverage import Coverage, Hole
from nizam.switch.kept import ITEMS, Kept
from nizam.switch.watermark import KEPT_MARKS, Mark, Marks, Place, Watermark

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def place(number: int) -> Place:
    return ("core", str(number))


def event(number: int) -> Event:
    return Event(
        type="call.held", occurred_at=at(number), core_id="core", sequence=number, node="fs1"
    )


def kept(*numbers: int, portion: int = 1) -> Kept:
    """Everything of these was heard, in this order; each `portion` of them are let go together."""
    it = Kept()
    for count, number in enumerate(numbers, 1):
        it.hear(place(number))
        it.put(Batch([event(number)]), 0.0)
        if count % portion == 0:
            it.close(0.0)
    return it


def left(it: Kept) -> list[int]:
    found = []
    while (batch := it.take()) is not None:
        found += [event.sequence for event in batch.events]
    return found


# -- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "told", "stays"),
    [
        pytest.param((1, 2, 3), 2, [3], id="what follows on the place"),
        pytest.param((1, 2, 3), 3, [], id="nothing"),
        pytest.param((1, 2, 3), 9, [1, 2, 3], id="all: the place was not heard yet"),
        pytest.param((1, 3, 2, 4), 3, [2, 4], id="by the order of the stream, not by the numbers"),
        pytest.param((1, 2, 1, 3), 1, [2, 1, 3], id="a place that came twice stands where it was"),
    ],
)
def test_what_is_let_go_goes_by_the_place_in_the_stream(
    heard: tuple[int, ...], told: int, stays: list[int]
) -> None:
    it = kept(*heard)
    it.trim(place(told))
    assert left(it) == stays
    assert (len(it), it.bytes) == (0, 0)


def test_what_follows_later_from_an_earlier_event_is_let_go_later() -> None:
    """As what waits until the tenant of its call is known."""
    it = Kept()
    it.hear(place(1))
    it.hear(place(2))
    it.put(Batch([event(1)]), 0.0)
    it.close(0.0)
    it.trim(place(1))
    assert len(it) == 1
    it.trim(place(2))
    assert len(it) == 0


def test_another_process_of_the_switch_is_another_stream() -> None:
    it = kept(5)
    it.trim(("another core", "5"))
    assert left(it) == [5]


def test_a_portion_is_let_go_as_a_whole_and_what_is_open_stays() -> None:
    it = kept(*range(1, 6), portion=2)
    it.trim(place(3))
    assert left(it) == [3, 4, 5]


def test_what_is_kept_is_measured_in_bytes_and_given_up_oldest_first() -> None:
    it = kept(1, 2)
    first = it.first()
    assert first is not None
    assert (first.begin, first.end, first.items) == (at(1), at(1), 1)
    before = it.bytes
    it.drop(first)
    assert it.bytes == before - len(first.document)
    it.drop(first)
    assert left(it) == [2]


def test_many_items_make_a_portion_without_waiting_for_the_clock() -> None:
    it = kept(*range(ITEMS), portion=10 * ITEMS)
    assert it.bytes > 0
    assert it.first(-1.0) is None
    assert it.first(0.0) is not None


# -- how far it is durable ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "found"),
    [
        pytest.param((), 3, id="nothing waits"),
        pytest.param((2.5,), 2, id="something waits since the third mark was not there yet"),
        pytest.param((2.5, 1.5), 1, id="the first one counts"),
        pytest.param((0.5,), None, id="since before all marks"),
    ],
)
def test_the_place_that_is_told_is_before_everything_that_waits_in_memory(
    waiting: tuple[float, ...], found: int | None
) -> None:
    marks = Marks()
    for number in (1, 2, 3):
        marks.note(Mark(number, place(number), at(number)))
    mark = marks.before(waiting)
    assert (None if mark is None else mark.place) == (None if found is None else place(found))


def test_marks_are_bounded() -> None:
    marks = Marks()
    for number in range(KEPT_MARKS + 1):
        marks.note(Mark(number, place(number), at(number)))
    assert marks.before([0.5]) is None


@pytest.mark.parametrize(
    "watermark", [Watermark(), Watermark(place(7), at(3), True), Watermark(None, at(3))]
)
def test_a_watermark_is_the_same_after_its_way_through_a_lease(watermark: Watermark) -> None:
    assert Watermark.of(watermark.note()) == watermark


@pytest.mark.parametrize(
    "note", [None, {"place": 5}, {"place": ["core"]}, {"until": "soon"}, {"until": 7}]
)
def test_what_another_version_tells_is_no_watermark(note: dict[str, object] | None) -> None:
    assert Watermark.of(note) is None


# -- what is missing ------------------------------------------------------------------------------


def holes(it: Coverage, until: float | None) -> list[tuple[float, float]]:
    found = list(it.missing(None if until is None else at(until)))
    return [
        ((hole.begin - NOON).total_seconds(), (hole.end - NOON).total_seconds())
        for hole in found
        if hole.begin is not None
    ]


def coverage(*spans: tuple[float, float | None]) -> Coverage:
    """Heard from when to when."""
    it = Coverage()
    for begin, end in spans:
        it.begin(at(begin))
        if end is not None:
            it.end(at(end))
    return it


@pytest.mark.parametrize(
    ("spans", "until", "missing"),
    [
        pytest.param([(5, None)], None, [], id="no process ever listened before"),
        pytest.param([(5, None)], 3, [(3, 5)], id="an earlier one stored until then"),
        pytest.param([(5, None)], 7, [], id="it goes on where the other one ended"),
        pytest.param([(1, 4), (6, None)], 2, [(4, 6)], id="the link was away, nobody else heard"),
        pytest.param([(1, 4), (6, None)], 5, [(5, 6)], id="another one heard some of it"),
        pytest.param([(1, 4), (6, None)], 9, [], id="another one heard all of it"),
        pytest.param([(3, 4), (6, None)], 1, [(1, 3), (4, 6)], id="twice"),
    ],
)
def test_missing_is_what_neither_this_process_nor_an_earlier_one_heard(
    spans: list[tuple[float, float | None]], until: float | None, missing: list[tuple[float, float]]
) -> None:
    it = coverage(*spans)
    assert it.is_whole(None if until is None else at(until)) is (until is None or not missing)
    assert holes(it, until) == missing
    assert holes(it, until) == []


def test_what_had_to_be_dropped_is_missing_unless_it_was_stored() -> None:
    it = coverage((0, None))
    it.fill(at(1))
    it.lose(at(2), at(3), 10)
    it.lose(at(3), at(5), 7)
    assert list(it.missing(at(1))) == [Hole(at(2), at(5), "buffer full", 17)]
    it.lose(at(6), at(7), 1)
    assert list(it.missing(at(8))) == []
