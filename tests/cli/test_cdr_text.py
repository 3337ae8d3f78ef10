"""A call that has ended, for people, as `nizam cdr show` writes it."""

from __future__ import annotations

from typing import Any

from nizam.cli.cdr_text import cdr_text

QUALITY = {"mos": 4, "packet_loss_percent": 0.5, "jitter_ms": 3}
NOTHING = dict.fromkeys(QUALITY)


def leg(depth: int, caller: str, number: str, **more: Any) -> dict[str, Any]:
    return {
        "leg_id": f"leg{depth}",
        "depth": depth,
        "caller_number": caller,
        "number": number,
        "codec": "PCMA",
        "gateway": None,
        "hangup_cause": "NORMAL_CLEARING",
        "answered_at": "2026-11-24T10:00:04Z",
        "duration_ms": 60_000,
        "billable_ms": 56_000,
        "quality": NOTHING,
    } | more


def test_a_call_is_a_tree_with_its_reasons() -> None:
    cdr = {
        "started_at": "2026-11-24T10:00:00Z",
        "direction": "inbound",
        "from": "+4930123456",
        "to": "12025550101",
        "route": "did +12025550101 to extension 1001",
        "result": "answered",
        "hangup_cause": "NORMAL_CLEARING",
        "hangup_by": "caller",
        "answered_at": "2026-11-24T10:00:04Z",
        "duration_ms": 60_000,
        "billable_ms": 56_000,
        "quality": QUALITY,
        "did": "+12025550101",
        "destination": None,
        "country": None,
        "gateway": None,
        "revision": 12,
        "recording_ids": ["r1"],
        "linked_call_ids": [],
        "legs": [
            leg(0, "+4930123456", "12025550101", quality=QUALITY),
            leg(1, "+4930123456", "1001"),
            leg(2, "1001", "+4930777", gateway="trunk", answered_at=None, codec=None),
        ],
        "transfers": [{"at": "T1", "kind": "blind", "to": "1003", "by": "1001"}],
        "decisions": [
            {
                "decided_at": "T0",
                "from": "+4930123456",
                "to": "12025550101",
                "outcome": "routed",
                "why": ["goes to did +12025550101"],
            }
        ],
    }
    assert (
        "\n".join(cdr_text(cdr))
        == """\
2026-11-24T10:00:00Z  inbound, +4930123456 to 12025550101, by did +12025550101 to extension 1001
answered, NORMAL_CLEARING, the caller ended it; answered for 56.0 s; MOS 4, 0.5 % lost, 3 ms jitter
did: +12025550101
revision: 12
recordings: r1

+4930123456 to 12025550101: PCMA, NORMAL_CLEARING
answered for 56.0 s; MOS 4, 0.5 % lost, 3 ms jitter; leg leg0
└── +4930123456 to 1001: PCMA, NORMAL_CLEARING
    answered for 56.0 s; leg leg1
    └── 1001 to +4930777: through trunk, NORMAL_CLEARING
        not answered, 60.0 s; leg leg2
T1  sent on (blind) to 1003 by 1001

T0  +4930123456 to 12025550101: routed
  goes to did +12025550101"""
    )
