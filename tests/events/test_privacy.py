"""What events must not tell."""

from __future__ import annotations

from uuid import UUID

import pytest

from nizam.esl.event import SwitchEvent
from tests.events.replaying import ACME, normaliser

LEG = "5536434b-68a7-472b-8431-514faf205976"


def digits_told(dialled: str) -> list[str]:
    """The digits of the call.dtmf events of a call to `dialled` in which 4711 is typed."""
    target = normaliser(lambda channel: (ACME, UUID(channel)))
    told = []
    for sequence, (name, digit) in enumerate(
        [("CHANNEL_CREATE", ""), ("CHANNEL_ANSWER", ""), *(("DTMF", it) for it in "4711")]
    ):
        headers = {
            "Event-Name": name,
            "Unique-ID": LEG,
            "Core-UUID": LEG,
            "Event-Sequence": str(sequence),
            "Event-Date-Timestamp": str(1795490000000000 + sequence),
            "Call-Direction": "inbound",
            "Caller-Destination-Number": dialled,
            "DTMF-Digit": digit,
            "DTMF-Duration": "2240",
        }
        output = target.feed(SwitchEvent(name, headers), 0.0)
        told += [it.data["digit"] for it in output.events if it.type == "call.dtmf"]
    return told


@pytest.mark.parametrize(
    ("dialled", "told"), [("5000", "4711"), ("*97", ""), ("*98", ""), ("#98", "")]
)
def test_a_mailbox_pin_is_in_no_event(dialled: str, told: str) -> None:
    assert "".join(digits_told(dialled)) == told
