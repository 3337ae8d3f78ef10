"""The API commands that `api` and `bgapi` run, with the answers that were recorded.

Errors are as uneven as on the real switch: `uuid_hold` of an unknown channel says +OK.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs

from nizam.sim import (
    call_commands,
    conference,
    endings,
    inspection,
    legs,
    recording,
    sofia,
    valet,
    voicemail_box,
)
from nizam.sim.call_commands import NO_CHANNEL, NO_SESSION, OK
from nizam.sim.calls import Calls
from nizam.sim.causes import known_cause
from nizam.sim.channel import Channel
from nizam.sim.core import VERSION, Core
from nizam.sim.exchange import Exchange
from nizam.sim.interruption import LegEnded, Transferred
from nizam.sim.originate import originate
from nizam.sim.script import Script
from nizam.sim.show import dump, show
from nizam.sim.trunks import Trunks

SUCCESS = "+OK Success\n"
RECORD_USAGE = "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"


@attrs.frozen
class Commands:
    """Executes commands against the switch."""

    exchange: Exchange
    calls: Calls
    trunks: Trunks
    originate_script: Callable[[], Script]

    async def execute(self, line: str) -> str:
        """The answer to the command line, such as `uuid_kill UUID CAUSE`; may take long."""
        name, _, arguments = line.partition(" ")
        command = _COMMANDS.get(name)
        core = self.exchange.core
        core.fire(
            "API",
            lambda: [
                ("API-Command", name),
                *([("API-Command-Argument", arguments)] if arguments else []),
            ],
        )
        if command is None:
            return f"-ERR {name} Command not found!\n"
        return await command(self, arguments)

    def channel(self, unique_id: str) -> Channel | None:
        """A live channel by uuid."""
        return self.exchange.core.channels.get(unique_id)


async def _status(on: Commands, arguments: str) -> str:
    core = on.exchange.core
    count = len(core.channels)
    return (
        f"UP {core.uptime()}\n"
        f"FreeSWITCH (Version {VERSION}  64bit) is ready\n"
        f"{core.sessions} session(s) since startup\n"
        f"{count} session(s) - peak {core.peak}, last 5min {core.peak} \n"
        f"0 session(s) per Sec out of max 500, peak {core.peak}, last 5min {core.peak} \n"
        "4000 session(s) max\n"
        "min idle cpu 0.00/97.20\n"
        "Current Stack Size/Max 240K/8192K\n"
    )


async def _version(on: Commands, arguments: str) -> str:
    if arguments == "short":
        return f"{VERSION}\n"
    return f"FreeSWITCH Version {VERSION}~64bit ( 64bit)\n"


async def _hostname(on: Commands, arguments: str) -> str:
    return on.exchange.core.hostname


async def _echo(on: Commands, arguments: str) -> str:
    return arguments


async def _eval(on: Commands, arguments: str) -> str:
    core = on.exchange.core
    return arguments.replace("${core_uuid}", core.core_uuid).replace("${hostname}", core.hostname)


async def _show(on: Commands, arguments: str) -> str:
    return show(on.exchange.core, arguments.split())


async def _uuid_dump(on: Commands, arguments: str) -> str:
    unique_id, _, encoding = arguments.partition(" ")
    channel = on.channel(unique_id)
    return NO_CHANNEL if channel is None else dump(channel, encoding)


async def _uuid_exists(on: Commands, arguments: str) -> str:
    return "true" if on.channel(arguments.strip()) else "false"


async def _uuid_kill(on: Commands, arguments: str) -> str:
    words = arguments.split()
    if not words:
        return "-USAGE: <uuid> [cause]\n"
    channel = on.channel(words[0])
    if channel is None or channel.ended:
        return NO_CHANNEL
    cause = known_cause(words[1]) if len(words) > 1 else "NORMAL_CLEARING"
    how = "send_bye" if channel.answered else "send_refuse"
    if channel.profile.direction == "outbound" and not channel.answered:
        how = "send_cancel"
    endings.hang_up(channel, cause, how)
    channel.wake(LegEnded())
    return OK


async def _uuid_transfer(on: Commands, arguments: str) -> str:
    words = arguments.split()
    if len(words) < 2:
        return "-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n"
    channel = on.channel(words.pop(0))
    if channel is None or channel.ended:
        return NO_CHANNEL
    if words[0] == "-bleg":
        words.pop(0)
        if channel.other is None:
            return "-ERR No bridged channel\n"
        channel = channel.other
    if channel.ended or (channel.controlled_by is not None and not channel.times.bridged):
        return NO_CHANNEL  # a leg that only rings has no dialplan to be sent to
    context = words[2] if len(words) > 2 else channel.profile.context
    on.exchange.redirect(channel, Transferred(words[0], context))
    return OK


async def _uuid_hold(on: Commands, arguments: str) -> str:
    words = arguments.split()
    mode = words.pop(0) if words[:1] in (["off"], ["toggle"]) else "on"
    if not words:
        return "-USAGE: [off|toggle] <uuid> [<display>]\n-ERR Operation failed\n"
    channel = on.channel(words[0])
    if channel is not None and channel.answered and not channel.ended:
        legs.hold(channel, not channel.held if mode == "toggle" else mode == "on")
    return SUCCESS


async def _uuid_record(on: Commands, arguments: str) -> str:
    words = arguments.split()
    if len(words) < 3 or words[1] not in ("start", "stop", "mask", "unmask"):
        return RECORD_USAGE
    channel = on.channel(words[0])
    if channel is None or channel.ended:
        return NO_SESSION
    action, path = words[1:3]
    if action == "start":
        recording.start(channel, path)
    elif action in ("mask", "unmask"):
        if path not in channel.recordings:
            return f"-ERR Cannot {action} recording session!\n"
    elif path == "all":
        recording.stop_all(channel)
    elif not recording.stop(channel, path, by="success-maxtime"):
        return "-ERR Cannot stop record session!\n"
    return SUCCESS


async def _uuid_getvar(on: Commands, arguments: str) -> str:
    unique_id, _, name = arguments.partition(" ")
    channel = on.channel(unique_id)
    if channel is None:
        return NO_CHANNEL
    return channel.get(name.strip()) or "_undef_"


async def _uuid_setvar(on: Commands, arguments: str) -> str:
    unique_id, _, rest = arguments.partition(" ")
    name, _, value = rest.partition(" ")
    channel = on.channel(unique_id)
    if channel is None:
        return NO_CHANNEL
    channel.set(name, value or None)
    return OK


async def _conference(on: Commands, arguments: str) -> str:
    words = arguments.split()
    if words[:1] == ["json_list"]:
        return conference.listed(on.exchange)
    room = on.exchange.conferences.get(words[0]) if words else None
    if room is None:
        return f"-ERR Conference {words[0] if words else ''} not found\n"
    if len(words) > 2 and words[1] in ("mute", "unmute", "kick", "hup"):
        return conference.command(on.exchange, room, words[1].replace("hup", "kick"), words[2])
    if words[1:2] == ["list"]:
        return "".join(
            f"{it.id};{it.channel.name};{it.channel.uuid};{it.channel.profile.caller_id_name};"
            f"{it.channel.profile.caller_id_number};hear|speak;0;0;100\n"
            for it in room.members
        )
    return "-ERR Conference command not found\n"


async def _valet_info(on: Commands, arguments: str) -> str:
    return valet.info(on.exchange.lots, arguments)


async def _xml_flush_cache(on: Commands, arguments: str) -> str:
    words = arguments.split()
    questions = on.exchange.questions
    count = questions.flush(words[1], words[2]) if len(words) == 3 else questions.flush()
    return f"+OK cleared {count} {'entry' if count == 1 else 'entries'}\n"


async def _reloadxml(on: Commands, arguments: str) -> str:
    on.exchange.core.fire("RELOADXML", list)
    return "+OK [Success]\n"


async def _reloadacl(on: Commands, arguments: str) -> str:
    await on.exchange.questions.configuration("acl.conf")
    return "+OK acl reloaded\n"


def _on_calls(command: Callable[[Exchange, str], str]) -> Handler:
    async def run(on: Commands, arguments: str) -> str:
        return command(on.exchange, arguments)

    return run


def _of_sofia(command: Callable[[Trunks, str], Awaitable[str]]) -> Handler:
    async def run(on: Commands, arguments: str) -> str:
        return await command(on.trunks, arguments)

    return run


def _of_inspection(command: Callable[[Exchange, str], Awaitable[str]]) -> Handler:
    async def run(on: Commands, arguments: str) -> str:
        return await command(on.exchange, arguments)

    return run


def _of_mailboxes(command: Callable[[Core, str], str]) -> Handler:
    async def run(on: Commands, arguments: str) -> str:
        return command(on.exchange.core, arguments)

    return run


Handler = Callable[[Commands, str], Awaitable[str]]

_COMMANDS: dict[str, Handler] = {
    **{name: _of_inspection(command) for name, command in inspection.COMMANDS.items()},
    "conference": _conference,
    "echo": _echo,
    "eval": _eval,
    "hostname": _hostname,
    "originate": originate,
    "reloadacl": _reloadacl,
    "reloadxml": _reloadxml,
    "show": _show,
    "sofia": _of_sofia(sofia.sofia),
    "sofia_contact": _of_sofia(sofia.sofia_contact),
    "status": _status,
    "switchname": _hostname,
    "uuid_audio": _on_calls(call_commands.uuid_audio),
    "uuid_break": _on_calls(call_commands.uuid_break),
    "uuid_bridge": _on_calls(call_commands.uuid_bridge),
    "uuid_broadcast": _on_calls(call_commands.uuid_broadcast),
    "uuid_dump": _uuid_dump,
    "uuid_exists": _uuid_exists,
    "uuid_getvar": _uuid_getvar,
    "uuid_hold": _uuid_hold,
    "uuid_kill": _uuid_kill,
    "uuid_park": _on_calls(call_commands.uuid_park),
    "uuid_record": _uuid_record,
    "uuid_send_dtmf": _on_calls(call_commands.uuid_send_dtmf),
    "uuid_setvar": _uuid_setvar,
    "uuid_transfer": _uuid_transfer,
    "valet_info": _valet_info,
    "version": _version,
    "vm_delete": _of_mailboxes(voicemail_box.vm_delete),
    "vm_fsdb_msg_delete": _of_mailboxes(voicemail_box.msg_delete),
    "vm_fsdb_msg_get": _of_mailboxes(voicemail_box.msg_get),
    "vm_fsdb_msg_list": _of_mailboxes(voicemail_box.msg_list),
    "vm_fsdb_msg_purge": _of_mailboxes(voicemail_box.msg_purge),
    "vm_read": _of_mailboxes(voicemail_box.vm_read),
    "xml_flush_cache": _xml_flush_cache,
}
