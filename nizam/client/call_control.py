"""Placing calls, and steering those that are under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.client.actions import Document, document
from nizam.client.history import Documents

Id = UUID | str
HeardBy = Literal["both", "leg", "other"]


@attrs.frozen(eq=False)
class Calls(Documents):
    """Calls. Without a `leg_id` each command has its own idea of which leg is meant (see
    docs/call-control.md)."""

    def get(self, call_id: Id) -> Document:
        """One call that is under way."""
        return self._get(call_id)

    def trace(self, call_id: Id) -> Document:
        """Every event of one call, in order, also of a past one."""
        return self._get(call_id, "trace")

    def explain(self, call_id: Id) -> Document:
        """Why one call went where it went: every answer that the switch was given."""
        return self._get(call_id, "explain")

    def originate(
        self,
        from_: str,
        to: str,
        *,
        ring_seconds: int | None = None,
        auto_answer: bool | None = None,
        caller_id: str | None = None,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> Document:
        """Ring the phones of an extension, then dial a number for whoever answers.

        With `wait` the answer comes once they were answered or not, at most so many seconds later;
        `state` says which. The same call is placed once for one `idempotency_key`.
        """
        body = {
            "from": from_,
            "to": to,
            "ring_seconds": ring_seconds,
            "auto_answer": auto_answer,
            "caller_id": caller_id,
        }
        return self._ask((), body, wait=wait, idempotency_key=idempotency_key)

    def outcome(self, call_id: Id, *, wait: int | None = None) -> Document:
        """What became of a call that was placed within a day."""
        query = () if wait is None else (("wait", str(wait)),)
        answer = self.transport.request("GET", self._path(call_id, "outcome"), query=query)
        return document(answer.json())

    def hangup(
        self, call_id: Id, *, leg_id: Id | None = None, cause: str | None = None
    ) -> Document:
        """End a call, or one leg of it."""
        return self._ask((call_id, "hangup"), {"leg_id": leg_id, "cause": cause})

    def transfer(self, call_id: Id, to: str, *, leg_id: Id | None = None) -> Document:
        """Send a leg to another number."""
        return self._ask((call_id, "transfer"), {"to": to, "leg_id": leg_id})

    def join(
        self,
        call_id: Id,
        other_call_id: Id,
        *,
        leg_id: Id | None = None,
        other_leg_id: Id | None = None,
    ) -> Document:
        """Connect those whom somebody in two calls talks to; whoever is in both leaves (attended
        transfer)."""
        body = {
            "type": "attended",
            "with_call_id": other_call_id,
            "leg_id": leg_id,
            "with_leg_id": other_leg_id,
        }
        return self._ask((call_id, "transfer"), body)

    def hold(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """Put whoever a phone talks to on hold."""
        return self._ask((call_id, "hold"), {"leg_id": leg_id})

    def resume(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """End the hold."""
        return self._ask((call_id, "resume"), {"leg_id": leg_id})

    def park(self, call_id: Id, *, lot: str | None = None, leg_id: Id | None = None) -> Document:
        """Let a leg wait in a slot of a parking lot."""
        return self._ask((call_id, "park"), {"lot": lot, "leg_id": leg_id})

    def bridge(
        self,
        call_id: Id,
        other_call_id: Id,
        *,
        leg_id: Id | None = None,
        other_leg_id: Id | None = None,
    ) -> Document:
        """Connect a leg with one of another call."""
        body = {"other_call_id": other_call_id, "leg_id": leg_id, "other_leg_id": other_leg_id}
        return self._ask((call_id, "bridge"), body)

    def play(
        self,
        call_id: Id,
        sound: str | None = None,
        *,
        prompt_id: Id | None = None,
        heard_by: HeardBy | None = None,
        leg_id: Id | None = None,
    ) -> Document:
        """Play a sound, which is a path as FreeSWITCH reads it, or a prompt of the tenant."""
        body = {"sound": sound, "prompt_id": prompt_id, "heard_by": heard_by, "leg_id": leg_id}
        return self._ask((call_id, "play"), body)

    def stop_playing(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """End what is played or said."""
        return self._ask((call_id, "play", "stop"), {"leg_id": leg_id})

    def say(
        self,
        call_id: Id,
        text: str,
        *,
        heard_by: HeardBy | None = None,
        leg_id: Id | None = None,
    ) -> Document:
        """Speak a text."""
        body = {"text": text, "heard_by": heard_by, "leg_id": leg_id}
        return self._ask((call_id, "say"), body)

    def dtmf(
        self,
        call_id: Id,
        digits: str,
        *,
        duration_ms: int | None = None,
        leg_id: Id | None = None,
    ) -> Document:
        """Send keys to a phone or line."""
        body = {"digits": digits, "duration_ms": duration_ms, "leg_id": leg_id}
        return self._ask((call_id, "dtmf"), body)

    def start_recording(
        self, call_id: Id, *, max_seconds: int | None = None, leg_id: Id | None = None
    ) -> Document:
        """Record the call."""
        return self._ask(
            (call_id, "record", "start"), {"max_seconds": max_seconds, "leg_id": leg_id}
        )

    def stop_recording(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """End the recording."""
        return self._ask((call_id, "record", "stop"), {"leg_id": leg_id})

    def pause_recording(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """Keep what is said out of the recording."""
        return self._ask((call_id, "record", "pause"), {"leg_id": leg_id})

    def resume_recording(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """Record again what is said."""
        return self._ask((call_id, "record", "resume"), {"leg_id": leg_id})

    def mute(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """Let nobody hear what is said at a phone."""
        return self._ask((call_id, "mute"), {"leg_id": leg_id})

    def unmute(self, call_id: Id, *, leg_id: Id | None = None) -> Document:
        """Let it be heard again."""
        return self._ask((call_id, "unmute"), {"leg_id": leg_id})

    def eavesdrop(
        self, call_id: Id, by: str, *, leg_id: Id | None = None, wait: int | None = None
    ) -> Document:
        """Ring a supervisor's extension, who then hears the call, unheard."""
        return self._ask((call_id, "eavesdrop"), {"by": by, "leg_id": leg_id}, wait=wait)

    def whisper(
        self, call_id: Id, by: str, *, leg_id: Id | None = None, wait: int | None = None
    ) -> Document:
        """Ring a supervisor's extension, who then hears the call and is heard at one leg alone."""
        return self._ask((call_id, "whisper"), {"by": by, "leg_id": leg_id}, wait=wait)

    def barge(
        self, call_id: Id, by: str, *, leg_id: Id | None = None, wait: int | None = None
    ) -> Document:
        """Ring a supervisor's extension, who then speaks with everybody in the call."""
        return self._ask((call_id, "barge"), {"by": by, "leg_id": leg_id}, wait=wait)

    def _ask(
        self,
        steps: tuple[object, ...],
        body: Mapping[str, Any],
        *,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> Document:
        said = {
            name: str(it) if isinstance(it, UUID) else it
            for name, it in body.items()
            if it is not None
        }
        answer = self.transport.request(
            "POST",
            self._path(*steps),
            query=() if wait is None else (("wait", str(wait)),),
            body=said,
            idempotency_key=idempotency_key,
        )
        return document(answer.json())
