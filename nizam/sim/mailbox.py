"""mod_voicemail, as far as the network sees it: look-ups, recording, and vm::maintenance events.

The leave-message event's headers are those of mod_voicemail.c (deliver_vm); the others are
recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim import legs, recording, wire

if TYPE_CHECKING:
    from nizam.sim.call import Call

STORAGE = "/var/lib/freeswitch/storage/voicemail"
MINIMUM_SECONDS = 3


async def deposit(call: Call, profile: str, domain: str, user: str) -> None:
    """The caller leaves a message for user@domain, if there is such a mailbox."""
    exchange, channel = call.exchange, call.channel
    found = await exchange.questions.voicemail_lookup(user, domain)
    call.check()
    if found is None or found.params.get("vm-enabled", "true") != "true":
        call.problem(f"no mailbox for {user}@{domain}")
        call.proofs.append(f"no mailbox {user}@{domain}")
        return
    legs.answer_inbound(channel)
    for variable, macro in (
        ("skip_greeting", "voicemail_play_greeting"),
        ("skip_instructions", "voicemail_record_message"),
    ):
        if channel.get(variable) != "true":
            await exchange.questions.phrase(macro)
            call.check()
    message_id = exchange.core.new_uuid()
    path = f"{STORAGE}/{profile}/{domain}/{user}/msg_{message_id}.wav"
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
            _left(call, user, domain, path, message_id, int(seconds))


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


def _left(call: Call, user: str, domain: str, path: str, message_id: str, seconds: int) -> None:
    core, channel = call.exchange.core, call.channel
    if channel.uuid not in core.channels:
        return
    message: wire.Headers = [
        ("VM-Action", "leave-message"),
        ("VM-User", user),
        ("VM-Domain", domain),
        ("VM-Caller-ID-Name", channel.profile.caller_id_name),
        ("VM-Caller-ID-Number", channel.profile.caller_id_number),
        ("VM-File-Path", path),
        ("VM-Flags", ""),
        ("VM-Folder", "inbox"),
        ("VM-UUID", message_id),
        ("VM-Message-Len", str(seconds)),
        ("VM-Timestamp", str(int(core.clock.seconds()))),
    ]
    core.fire("CUSTOM", lambda: message, subclass="vm::maintenance")
    update: wire.Headers = [
        ("VM-Action", "mwi-update"),
        ("VM-User", user),
        ("VM-Domain", domain),
        ("VM-Total-New", "1"),
        ("VM-Total-Saved", "0"),
        ("VM-Total-New-Urgent", "0"),
        ("VM-Total-Saved-Urgent", "0"),
    ]
    core.fire(
        "CUSTOM",
        lambda: update,
        subclass="vm::maintenance",
        key="vm::maintenance mwi-update",
    )
    waiting: wire.Headers = [
        ("MWI-Messages-Waiting", "yes"),
        ("MWI-Message-Account", f"{user}@{domain}"),
        ("MWI-Voice-Message", "1/0 (0/0)"),
    ]
    core.fire("MESSAGE_WAITING", lambda: waiting)
