"""Commands to calls under way: `POST /tenants/{tenant_id}/calls/{call_id}/...`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import attrs
from twisted.logger import Logger

from nizam.errors import (
    CallRefused,
    Conflict,
    IdempotencyMismatch,
    KeyValueUnavailable,
    NizamError,
    SwitchError,
    SwitchUnavailable,
)
from nizam.http.body import validate
from nizam.http.call_verbs import CallVerbs, Done
from nizam.http.changes import change_context
from nizam.http.once import once
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Route
from nizam.http.schema_parts import Schema, identifier, object_of, or_null, text
from nizam.kv.interface import IKeyValue
from nizam.model.call_control import (
    Bridge,
    Dtmf,
    Hangup,
    OfLeg,
    Park,
    Play,
    Say,
    StartRecording,
    Transfer,
)
from nizam.store.audit import AuditEntry
from nizam.store.store import Store
from nizam.switch.live_index import Document

FAILED: Final = "command_failed"
"""The action in the audit log of a command that did not come about."""
DONE: Schema = {
    "title": "CallCommandDone",
    **object_of(
        "What was done with a call.",
        call_id=identifier("The call."),
        leg_id=or_null(identifier("The leg that it was done with; null for the whole call.")),
        command=text("What was asked.", "hold"),
        result=text("What the switch said.", "+OK Success"),
    ),
}
ERRORS: Final[tuple[type[NizamError], ...]] = (
    CallRefused,
    Conflict,
    IdempotencyMismatch,
    KeyValueUnavailable,
    SwitchError,
    SwitchUnavailable,
)
"""What a command can come to, beside what every request can."""
Work = Callable[[CallVerbs, Call, Document, Any], Awaitable[Done]]


@attrs.frozen
class Command:
    """A command: the end of its path, the scope after `calls:`, its operation and what does it."""

    path: str
    scope: str
    operation: str
    work: Work
    model: type[OfLeg]
    summary: str
    example: dict[str, Any] = attrs.field(factory=dict)


_OTHER: Final = {"other_call_id": "5f0f3b8e-6c1f-4d0b-9d7a-2f4f1d0c9b11"}
_SOUND: Final = {"sound": "ivr/ivr-welcome.wav"}
_TEXT: Final = {"text": "Please hold the line."}
COMMANDS: Final = (
    Command("hangup", "hangup", "hang_up_call", CallVerbs.hangup, Hangup, "End a call."),
    Command(
        "transfer",
        "transfer",
        "transfer_call",
        CallVerbs.transfer,
        Transfer,
        "Send a call elsewhere.",
        {"to": "1003"},
    ),
    Command("hold", "hold", "hold_call", CallVerbs.hold, OfLeg, "Put a call on hold."),
    Command("resume", "hold", "resume_call", CallVerbs.resume, OfLeg, "End the hold of a call."),
    Command("park", "park", "park_call", CallVerbs.park, Park, "Park a call."),
    Command(
        "bridge",
        "bridge",
        "bridge_calls",
        CallVerbs.bridge,
        Bridge,
        "Connect a call with another one.",
        _OTHER,
    ),
    Command(
        "play", "play", "play_to_call", CallVerbs.play, Play, "Play a sound into a call.", _SOUND
    ),
    Command(
        "play/stop",
        "play",
        "stop_playing_to_call",
        CallVerbs.stop_playing,
        OfLeg,
        "End what is played or said into a call.",
    ),
    Command("say", "say", "say_to_call", CallVerbs.say, Say, "Speak a text into a call.", _TEXT),
    Command(
        "dtmf",
        "dtmf",
        "send_dtmf_to_call",
        CallVerbs.dtmf,
        Dtmf,
        "Send keys to a phone or line.",
        {"digits": "1234#"},
    ),
    Command(
        "record/start",
        "record",
        "start_recording_call",
        CallVerbs.start_recording,
        StartRecording,
        "Record a call.",
    ),
    Command(
        "record/stop",
        "record",
        "stop_recording_call",
        CallVerbs.stop_recording,
        OfLeg,
        "End the recording of a call.",
    ),
    Command(
        "record/pause",
        "record",
        "pause_recording_call",
        CallVerbs.pause_recording,
        OfLeg,
        "Keep what is said out of the recording of a call.",
    ),
    Command(
        "record/resume",
        "record",
        "resume_recording_call",
        CallVerbs.resume_recording,
        OfLeg,
        "Record again what is said in a call.",
    ),
    Command("mute", "mute", "mute_call", CallVerbs.mute, OfLeg, "Mute a phone in a call."),
    Command("unmute", "mute", "unmute_call", CallVerbs.unmute, OfLeg, "Unmute a phone in a call."),
)


@attrs.frozen
class CallCommands:
    """The handlers. Each finds the call among the tenant's, writes into the audit log who asks for
    what, and has the switch do it: once, with an Idempotency-Key."""

    store: Store
    key_value: IKeyValue
    verbs: CallVerbs

    _log = Logger()

    async def carry_out(self, call: Call, command: Command) -> Reply:
        """Find the call, write down what is asked, do it, tell."""
        given = call.json() if call.raw_body.strip() or call.route.request_required else {}
        wanted = validate(command.model, given)

        async def run() -> Reply:
            found = await self.verbs.control.call(call.tenant, call.id("call_id"))
            entry = AuditEntry(
                action=command.path.replace("/", "_"),
                resource_type="call",
                resource_id=UUID(found["call_id"]),
                tenant_id=call.tenant,
                after=_for_the_log(call),
            )
            await self.store.record(change_context(call), entry)
            try:
                done = await command.work(self.verbs, call, found, wanted)
            except NizamError as error:
                await self._note_failure(call, entry, error)
                raise
            return Reply(
                {
                    "call_id": found["call_id"],
                    "leg_id": done.leg_id,
                    "command": command.path,
                    "result": done.result,
                }
            )

        return await once(self.key_value, call, run)

    async def _note_failure(self, call: Call, entry: AuditEntry, error: NizamError) -> None:
        """The log says what was asked; that it failed is added, as far as it can be."""
        after = {"command": entry.action, "code": error.code, "detail": error.detail}
        failed = attrs.evolve(entry, action=FAILED, after=after)
        try:
            await self.store.record(change_context(call), failed)
        except NizamError as away:
            self._log.warn("not in the audit log: {error}", error=away.detail)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [self._route(it) for it in COMMANDS]

    def _route(self, command: Command) -> Route:
        async def handler(call: Call) -> Reply:
            return await self.carry_out(call, command)

        model = command.model
        return Route(
            method="POST",
            path=f"{TENANT}/calls/{{call_id}}/{command.path}",
            handler=handler,
            summary=command.summary,
            about=" ".join((model.__doc__ or "").split()),
            operation=command.operation,
            tag="calls",
            permission=f"calls:{command.scope}",
            request=model_schema(model),
            request_example=command.example,
            request_required=any(it.is_required() for it in model.model_fields.values()),
            response=DONE,
            errors=ERRORS,
        )


def _for_the_log(call: Call) -> dict[str, Any]:
    """What was asked, without the keys that were sent: they can be a PIN."""
    said = call.json() if call.raw_body.strip() else {}
    if "digits" in said:
        said = {**said, "digits": f"{len(str(said['digits']))} keys"}
    return said
