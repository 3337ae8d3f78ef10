"""What the phone hears of a feature code: the tenant's own prompt for it, or a tone."""

from __future__ import annotations

from nizam.model.prompt import Prompt
from nizam.routing.context import Routing
from nizam.routing.plan import Answer, Hangup, Plan, Playback, Sleep
from nizam.routing.sounds import prompt_file
from nizam.routing.tones import TONES, Result


def told(routing: Routing, what: str, result: Result) -> Plan:
    """Answer, say how it stands now, and end the call.

    A prompt of the tenant that is called `what` and the result, such as `do not disturb on`, is
    played in the place of the tone.
    """
    wanted = f"{what} {result}"
    for entry in routing.view.all(Prompt):
        if entry.body.enabled and entry.body.name.lower() == wanted:
            path = prompt_file(routing.view, entry)
            if path is not None:
                routing.note("prompt", "matched", f"plays {entry.body.name}", entry)
                return _heard(path)
    return _heard(TONES[result])


def failed(routing: Routing, words: str, *, outcome: str = "denied") -> Plan:
    """The plan of a code that does nothing: the phone hears that, others are turned away.

    `words` say why, in the trace.
    """
    routing.note("feature_code", "denied" if outcome == "denied" else "failed", words)
    routing.outcome = outcome
    if routing.rights.extension is None:
        return (Hangup("CALL_REJECTED"),)
    return _heard(TONES["failed"])


def _heard(sound: str) -> Plan:
    return (Answer(), Sleep(300), Playback(sound), Hangup("NORMAL_CLEARING"))
