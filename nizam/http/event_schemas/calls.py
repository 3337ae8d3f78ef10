"""call.*: the life of calls."""

from __future__ import annotations

from typing import Final

from nizam.http.call_schemas import CALL_RESULTS
from nizam.http.event_schemas.parts import (
    DIRECTION,
    PARTIES,
    RECONCILED,
    Told,
    Types,
    data,
    maybe,
    maybe_id,
    milliseconds,
)
from nizam.http.schema_parts import (
    Schema,
    array,
    identifier,
    or_null,
    text,
    time,
    words,
    yes_or_no,
)

_ENDED: Final[dict[str, Schema]] = {
    "direction": DIRECTION,
    "from": maybe("Who called.", "1001"),
    "to": maybe("What was dialled.", "1002"),
    "started_at": time("When it began."),
    "answered_at": or_null(time("When it was answered; null if it was not.")),
    "duration_ms": milliseconds("From its beginning to the end of its last leg."),
    "billable_ms": milliseconds("From the answer on."),
    "result": words("How it ended.", *CALL_RESULTS),
    "hangup_cause": maybe("FreeSWITCH's cause of the first leg.", "NORMAL_CLEARING"),
    "hangup_by": words("Who hung up first.", "caller", "callee", "system"),
    "extension_ids": array(identifier("An extension."), "Those that took part."),
    **RECONCILED,
}

CALLS: Final[Types] = {
    "call.started": Told("A call has begun.", data(PARTIES, RECONCILED)),
    "call.ringing": Told(
        "A leg rings.",
        data({**PARTIES, "early_media": yes_or_no("Whether it sends sound before it answers.")}),
    ),
    "call.answered": Told(
        "The call is answered: by a phone, a menu, a mailbox.", data(PARTIES, RECONCILED)
    ),
    "call.bridged": Told(
        "Two legs are connected.",
        data(
            PARTIES,
            {
                "other_leg_id": identifier("The leg at the other end."),
                "other_extension_id": maybe_id("Its extension."),
                "other_number": maybe("Its number.", "1002"),
                "other_call_id": identifier(
                    "Its call, where it is another: as after an attended transfer."
                ),
            },
        ),
    ),
    "call.held": Told("A leg is put on hold.", data(PARTIES)),
    "call.resumed": Told("A leg is taken off hold.", data(PARTIES)),
    "call.transferred": Told(
        "A leg is sent on, or somebody else has taken the call over.",
        data(
            {
                **PARTIES,
                "kind": words(
                    "`blind`: to a number; `attended`: to whom the second call of whoever"
                    " transfers is with; `park`: into a parking lot; `pickup`: taken over while it"
                    " rang elsewhere; `deflect`: the other side was told to call elsewhere itself.",
                    "blind",
                    "attended",
                    "park",
                    "pickup",
                    "deflect",
                ),
                "blind": yes_or_no("Whether nobody was spoken to before."),
                "whom": maybe("The number of whoever is sent on.", "1001"),
                "to": maybe("Where to; null where only the other side knows.", "1003"),
                "to_extension_id": maybe_id("The extension, where a leg of it is known."),
                "to_leg_id": maybe_id("The leg that they are connected with."),
                "to_call_id": maybe_id("Its call, where it had one of its own."),
                "by": maybe("Who does it; null for the API and the system.", "1002"),
                "by_extension_id": maybe_id("Their extension."),
                "by_leg_id": maybe_id("Their leg."),
                "referred_by": maybe("Referred-By of the SIP request (RFC 3892)."),
            }
        ),
    ),
    "call.originate_failed": Told(
        "A call that was placed through the API came about at no phone.",
        data(
            {
                "kind": text("What was asked for.", "originate"),
                "from": maybe("The phone that was to ring first.", "1001"),
                "to": maybe("Who was to be called.", "1002"),
                "cause": maybe("FreeSWITCH's cause, or what it said.", "USER_BUSY"),
            }
        ),
    ),
    "call.dtmf": Told(
        "A key was pressed, where it cannot be part of a PIN.",
        data(
            {
                "digit": text("The key.", "1", pattern="^[0-9A-Da-d*#FfWw]$"),
                "duration_ms": milliseconds("For how long."),
                "source": maybe("Where it was heard: `rtp`, `endpoint`, `inband_audio`.", "rtp"),
            }
        ),
    ),
    "call.ended": Told("The last leg of a call has ended.", data(_ENDED)),
    "call.missed": Told(
        "Nobody took a call to somebody here.",
        data(
            {
                **_ENDED,
                "reason": words(
                    "Why; `unavailable` where no phone could be rung.",
                    "busy",
                    "cancelled",
                    "no_answer",
                    "unavailable",
                ),
                "voicemail": yes_or_no("Whether the caller came to a mailbox."),
            }
        ),
    ),
}
