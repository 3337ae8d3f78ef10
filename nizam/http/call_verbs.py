"""What each command to a call under way does: from its body to the line for the switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast
from uuid import UUID

import attrs

from nizam.errors import (
    Conflict,
    FieldError,
    NizamError,
    NotFound,
    SwitchError,
    ValidationFailed,
)
from nizam.esl import call_commands
from nizam.fsxml import values
from nizam.http.route import Call
from nizam.model.audio import PromptSound
from nizam.model.call_control import (
    Bridge,
    Dtmf,
    Hangup,
    HeardBy,
    OfLeg,
    Park,
    Play,
    Say,
    StartRecording,
    Transfer,
)
from nizam.model.identifiers import new_id
from nizam.model.parking_lot import ParkingLot
from nizam.routing.recording import recording_folder
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.sounds import find_sound
from nizam.switch.call_legs import choose_leg, legs_to_join, live_legs, node_of
from nizam.switch.control import CallControl
from nizam.switch.live_index import Document
from nizam.switch.preflight import Preflight

_TO: Final[Mapping[HeardBy, call_commands.To]] = {"leg": "aleg", "other": "bleg", "both": "both"}


@attrs.frozen
class Done:
    """What is told of a command that was carried out."""

    leg_id: UUID | None
    result: str


@attrs.frozen(kw_only=True)
class CallVerbs:
    """The commands. `found` is the call as the live state shows it, one of the tenant's; `wanted`
    is the body of the request."""

    snapshot: Snapshot
    control: CallControl
    preflight: Preflight

    # -- the commands -----------------------------------------------------------------------

    async def hangup(self, call: Call, found: Document, wanted: Hangup) -> Done:
        """End the call, or one leg of it."""
        if wanted.leg_id is not None:
            leg = choose_leg(found, wanted.leg_id, "first")
            return await self._run(found, "hangup", leg, call_commands.kill(leg, wanted.cause))
        said = ""
        for it in live_legs(found):
            line = call_commands.kill(UUID(it["leg_id"]), wanted.cause)
            try:
                said = await self.control.run("hangup", node_of(found, it["leg_id"]), line)
            except NotFound:
                # It went with the one before.
                continue
        if not said:
            raise NotFound("no leg of the call is left")
        return Done(None, said)

    async def transfer(self, call: Call, found: Document, wanted: Transfer) -> Done:
        """Send a leg to another number, or connect it with whom somebody has asked."""
        if wanted.type == "attended":
            return await self._join(call, found, wanted)
        if wanted.to is None or wanted.with_call_id is not None:
            raise _wrong("/to", "a blind transfer has `to`, and no `with_call_id`")
        leg = choose_leg(found, wanted.leg_id, "other")
        view = self._view(call)
        self.preflight.transfer(view, _extension_of(found, leg), wanted.to, leg, _id(found))
        line = call_commands.transfer(leg, wanted.to, view.tenant.domain)
        return await self._run(found, "transfer", leg, line)

    async def _join(self, call: Call, found: Document, wanted: Transfer) -> Done:
        if wanted.with_call_id is None or wanted.to is not None:
            raise _wrong("/with_call_id", "an attended transfer has `with_call_id`, and no `to`")
        other = await self.control.call(call.tenant, wanted.with_call_id)
        leg, peer = legs_to_join(found, other, wanted.leg_id, wanted.with_leg_id)
        return await self._connect(found, other, "transfer", leg, peer)

    async def bridge(self, call: Call, found: Document, wanted: Bridge) -> Done:
        """Connect a leg with one of another call."""
        other = await self.control.call(call.tenant, wanted.other_call_id)
        leg = choose_leg(found, wanted.leg_id, "first")
        peer = choose_leg(other, wanted.other_leg_id, "first")
        return await self._connect(found, other, "bridge", leg, peer)

    async def hold(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Put whoever a phone talks to on hold."""
        leg = choose_leg(found, wanted.leg_id, "phone")
        return await self._run(found, "hold", leg, call_commands.hold(leg))

    async def resume(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Talk again."""
        leg = choose_leg(found, wanted.leg_id, "phone")
        return await self._run(found, "resume", leg, call_commands.resume(leg))

    async def park(self, call: Call, found: Document, wanted: Park) -> Done:
        """Let a leg wait in a slot of a parking lot."""
        view = self._view(call)
        lots = sorted(
            (it.body.number for it in view.all(ParkingLot) if it.body.enabled),
        )
        if wanted.lot is not None and wanted.lot not in lots:
            raise _wrong("/lot", f"no parking lot has the number {wanted.lot}")
        leg = choose_leg(found, wanted.leg_id, "other")
        number = wanted.lot or next(iter(lots), None)
        line = call_commands.park(leg)
        if number is not None:
            line = call_commands.transfer(leg, number, view.tenant.domain)
        return await self._run(found, "park", leg, line)

    async def play(self, call: Call, found: Document, wanted: Play) -> Done:
        """Play a sound."""
        leg = choose_leg(found, wanted.leg_id, "first")
        if (wanted.sound is None) == (wanted.prompt_id is None):
            raise _wrong("/sound", "either a sound or a prompt_id is played")
        what = wanted.sound or PromptSound(prompt_id=cast("UUID", wanted.prompt_id))
        sound = find_sound(self._view(call), what)
        if sound.path is None:
            raise _wrong("/prompt_id", sound.words)
        line = call_commands.broadcast(
            leg, "playback", values.sound(sound.path), _TO[wanted.heard_by]
        )
        return await self._run(found, "play", leg, line)

    async def stop_playing(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """End what is played or said."""
        leg = choose_leg(found, wanted.leg_id, "first")
        return await self._run(found, "play", leg, call_commands.stop_playing(leg))

    async def say(self, call: Call, found: Document, wanted: Say) -> Done:
        """Speak a text."""
        leg = choose_leg(found, wanted.leg_id, "first")
        speech = self._view(call).speech
        if speech is None:
            raise _wrong("/text", "texts cannot be spoken here (NIZAM_SPEECH)", "no_speech")
        # One argument among others that blanks separate: no quote may be in it.
        spoken = values.speech(wanted.text.replace("'", "\u2019"))
        engine, voice = map(values.word, speech)
        line = call_commands.broadcast(
            leg, "speak", f"{engine}|{voice}|{spoken}", _TO[wanted.heard_by]
        )
        return await self._run(found, "say", leg, line)

    async def dtmf(self, call: Call, found: Document, wanted: Dtmf) -> Done:
        """Send keys."""
        leg = choose_leg(found, wanted.leg_id, "other")
        line = call_commands.send_dtmf(leg, wanted.digits, wanted.duration_ms)
        done = await self._run(found, "dtmf", leg, line)
        # The switch repeats the keys, which can be a PIN.
        return attrs.evolve(done, result="+OK sent")

    async def start_recording(self, call: Call, found: Document, wanted: StartRecording) -> Done:
        """Record the call into a new file."""
        leg = choose_leg(found, wanted.leg_id, "first")
        folder = recording_folder(self._view(call), self.preflight.now())
        if folder is None:
            raise Conflict("there is no media root to record into")
        if found["recording"] is not None:
            raise Conflict("the call is recorded already")
        name = f"{found['call_id']}-{new_id().hex[-8:]}"
        path = values.new_file(f"{folder}/{name}.wav")
        line = call_commands.start_recording(leg, path, wanted.max_seconds or 0)
        return await self._run(found, "record", leg, line)

    async def stop_recording(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """End the recording."""
        return await self._of_recording(found, wanted, "stop")

    async def pause_recording(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Have silence recorded instead of what is said."""
        return await self._of_recording(found, wanted, "mask")

    async def resume_recording(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Record what is said again."""
        return await self._of_recording(found, wanted, "unmask")

    async def mute(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Let nobody hear what is said at a phone."""
        leg = choose_leg(found, wanted.leg_id, "phone")
        return await self._run(found, "mute", leg, call_commands.mute(leg))

    async def unmute(self, call: Call, found: Document, wanted: OfLeg) -> Done:
        """Let it be heard again."""
        leg = choose_leg(found, wanted.leg_id, "phone")
        return await self._run(found, "unmute", leg, call_commands.unmute(leg))

    # -- what they share --------------------------------------------------------------------

    async def _of_recording(
        self, found: Document, wanted: OfLeg, action: call_commands.RecordingAction
    ) -> Done:
        path = found["recording"]
        if path is None:
            raise Conflict("the call is not recorded")
        # The call's document does not say which leg it is that is recorded.
        legs = [choose_leg(found, wanted.leg_id, "first")]
        if wanted.leg_id is None:
            legs = [UUID(it["leg_id"]) for it in live_legs(found)]
        refused: NizamError = NotFound("no leg of the call is left")
        for leg in legs:
            line = call_commands.of_recording(leg, action, values.new_file(path))
            try:
                return await self._run(found, "record", leg, line)
            except (SwitchError, NotFound) as error:
                refused = error
        raise refused

    async def _connect(
        self, found: Document, other: Document, verb: str, leg: UUID, peer: UUID
    ) -> Done:
        if node_of(found, leg) != node_of(other, peer):
            raise Conflict("the two legs are on different switches")
        if leg == peer:
            raise Conflict("a leg cannot be connected with itself")
        return await self._run(found, verb, leg, call_commands.bridge(leg, peer))

    async def _run(self, found: Document, verb: str, leg: UUID, line: str) -> Done:
        return Done(leg, await self.control.run(verb, node_of(found, leg), line))

    def _view(self, call: Call) -> TenantView:
        view = self.snapshot.tenant(call.tenant)
        if view is None:
            raise NotFound("the tenant is not known here yet")
        return view


def _id(found: Document) -> UUID:
    return UUID(found["call_id"])


def _extension_of(found: Document, leg: UUID) -> UUID | None:
    """The extension whose phone is at the leg."""
    for it in found["legs"]:
        if it["leg_id"] == str(leg) and it["extension_id"] is not None:
            return UUID(it["extension_id"])
    return None


def _wrong(path: str, message: str, code: str = "invalid_value") -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(path, code, message)])
