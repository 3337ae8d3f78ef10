"""What is exported makes the same tenant again, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nizam.document.read import read_document
from nizam.model.registry import resources
from nizam.slices import at_once
from tests.document.tenants import Tenant

EXTENSIONS = [str(it) for it in range(1001, 1009)]
GROUPS = [str(it) for it in range(2001, 2005)]
WORDS = st.text(
    st.characters(categories=("L", "N"), exclude_characters="#/"), min_size=1, max_size=12
)
HANGUP = {"type": "hangup", "cause": "USER_BUSY"}


def destinations(extensions: list[str], groups: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = [st.just(HANGUP), st.just({"type": "external", "number": "+12025550100"})]
    if extensions:
        ids = st.sampled_from(extensions)
        kinds.append(st.builds(lambda it: {"type": "extension", "id": it}, ids))
        kinds.append(st.builds(lambda it: {"type": "voicemail", "id": it}, ids))
    if groups:
        kinds.append(
            st.builds(lambda it: {"type": "ring_group", "id": it}, st.sampled_from(groups))
        )
    plain = st.one_of(kinds)
    said = st.builds(lambda then: {"type": "play", "sound": "a.wav", "then": then}, plain)
    return st.one_of(plain, said)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document in which everything that is named is there."""
    numbers = draw(st.lists(st.sampled_from(EXTENSIONS), unique=True, max_size=5))
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True, max_size=3)) if numbers else []
    somewhere = destinations(numbers, groups)

    def some(**fields: st.SearchStrategy[Any]) -> dict[str, Any]:
        return draw(st.fixed_dictionaries({}, optional=fields))

    extensions = [
        {
            "number": it,
            "display_name": draw(WORDS),
            **some(
                sip_password=st.just("correct-horse-1"),
                ring_seconds=st.integers(5, 120),
                do_not_disturb=st.booleans(),
                follow_me=st.lists(st.sampled_from(numbers), max_size=2),
                forward=st.fixed_dictionaries({}, optional={"busy": somewhere}),
                voicemail=st.fixed_dictionaries(
                    {},
                    optional={"enabled": st.booleans(), "pin": st.sampled_from(["4711", "0815"])},
                ),
                caller_id=st.fixed_dictionaries({}, optional={"internal_name": WORDS}),
            ),
        }
        for it in numbers
    ]
    ring_groups = [
        {
            "number": it,
            "name": draw(WORDS),
            "members": [
                {"extension_id": member}
                for member in draw(
                    st.lists(st.sampled_from(numbers), unique=True, min_size=1, max_size=3)
                )
            ],
            **some(fallback=somewhere, skip_busy=st.booleans()),
        }
        for it in groups
    ]
    conditions = [
        {
            "name": draw(st.sampled_from(["Night", "Day", "a/b"])),
            "match_destination": draw(somewhere),
            "otherwise_destination": draw(somewhere),
        }
        for _ in range(draw(st.integers(0, 4)))
    ]
    zone = draw(st.sampled_from([{}, {"time_zone": "Europe/Berlin"}]))
    return {
        "tenant": zone,
        "extensions": extensions,
        "ring_groups": ring_groups,
        "time_conditions": conditions,
    }


@settings(max_examples=60, deadline=None)
@given(documents(), st.booleans())
def test_what_is_exported_makes_the_same_tenant_again(document: Any, reveal: bool) -> None:
    first, second = Tenant(), Tenant()
    first.apply(document)
    exported = first.export(reveal=True)
    # As it travels: through JSON and its strict reader.
    second.apply(at_once(read_document(json.dumps(exported).encode())), prune=True)
    assert second.export(reveal=True) == exported
    assert second.plan(first.export(reveal=reveal), prune=True).changes == ()


@settings(max_examples=40, deadline=None)
@given(documents(), documents())
def test_a_pruning_document_leaves_nothing_else_of_what_it_lists(before: Any, wanted: Any) -> None:
    tenant, fresh = Tenant(), Tenant()
    tenant.apply(before)
    fresh.apply(wanted)
    tenant.apply(fresh.export(reveal=True), prune=True)
    kinds = ("extension", "ring_group", "time_condition")
    assert {it: len(tenant.objects.get(it, ())) for it in kinds} == {
        it: len(fresh.objects.get(it, ())) for it in kinds
    }
    assert tenant.plan(fresh.export(), prune=True).changes == ()


@pytest.mark.parametrize("name", [it.name for it in resources().values() if it.scope == "tenant"])
def test_every_kind_of_object_is_exported_as_it_was_given(name: str) -> None:
    """The example of each declaration, with what it names."""
    it = resources()[name]
    needed = {
        "extensions": [{"number": "8001", "display_name": "Needed"}],
        "ring_groups": [
            {"number": "8002", "name": "Needed", "members": [{"number": "+12025550199"}]}
        ],
        "gateways": [{"name": "Needed", "host": "sip.example.test"}],
    }
    keys = {
        "01937a5e-0000-7000-8000-000000000001": "8001",
        "01937a5e-0000-7000-8000-000000000002": "8002",
        "01937a5e-0000-7000-8000-000000000003": "Needed",
    }
    text = json.dumps(it.example)
    for identifier, key in keys.items():
        text = text.replace(identifier, key)
    document: dict[str, Any] = {**needed}
    document[it.table] = [*document.get(it.table, []), json.loads(text)]
    tenant, copy = Tenant(), Tenant()
    tenant.apply(document)
    exported = tenant.export(reveal=True)
    assert "01937a5e" not in json.dumps(exported)
    copy.apply(exported)
    assert copy.export(reveal=True) == exported
    assert tenant.plan(exported).changes == ()
