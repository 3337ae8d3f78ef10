"""Dial-strings are read as FreeSWITCH reads them."""

from __future__ import annotations

import pytest

from nizam.sim.dialstring import DialStringError, parse_dial_string

Legs = list[list[tuple[str, dict[str, str]]]]


def _read(text: str) -> list[tuple[dict[str, str], Legs]]:
    return [
        (
            dict(branch.variables),
            [
                [(f"{leg.technology}/{leg.address}", dict(leg.variables)) for leg in attempt]
                for attempt in branch.attempts
            ],
        )
        for branch in parse_dial_string(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user/1002@a.test", [({}, [[("user/1002@a.test", {})]])]),
        (
            "{a=1,b=two words}sofia/gateway/gw/155",
            [({"a": "1", "b": "two words"}, [[("sofia/gateway/gw/155", {})]])],
        ),
        (
            "{^^:a=1,2:b=x@y}sofia/internal/1%a.test",
            [({"a": "1,2", "b": "x@y"}, [[("sofia/internal/1%a.test", {})]])],
        ),
        (
            "[leg_timeout=3]user/1@a,[leg_timeout=4]user/2@a",
            [({}, [[("user/1@a", {"leg_timeout": "3"}), ("user/2@a", {"leg_timeout": "4"})]])],
        ),
        ("user/1@a|user/2@a", [({}, [[("user/1@a", {})], [("user/2@a", {})]])]),
        (
            "{x=1}[y=2]user/1@a,user/2@a|user/3@a",
            [
                (
                    {"x": "1"},
                    [[("user/1@a", {"y": "2"}), ("user/2@a", {})], [("user/3@a", {})]],
                )
            ],
        ),
        (
            "{a=1}user/1@a:_:{a=2}user/2@a",
            [({"a": "1"}, [[("user/1@a", {})]]), ({"a": "2"}, [[("user/2@a", {})]])],
        ),
        (
            r"[file=tone_stream://%(300\,100\,700);loops=5,k=1]sofia/external/1@h",
            [
                (
                    {},
                    [
                        [
                            (
                                "sofia/external/1@h",
                                {"file": "tone_stream://%(300,100,700);loops=5", "k": "1"},
                            )
                        ]
                    ],
                )
            ],
        ),
        (
            "{origination_caller_id_name='Click, To Call',x=1}user/1@a",
            [
                (
                    {"origination_caller_id_name": "Click, To Call", "x": "1"},
                    [[("user/1@a", {})]],
                )
            ],
        ),
        ("error/USER_BUSY", [({}, [[("error/USER_BUSY", {})]])]),
        ("{}user/1@a", [({}, [[("user/1@a", {})]])]),
    ],
)
def test_a_dial_string_names_its_branches_attempts_legs_and_variables(
    text: str, expected: list[tuple[dict[str, str], Legs]]
) -> None:
    assert _read(text) == expected


@pytest.mark.parametrize("text", ["", "1002", "{a=1 user/1@a", "user/1@a,", "[x=1", "/1"])
def test_what_is_not_a_dial_string_is_refused(text: str) -> None:
    with pytest.raises(DialStringError):
        parse_dial_string(text)
