"""People at their phones: how they treat a call, and what an INVITE shows them.

Headers of an INVITE are those that mod_sofia sends (sofia_glue.c, sofia_glue_do_invite).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from nizam.sim import wire
from nizam.sim.causes import is_true

Callee = Literal["answers", "is busy", "declines", "lets it ring", "is dead"]

_REFUSALS = {"is busy": 486, "declines": 603}


@attrs.frozen
class Manner:
    """How a phone treats a call that reaches it; seconds are simulated ones.

    After `ring` it answers or refuses; with `status` it refuses with that SIP status, and a phone
    that `is dead` says nothing at all. `early_media` is what it plays while it rings (183).
    `confirm` is pressed when the switch asks for a key before it connects. A phone that is told to
    answer by itself (Call-Info: answer-after=0) does so at once unless `answers_itself` is off.
    """

    does: Callee = "answers"
    ring: float = 1.0
    status: int | None = None
    early_media: str = ""
    confirm: str = ""
    answers_itself: bool = True

    @property
    def refusal(self) -> int | None:
        """The SIP status with which the phone refuses, if it does."""
        return self.status or _REFUSALS.get(self.does)


@attrs.frozen
class Invite:
    """What the INVITE of a leg shows to whom it rings.

    `name` and `number` are the From header's, `asserted` and `remote_party` the numbers of
    P-Asserted-Identity and Remote-Party-ID; `headers` are those that variables named `sip_h_*`
    added, and what `sip_auto_answer` adds. `codecs` is what the leg is restricted to.
    """

    name: str
    number: str
    domain: str = ""
    asserted: str = ""
    remote_party: str = ""
    privacy: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    codecs: str = ""

    @property
    def answers_itself(self) -> bool:
        """Whether the phone is told to answer without being touched."""
        return "answer-after=0" in self.headers.get("Call-Info", "").replace(" ", "")


def invite(name: str, number: str, given: wire.Headers, *, hidden: bool = False) -> Invite:
    """The INVITE of a leg with this caller id and the variables `given`; the last ones win.

    `hidden` is what the `privacy` application asked for.
    """
    variables = {it: value for it, value in given if isinstance(value, str)}
    headers = {
        variable.removeprefix("sip_h_"): value
        for variable, value in variables.items()
        if variable.startswith("sip_h_")
    }
    if is_true(variables.get("sip_auto_answer")):
        headers.setdefault("Call-Info", "<sip:127.0.0.1>;answer-after=0")
    if "alert_info" in variables:
        headers.setdefault("Alert-Info", variables["alert_info"])
    hidden = hidden or "hide_number" in variables.get("origination_privacy", "")
    kind = variables.get("sip_cid_type", "rpid")
    identity = "" if number in ("", "0000000000") else number
    return Invite(
        name=name,
        number=number,
        domain=variables.get("sip_invite_domain", ""),
        asserted=identity if kind == "pid" else "",
        remote_party=identity if kind == "rpid" else "",
        privacy="id" if hidden else "",
        headers=headers,
        codecs=variables.get("absolute_codec_string", ""),
    )
