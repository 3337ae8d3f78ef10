"""What `nizam explain` and `nizam call explain` print of a plan."""

from __future__ import annotations

from typing import Any

import pytest

from nizam.cli.explain import print_decision


@pytest.mark.parametrize(
    "step",
    [
        {"step": "set", "name": "hangup_after_bridge", "value": "true"},
        # As JSONB of PostgreSQL keeps it.
        {"name": "hangup_after_bridge", "step": "set", "value": "true"},
    ],
    ids=["dry run", "of a past call"],
)
def test_a_step_is_printed_whole_whatever_the_order_of_its_fields(
    step: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    print_decision(
        {"outcome": "routed", "trace": [], "summary": "", "plan": [step], "commands": []}, "1", "2"
    )
    assert "1. set name hangup_after_bridge, value true" in capsys.readouterr().out
