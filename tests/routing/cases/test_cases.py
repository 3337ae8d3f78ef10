"""Every case: the call goes where it should, NIZAM says why, and the switch is told just that."""

from __future__ import annotations

import pytest

from tests.routing.cases import said
from tests.routing.cases.agreement import check
from tests.routing.cases.calling import Made, site_of
from tests.routing.cases.case import Case, cases
from tests.routing.cases.site import CannotBeSaved

_CASES = cases()


def _table(*, refused: bool) -> pytest.MarkDecorator:
    chosen = [(name, it) for name, it in _CASES if (it.refused is not None) == refused]
    return pytest.mark.parametrize(
        "case", [it for _, it in chosen], ids=[name for name, _ in chosen]
    )


@_table(refused=False)
def test_a_call_goes_where_the_case_says(case: Case) -> None:
    made = Made.of(case)
    check(made)
    found = _report(made)
    assert made.decision.outcome == case.outcome, found
    assert made.summary == case.plan, found
    if case.route is not None:
        assert made.decision.route == case.route, found
    assert tuple(said.changes(made)) == case.changes, found
    if case.counts is not None:
        assert tuple(said.counts(made)) == case.counts, found
    if case.tells is not None:
        assert tuple(it.type for it in made.decision.notices) == case.tells, found
    lines = iter(it.detail for it in made.decision.trace)
    for wanted in case.explains:
        assert any(wanted in line for line in lines), f"not explained: {wanted}\n{found}"
    for cause, plan in case.then.items():
        later = made
        for each in cause.split(" "):
            later = later.after_ringing(each)
            check(later)
        assert later.summary == plan, f"after {cause}:{_report(later)}"
    for digits, plan in case.presses.items():
        later = made
        for each in digits.split(" "):
            later = later.going_on(each)
            check(later)
        assert later.summary == plan, f"pressing {digits}:{_report(later)}"


@_table(refused=True)
def test_a_document_that_cannot_be_is_refused(case: Case) -> None:
    with pytest.raises(CannotBeSaved) as refusal:
        site_of(case)
    assert case.refused is not None
    assert case.refused in str(refusal.value)


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(_CASES) >= 300


def _report(made: Made) -> str:
    """What came of the call, as its case would say it."""
    decision = made.decision
    lines = [f"outcome: {decision.outcome}", f"route: {decision.route}", f"plan: {made.summary}"]
    lines += [f"changes: {list(said.changes(made))}", f"counts: {list(said.counts(made))}"]
    lines += [f"tells: {[it.type for it in decision.notices]}"]
    lines += ["explains:", *(f"  - {it.detail}" for it in decision.trace)]
    return "\n    " + "\n    ".join(lines)
