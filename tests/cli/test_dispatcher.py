"""The list of switch nodes that Kamailio reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nizam.cli.dispatcher import dispatcher_list, written_anew
from nizam.model.switch_node import SwitchNode


def node(name: str, **more: Any) -> SwitchNode:
    body = {"name": name, "esl_host": "10.0.0.5", "xml_username": name}
    return SwitchNode.model_validate({**body, "sip_address": f"{name}.example.test", **more})


def lines(*nodes: SwitchNode) -> list[str]:
    text, _ = dispatcher_list(nodes)
    assert text is not None
    return text.splitlines()[1:]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "1 sip:fs2.example.test:5060 0 0 duid=fs2;rweight=50"),
        ({"sip_address": "10.0.0.6:5070"}, "1 sip:10.0.0.6:5070 0 0 duid=fs2;rweight=50"),
        ({"sip_address": "[2001:db8::6]"}, "1 sip:[2001:db8::6]:5060 0 0 duid=fs2;rweight=50"),
        ({"weight": 1}, "1 sip:fs2.example.test:5060 0 0 duid=fs2;rweight=1"),
        ({"weight": 0}, "1 sip:fs2.example.test:5060 4 0 duid=fs2;rweight=1"),
        ({"status": "draining"}, "1 sip:fs2.example.test:5060 4 0 duid=fs2;rweight=1"),
    ],
)
def test_a_node_is_a_line_with_its_share(more: dict[str, Any], line: str) -> None:
    first = "1 sip:fs1.example.test:5060 0 0 duid=fs1;rweight=100"
    assert lines(node("fs2", **more), node("fs1", weight=200)) == [
        first,
        line,
    ]


@pytest.mark.parametrize("more", [{"status": "out_of_service"}, {"enabled": False}])
def test_a_node_that_is_out_of_service_is_not_in_it(more: dict[str, Any]) -> None:
    assert len(lines(node("fs1"), node("fs2", **more))) == 1


def test_a_node_of_weight_0_takes_calls_while_no_other_is_in_service() -> None:
    found = lines(node("fs1", weight=0), node("fs2", status="draining"))
    assert [it.split()[2] for it in found] == ["0", "4"]


def test_a_node_without_an_address_is_left_out_and_named() -> None:
    text, problems = dispatcher_list([node("fs1"), node("fs2", sip_address=None)])
    assert (text or "").count("duid=") == 1
    assert problems == ["fs2 has no sip_address: left out"]


@pytest.mark.parametrize("nodes", [[], [node("fs1", status="draining")]])
def test_a_list_with_nobody_to_take_calls_is_none(nodes: list[SwitchNode]) -> None:
    assert dispatcher_list(nodes)[0] is None


def test_the_file_is_written_only_when_something_is_different(tmp_path: Path) -> None:
    file = tmp_path / "dispatcher.list"
    assert [written_anew(file, text) for text in ("a\n", "a\n", "b\n")] == [True, False, True]
    assert (file.read_text(), [it.name for it in tmp_path.iterdir()]) == ("b\n", [file.name])
    assert file.stat().st_mode & 0o777 == 0o644
