"""What happens to a channel, with the events that a real FreeSWITCH fires for it.

The order of events and variables follows the recorded calls: a leg answered without early media
first gets CHANNEL_PROGRESS_MEDIA; after CHANNEL_BRIDGE each leg gets CALL_UPDATE.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from nizam.sim import wire
from nizam.sim.answers import DirectoryUser
from nizam.sim.channel import CallerProfile, Channel, Times
from nizam.sim.core import Core
from nizam.sim.people import invite

CALLEE_NAME = "Outbound Call"


@attrs.frozen
class Target:
    """A place to send an INVITE to: a registered contact, a literal contact or a gateway."""

    role: str
    destination: str
    host: str
    port: int
    domain: str
    channel_name: str
    variables: Mapping[str, str]
    user: DirectoryUser | None = None
    gateway: str = ""
    dialled_user: str = ""


def inbound_channel(
    core: Core,
    *,
    role: str,
    caller: str,
    caller_name: str,
    domain: str,
    destination: str,
    context: str,
    port: int,
    user: DirectoryUser | None = None,
) -> Channel:
    """A new channel for an INVITE from a phone (`internal`) or a carrier (`external`).

    Fires CHANNEL_CREATE. `user` is whose credentials were accepted, `context` where it hunts.
    """
    unique_id = core.new_uuid()
    profile_name = "internal" if role == "internal" else "external"
    name = f"sofia/{profile_name}/{caller}@{domain}"
    fields = _fields(core, unique_id, domain, caller, caller_name, destination, port)
    presence = f"{caller}@{domain}" if role == "internal" else ""
    profile = CallerProfile(
        direction="inbound",
        username=caller,
        caller_id_name=caller_name,
        caller_id_number=caller,
        original_name=caller_name,
        original_number=caller,
        ani=caller,
        destination=destination,
        context=context,
        channel_name=name,
        uuid=unique_id,
    )
    channel = Channel(core, unique_id, role, name, profile, fields, presence_id=presence)
    channel.times = Times(created=core.now(), profile_created=core.now())
    channel.reach("create", directory=list(user.variables.items()) if user else None)
    core.add_channel(channel)
    channel.fire("CHANNEL_CREATE")
    return channel


def outbound_channel(
    core: Core, target: Target, originator: Channel | None, variables: Mapping[str, str]
) -> Channel:
    """A new leg towards `target`, from a bridging channel or, without one, from originate.

    `variables` are those of the whole dial-string. Fires CHANNEL_UUID where origination_uuid was
    given, CHANNEL_OUTGOING, CHANNEL_CREATE and CHANNEL_ORIGINATE.
    """
    own = {**variables, **target.variables}
    unique_id = own.get("origination_uuid") or core.new_uuid()
    name, number = _caller_id(originator, own)
    fields = _fields(
        core, unique_id, target.domain, number, name, target.destination, target.port
    ) | {
        "other_uuid": originator.uuid if originator else unique_id,
        "gateway": target.gateway,
        "destination": target.dialled_user or target.destination,
    }
    role = target.role if originator or target.role == "gateway" else "originate"
    profile = CallerProfile(
        direction="outbound",
        username=originator.profile.username if originator else "",
        dialplan="XML" if originator else "",
        caller_id_name=name,
        caller_id_number=number,
        original_name=originator.profile.original_name if originator else name,
        original_number=originator.profile.original_number if originator else number,
        callee_id_name=own.get("origination_callee_id_name", CALLEE_NAME),
        callee_id_number=own.get(
            "origination_callee_id_number", target.dialled_user or target.destination
        ),
        ani=originator.profile.ani if originator else number,
        destination=target.destination,
        context=originator.profile.context if originator else "default",
        network_addr="127.0.0.1" if originator else "",
        rdnis=originator.profile.rdnis if originator else "",
        source=originator.profile.source if originator else "src/switch_ivr_originate.c",
        channel_name=target.channel_name,
        uuid=unique_id,
        hide_name=originator.profile.hide_name if originator else False,
        hide_number=originator.profile.hide_number if originator else False,
    )
    channel = Channel(core, unique_id, role, target.channel_name, profile, fields)
    channel.hit_dialplan = False
    channel.times = Times(created=core.now(), profile_created=core.now())
    if originator is not None:
        channel.join(originator, "originator", Times())
    core.add_channel(channel)
    if "origination_uuid" in own:
        old: wire.Headers = [("Old-Unique-ID", core.new_uuid())]
        _at(channel, "CS_NONE", 1)
        channel.fire("CHANNEL_UUID", old)
    _at(channel, "CS_NONE", 1)
    channel.fire("CHANNEL_OUTGOING")
    if originator is not None:
        channel.call_uuid = originator.call_uuid
    channel.presence_id = own.get("presence_id", "")
    channel.reach("create", dialled=[*exported(originator), *own.items()])
    channel.variables["channel_name"] = target.channel_name
    shown = [*_headers_of(originator), *exported(originator), *own.items()]
    channel.invite = invite(name, number, shown, hidden=profile.hide_number)
    if not target.dialled_user:
        channel.set("dialed_user", None)
        channel.set("dialed_domain", None)
    _at(channel, "CS_INIT", 2)
    channel.fire("CHANNEL_CREATE")
    channel.fire("CHANNEL_ORIGINATE")
    return channel


def ring(channel: Channel) -> None:
    """The called phone rings (180): CHANNEL_PROGRESS."""
    channel.times.progress = channel.other_times.progress = channel.core.now()
    channel.reach("progress")
    _at(channel, "CS_CONSUME_MEDIA", 7)
    channel.fire("CHANNEL_PROGRESS")
    channel.call_state = "RINGING"


def play_early(channel: Channel) -> None:
    """The called phone plays something before it answers (183): CHANNEL_PROGRESS_MEDIA."""
    channel.times.progress_media = channel.core.now()
    channel.has_media = True
    channel.answer_state = "early"
    _at(channel, "CS_CONSUME_MEDIA", 7)
    channel.fire("CHANNEL_PROGRESS_MEDIA")
    channel.call_state = "EARLY"


def ring_ready(channel: Channel) -> None:
    """The caller hears ringing (180): CHANNEL_PROGRESS, once."""
    if channel.times.progress or channel.has_media:
        return
    channel.hear("ringing")
    channel.times.progress = channel.core.now()
    _at(channel, "CS_EXECUTE", 4)
    channel.call_state = "RINGING"
    channel.fire("CHANNEL_PROGRESS")


def pre_answer(channel: Channel, local: bool = False) -> None:
    """The caller gets early media (183): CHANNEL_PROGRESS_MEDIA, once.

    `local` media (announcements) leave the progress time alone, as recorded.
    """
    if channel.has_media:
        return
    channel.has_media = True
    now = channel.core.now()
    channel.times.progress_media = now
    if not local and not channel.times.progress:
        channel.times.progress = now
    channel.reach("media")
    channel.set("endpoint_disposition", "EARLY MEDIA")
    _at(channel, "CS_EXECUTE", 4)
    channel.call_state, channel.answer_state = "RINGING", "early"
    channel.fire("CHANNEL_PROGRESS_MEDIA")
    channel.call_state = "EARLY"
    channel.reach("answer", only="rtp_local_sdp_str")


def answer_inbound(channel: Channel) -> None:
    """The caller is answered (200): CHANNEL_ANSWER, after CHANNEL_PROGRESS_MEDIA where due."""
    if channel.answered or channel.ended:
        return
    pre_answer(channel, local=True)
    channel.times.answered = channel.core.now()
    channel.reach("answer")
    channel.answer_state = "answered"
    channel.fire("CHANNEL_ANSWER")
    channel.call_state = "ACTIVE"
    channel.set("endpoint_disposition", "ANSWER")
    channel.reach("established")


def answer_outbound(channel: Channel, user: DirectoryUser | None) -> None:
    """The called phone answers: CHANNEL_ANSWER; only then the leg has its user's variables."""
    channel.has_media = True
    channel.times.answered = channel.core.now()
    channel.reach("answer")
    channel.answer_state = "answered"
    if not channel.bridged:
        _at(channel, "CS_CONSUME_MEDIA", 7)
    channel.fire("CHANNEL_ANSWER")
    channel.call_state = "ACTIVE"
    channel.set("endpoint_disposition", "ANSWER")
    for name, value in (user.variables if user else {}).items():
        channel.set(name, value)


def bridge(a: Channel, b: Channel, *, answered: bool = True) -> None:
    """Connects two legs: CHANNEL_BRIDGE on `a`, then CALL_UPDATE on both.

    Legs that are not yet answered exchange media already; tell_callee_ids() is then left to do.
    """
    now = a.core.now()
    a.join(b, "originatee", attrs.evolve(b.times))
    a.times.bridged = b.times.bridged = now
    _at(a, "CS_EXECUTE", 4)
    _at(b, "CS_EXCHANGE_MEDIA", 5)
    a.set("originate_signal_bond", None)
    a.set("signal_bond", b.uuid)
    a.fire("CHANNEL_BRIDGE", _bridged(a, b))
    for leg, peer in ((a, b), (b, a)):
        for name in ("bridge_to", "last_bridge_to"):
            leg.set(name, peer.uuid)
        leg.set("bridge_channel", peer.name)
        leg.set("bridge_uuid", peer.uuid)
        leg.set("signal_bond", peer.uuid)
    if answered:
        tell_callee_ids(a, b)


def tell_callee_ids(a: Channel, b: Channel) -> None:
    """Each of two connected legs is told whom it speaks to: CALL_UPDATE."""
    _call_update(b, a, a.profile.caller_id_name, a.profile.caller_id_number)
    _call_update(a, b, CALLEE_NAME, b.profile.callee_id_number)


def unbridge(a: Channel, b: Channel) -> None:
    """The bridge ends: CHANNEL_UNBRIDGE on `a`."""
    if b.ended and not a.ended:
        a.set("sip_hangup_phrase", "OK")
        a.set("last_bridge_hangup_cause", b.hangup_cause)
        a.set("last_bridge_proto_specific_hangup_cause", "sip:200")
    a.set("bridge_hangup_cause", b.hangup_cause or a.hangup_cause or "NORMAL_CLEARING")
    for leg in (a, b):
        leg.set("bridge_to", None)
    a.fire("CHANNEL_UNBRIDGE", _bridged(a, b))


def hold(channel: Channel, on: bool) -> None:
    """Holds or resumes: CHANNEL_HOLD or CHANNEL_UNHOLD, if that changes anything."""
    if channel.held == on:
        return
    now = channel.core.now()
    channel.held = on
    if on:
        channel.times.last_hold = now
    else:
        channel.times.hold_accumulated += now - channel.times.last_hold
    channel.call_state = "HELD" if on else "UNHELD"
    channel.fire("CHANNEL_HOLD" if on else "CHANNEL_UNHOLD")
    if not on:
        channel.call_state = "ACTIVE"


def _at(channel: Channel, state: str, number: int) -> None:
    if not channel.ended:
        channel.state, channel.state_number = state, number


def _bridged(a: Channel, b: Channel) -> wire.Headers:
    return [("Bridge-A-Unique-ID", a.uuid), ("Bridge-B-Unique-ID", b.uuid)]


def _call_update(channel: Channel, peer: Channel, name: str, number: str) -> None:
    channel.set("last_sent_callee_id_name", name)
    channel.set("last_sent_callee_id_number", number)
    channel.fire(
        "CALL_UPDATE",
        [
            ("Direction", "SEND"),
            ("Sent-Callee-ID-Name", name),
            ("Sent-Callee-ID-Number", number),
            ("Bridged-To", peer.uuid),
        ],
    )


def exported(originator: Channel | None) -> wire.Headers:
    """What `export` on the bridging channel gives to each new leg."""
    if originator is None:
        return []
    names = originator.get("export_vars") or ""
    pairs: wire.Headers = [("export_vars", names)] if names else []
    for name in filter(None, names.split(",")):
        value = originator.get(name)
        if value is not None:
            pairs.append((name.removeprefix("nolocal:"), value))
    return pairs


def _headers_of(originator: Channel | None) -> wire.Headers:
    """The SIP headers of the caller that go on to each leg (sip_copy_custom_headers)."""
    if originator is None or originator.get("sip_copy_custom_headers") == "false":
        return []
    return [it for it in originator.variables.items() if it[0].startswith("sip_h_")]


def _caller_id(originator: Channel | None, variables: Mapping[str, str]) -> tuple[str, str]:
    if originator is None:
        name, number = "", "0000000000"
    else:
        name = originator.get("effective_caller_id_name") or originator.profile.caller_id_name
        number = originator.get("effective_caller_id_number") or originator.profile.caller_id_number
    return (
        variables.get("origination_caller_id_name", name),
        variables.get("origination_caller_id_number", number),
    )


def _fields(
    core: Core,
    unique_id: str,
    domain: str,
    caller: str,
    caller_name: str,
    destination: str,
    port: int,
) -> dict[str, str]:
    """The values for the placeholders of recorded.json."""
    now = core.now()
    local, gmt = core.dates(now)
    return {
        "uuid": unique_id,
        "core_uuid": core.core_uuid,
        "hostname": core.hostname,
        "domain": domain,
        "caller": caller,
        "caller_name": caller_name,
        "destination": destination,
        "port": str(port),
        "rtp_port": str(20000 + 2 * (core.sessions % 6000)),
        "pid": str(14500 + core.sessions),
        "session_id": str(core.sessions + 1),
        "tag": unique_id[:13],
        "sip_call_id": core.new_uuid(),
        "created": str(now),
        "date_local": local,
        "date_gmt": gmt,
        "sequence": str(core.sequence),
    }
