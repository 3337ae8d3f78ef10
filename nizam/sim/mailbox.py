"""mod_voicemail, as far as the network sees it: look-ups, recording, and vm::maintenance events.

The leave-message event's headers are those of mod_voicemail.c (deliver_vm); the others are
recorded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nizam.sim import legs, media, recording, voicemail_box, wire

if TYPE_CHECKING:
    from nizam.sim.call import Call

STORAGE = "/var/lib/freeswitch/storage/voicemail"
MINIMUM_SECONDS = 3


async def deposit(
    call: Call, profile: str, domain: str, user: str, *, greeting: int | None = None
) -> None:
    """The caller leaves a message for user@domain, if there is such a mailbox, after the greeting
    with this number, if it is there."""
    exchange, channel = call.exchange, call.channel
    found = await exchange.questions.voicemail_lookup(user, domain)
    call.check()
    if found is None or found.params.get("vm-enabled", "true") != "true":
        call.problem(f"no mailbox for {user}@{domain}")
        call.proofs.append(f"no mailbox {user}@{domain}")
        return
    legs.answer_inbound(channel)
    directory = found.params.get("vm-storage-dir") or f"{STORAGE}/{profile}/{domain}/{user}"
    own = f"{directory}/greeting_{greeting}.wav"
    for variable, macro in (
        ("skip_greeting", "voicemail_play_greeting"),
        ("skip_instructions", "voicemail_record_message"),
    ):
        if channel.get(variable) == "true":
            continue
        if variable == "skip_greeting" and greeting is not None and _is_there(own):
            await media.play(call, own)
        else:
            await exchange.questions.phrase(macro)
        call.check()
    message_id = exchange.core.new_uuid()  # of the file; the message has that of the leg
    path = f"{directory}/msg_{message_id}.wav"
    call.proofs.append(f"voicemail {user}@{domain}")
    recording.start(channel, path)
    seconds = call.script.message
    try:
        await channel.waiter.sleep(seconds * exchange.pace)
        call.caller_hangs_up()
        await channel.waiter.sleep(0)
    finally:
        recording.stop(channel, path, seconds=seconds)
        if seconds >= MINIMUM_SECONDS:
            _left(call, user, domain, path, int(seconds))


def _is_there(path: str) -> bool:
    return os.path.isfile(path)


async def check(call: Call, domain: str, user: str) -> None:
    """A user listens to messages; the PIN is right when the directory has one."""
    exchange, channel = call.exchange, call.channel
    found = await exchange.questions.voicemail_lookup(user, domain)
    call.check()
    legs.answer_inbound(channel)
    known = found is not None and "vm-password" in found.params
    authorized = channel.get("voicemail_authorized") == "true"
    channel.fire(
        "CUSTOM",
        [
            ("VM-Action", "authentication"),
            ("VM-Auth-Result", "success" if known or authorized else "fail"),
            ("VM-User", user),
            ("VM-Domain", domain),
        ],
        subclass="vm::maintenance",
        key="vm::maintenance authentication",
    )
    if known or authorized:
        call.proofs.append(f"voicemail {user}@{domain}")
    await call.until_caller_leaves(call.script.talk)


def _left(call: Call, user: str, domain: str, path: str, seconds: int) -> None:
    core, channel = call.exchange.core, call.channel
    if channel.uuid not in core.channels:
        return
    name, number = channel.profile.caller_id_name, channel.profile.caller_id_number
    created = int(core.clock.seconds())
    message: wire.Headers = [
        ("VM-Action", "leave-message"),
        ("VM-User", user),
        ("VM-Domain", domain),
        ("VM-Caller-ID-Name", name),
        ("VM-Caller-ID-Number", number),
        ("VM-File-Path", path),
        ("VM-Flags", voicemail_box.NORMAL),
        ("VM-Folder", "inbox"),
        ("VM-UUID", channel.uuid),
        ("VM-Message-Len", str(seconds)),
        ("VM-Timestamp", str(created)),
    ]
    channel.fire("CUSTOM", message, subclass="vm::maintenance")
    kept = voicemail_box.Message(
        user=user,
        domain=domain,
        uuid=channel.uuid,
        path=path,
        cid_name=name,
        cid_number=number,
        seconds=seconds,
        created=created,
    )
    voicemail_box.leave(core, kept)
