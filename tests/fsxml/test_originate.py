"""Calls that the API places: what FreeSWITCH reads in the argument of originate."""

from __future__ import annotations

import re
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nizam.fsxml import values
from nizam.fsxml.originate import Listening, Origination, to_listen, to_number
from nizam.routing.plan import Phone, Phones, UserLeg
from nizam.sim.dialstring import DialString, parse_dial_string

CALL = UUID("5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11")
TENANT, EXTENSION, TARGET = (UUID(int=it) for it in (1, 2, 3))
DOMAIN = "acme.example.test"
ONE = Origination(
    call_id=CALL,
    tenant_id=TENANT,
    extension_id=EXTENSION,
    domain=DOMAIN,
    leg=UserLeg("1001", DOMAIN),
    caller_number="1001",
    caller_name="Ada Lovelace",
    dialled="+12025550199",
    shown_name="",
    ring_seconds=30,
)
PHONES = tuple(Phone(f"sip:1001@192.0.2.{it}:5060", "internal") for it in (1, 2))
TWO = attrs.evolve(
    ONE,
    leg=UserLeg(
        "1001",
        DOMAIN,
        phones=Phones(PHONES, str(TENANT), str(EXTENSION), "Ada Lovelace", "1001"),
    ),
)


def _read(line: str) -> tuple[DialString, str]:
    """The dial-string and what follows it, as switch_separate_string splits them."""
    found = re.fullmatch(r"originate '([^']*)' (\S.*)", line)
    assert found, line
    (branch,) = parse_dial_string(found[1])
    return branch, found[2]


def test_the_phone_is_rung_for_the_number_under_an_id_that_is_known_before() -> None:
    branch, then = _read(to_number(ONE))
    assert then == f"+12025550199 XML {DOMAIN}"
    ((leg,),) = branch.attempts
    assert (leg.technology, leg.address) == ("user", f"1001@{DOMAIN}")
    assert leg.variables == {"origination_uuid": str(CALL)}
    assert branch.variables == {
        "ignore_early_media": "true",
        "originate_timeout": "30",
        "nizam_call_id": str(CALL),
        "nizam_tenant_id": str(TENANT),
        "nizam_extension_id": str(EXTENSION),
        "domain_name": DOMAIN,
        "nizam_dialled": "+12025550199",
        "nizam_caller_number": "1001",
        "nizam_caller_name": "Ada Lovelace",
        "origination_callee_id_number": "1001",
        "origination_callee_id_name": "Ada Lovelace",
        "origination_caller_id_number": "+12025550199",
        "origination_caller_id_name": "+12025550199",
        "transfer_ringback": "%(2000,4000,440,480)",
    }


def test_of_several_phones_only_the_first_leg_has_the_id() -> None:
    branch, _ = _read(to_number(TWO))
    ((first, second),) = branch.attempts
    assert [it.address for it in (first, second)] == [f"internal/{it.uri}" for it in PHONES]
    assert first.variables["origination_uuid"] == str(CALL)
    assert "origination_uuid" not in second.variables


@pytest.mark.parametrize(
    ("how", "whispers"),
    [("eavesdrop", set()), ("whisper", {"bleg"}), ("barge", {"aleg", "bleg"})],
)
def test_who_listens_cannot_make_themselves_heard_by_a_key(
    how: Listening, whispers: set[str]
) -> None:
    branch, then = _read(to_listen(ONE, TARGET, how))
    assert then == f"&eavesdrop({TARGET})"
    assert branch.variables["eavesdrop_enable_dtmf"] == "false"
    own = {it for it in ("aleg", "bleg") if f"eavesdrop_whisper_{it}" in branch.variables}
    assert own == whispers


TEXTS = st.text() | st.text("'\"\\ \n\r\0${}[]|,;:!&()=<>^ab1", min_size=1)


@given(name=TEXTS, shown=TEXTS)
def test_no_name_adds_a_variable_a_leg_or_an_argument(name: str, shown: str) -> None:
    it = attrs.evolve(TWO, caller_name=name, shown_name=shown)
    branch, then = _read(to_number(it))
    plain, rest = _read(to_number(TWO))
    assert then == rest
    assert branch.variables.keys() == plain.variables.keys()
    assert branch.attempts == plain.attempts
    for value in branch.variables.values():
        assert not re.search(r"[$\n\r\0'\"{}\[\]|<>\\]", value)


@given(text=TEXTS)
def test_what_is_no_number_is_refused(text: str) -> None:
    for changed in ({"dialled": text}, {"caller_number": text}, {"caller_id": text}):
        it = attrs.evolve(ONE, **changed)  # type: ignore[arg-type]
        try:
            line = to_number(it)
        except values.UnsafeValue:
            continue
        branch, then = _read(line)
        assert len(branch.attempts) == 1
        assert then.split(" ")[1:] == ["XML", DOMAIN]
