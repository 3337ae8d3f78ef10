"""`show ...` and `uuid_dump`: tables and dumps in the shapes that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import orjson

from nizam.sim import wire
from nizam.sim.channel import Channel
from nizam.sim.core import Core, EncodedEvent
from nizam.sim.timing import stamp

USAGE = (
    "-USAGE: codec|endpoint|application|api|dialplan|file|timer|calls [count]|"
    "channels [count|like <match string>]|calls|detailed_calls|bridged_calls|"
    "detailed_bridged_calls|aliases|complete|chat|management|modules|nat_map|say|"
    "interfaces|interface_types|tasks|limits|status\n"
)

Row = dict[str, str]
_QUOTES = {'"': "&quot;"}
_WITHOUT_NAME = '"" <%s>'


def show(core: Core, words: Sequence[str]) -> str:
    """The answer to `show WORDS...`: channels, calls, registrations, as json or as text.

    An empty table is `{"row_count": 0}` without rows; a count in JSON is the other way round.
    """
    what = words[0] if words else ""
    if what == "channels":
        rows = [_channel_row(channel) for channel in _in_order(core)]
        if words[1:2] == ["like"] and len(words) > 2:
            rows = [row for row in rows if any(words[2] in value for value in row.values())]
    elif what in ("calls", "bridged_calls", "detailed_calls"):
        rows = _call_rows(core, bridged=what == "bridged_calls")
    elif what == "registrations":
        rows = _registration_rows(core)
    else:
        return USAGE
    as_json = list(words[-2:]) == ["as", "json"]
    if words[1:2] == ["count"]:
        return f'{{"row_count":{len(rows)},"rows":[]}}' if as_json else f"\n{len(rows)} total.\n"
    if as_json:
        if not rows:
            return '{"row_count": 0}\n'
        return f'{{"row_count":{len(rows)},"rows":{orjson.dumps(rows).decode()}}}'
    lines = [",".join(row.values()) for row in rows]
    head = [",".join(rows[0])] if rows else []
    return "\n".join([*head, *lines, f"\n{len(rows)} total.\n"]) if rows else "\n0 total.\n"


def dump(channel: Channel, encoding: str) -> str:
    """`uuid_dump`: the channel as a CHANNEL_DATA event, in `json` or percent-encoded lines."""
    core = channel.core
    headers = core.base_headers("CHANNEL_DATA", "CHANNEL_DATA") + channel.headers()
    event = wire.Event("CHANNEL_DATA", None, headers)
    if encoding == "json":
        return EncodedEvent(event).frame("json").partition(b"\n\n")[2].decode()
    return wire.plain_headers(event).decode()


def _in_order(core: Core) -> list[Channel]:
    return sorted(core.channels.values(), key=lambda channel: channel.times.created)


def _channel_row(channel: Channel) -> Row:
    profile = channel.profile
    first = channel.earlier_profiles[0][0] if channel.earlier_profiles else profile
    codec = ("PCMU", "8000", "64000") if channel.has_media else ("", "", "")
    return {
        **_common(channel),
        "application": channel.get("current_application") or "",
        "application_data": channel.get("current_application_data") or "",
        "dialplan": profile.dialplan,
        "context": profile.context,
        "read_codec": codec[0],
        "read_rate": codec[1],
        "read_bit_rate": codec[2],
        "write_codec": codec[0],
        "write_rate": codec[1],
        "write_bit_rate": codec[2],
        "secure": "",
        "hostname": channel.core.hostname,
        **_presence(channel),
        "call_uuid": channel.call_uuid if channel.answered or channel.other else "",
        **_sent(channel),
        "initial_cid_name": first.caller_id_name,
        "initial_cid_num": first.caller_id_number,
        "initial_ip_addr": first.network_addr,
        "initial_dest": first.destination,
        "initial_dialplan": first.dialplan,
        "initial_context": first.context,
    }


def _call_rows(core: Core, bridged: bool) -> list[Row]:
    rows = []
    for a in _in_order(core):
        b = a.other if a.other is not None and a.other_type == "originatee" else None
        if a.other_type == "originator" or (bridged and b is None):
            continue
        row = {
            **_common(a),
            **_presence(a),
            "call_uuid": a.call_uuid,
            "hostname": core.hostname,
            **_sent(a),
        }
        other = {**_common(b), **_presence(b), **_sent(b)} if b else _EMPTY_LEG
        row |= {f"b_{name}": value for name, value in other.items()}
        row["call_created_epoch"] = str(a.times.created // 1_000_000)
        rows.append(row)
    return rows


def _common(channel: Channel) -> Row:
    profile = channel.profile
    return {
        "uuid": channel.uuid,
        "direction": profile.direction,
        "created": stamp(channel.times.created),
        "created_epoch": str(channel.times.created // 1_000_000),
        "name": channel.name,
        "state": channel.state,
        "cid_name": profile.caller_id_name,
        "cid_num": profile.caller_id_number,
        "ip_addr": profile.network_addr,
        "dest": profile.destination,
    }


def _presence(channel: Channel) -> Row:
    profile = channel.profile
    return {
        "presence_id": channel.presence_id,
        "presence_data": "",
        "accountcode": channel.get("accountcode") or "",
        "callstate": channel.call_state,
        "callee_name": profile.callee_id_name,
        "callee_num": profile.callee_id_number,
        "callee_direction": "SEND" if channel.other else "",
    }


def _sent(channel: Channel) -> Row:
    return {
        "sent_callee_name": channel.get("last_sent_callee_id_name") or "",
        "sent_callee_num": channel.get("last_sent_callee_id_number") or "",
    }


_EMPTY_LEG: Row = dict.fromkeys(
    (
        *("uuid", "direction", "created", "created_epoch", "name", "state", "cid_name"),
        *("cid_num", "ip_addr", "dest", "presence_id", "presence_data", "accountcode"),
        *("callstate", "callee_name", "callee_num", "callee_direction"),
        *("sent_callee_name", "sent_callee_num"),
    ),
    "",
)


def registrations_of(core: Core, profile: str) -> str:
    """`sofia xmlstatus profile PROFILE reg`: the phones, all on the profile `internal`.

    Source: show_reg_callback_xml in mod_sofia.c.
    """
    now = int(core.clock.seconds())
    rows = "".join(
        "    <registration>\n"
        f"        <call-id>{it.call_id}</call-id>\n"
        f"        <user>{it.user}@{it.domain}</user>\n"
        f"        <contact>{escape(_WITHOUT_NAME % it.contact, _QUOTES)}</contact>\n"
        f"        <agent>{escape(it.agent, _QUOTES)}</agent>\n"
        f"        <status>Registered(UDP)(unknown) exp({stamp(it.expires_at * 1_000_000)})"
        f" expsecs({it.expires_at - now})</status>\n"
        "        <ping-status>Reachable</ping-status>\n"
        "        <ping-time>0.00</ping-time>\n"
        f"        <host>{core.hostname}</host>\n"
        f"        <network-ip>{it.host}</network-ip>\n"
        f"        <network-port>{it.port}</network-port>\n"
        f"        <sip-auth-user>{it.user}</sip-auth-user>\n"
        f"        <sip-auth-realm>{it.domain}</sip-auth-realm>\n"
        f"        <mwi-account>{it.user}@{it.domain}</mwi-account>\n"
        "    </registration>\n"
        for it in core.registrations.values()
        if profile == "internal"
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<profile>\n  <registrations>\n'
        f"{rows}  </registrations>\n</profile>\n"
    )


def _registration_rows(core: Core) -> list[Row]:
    return [
        {
            "reg_user": found.user,
            "realm": found.domain,
            "token": found.call_id,
            "url": f"sofia/internal/{found.contact}",
            "expires": str(found.expires_at),
            "network_ip": found.host,
            "network_port": str(found.port),
            "network_proto": "udp",
            "hostname": core.hostname,
            "metadata": "",
        }
        for found in core.registrations.values()
    ]
