"""Each FreeSWITCH node: may NIZAM in, may others, and has it what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from nizam.ops.doctor.addresses import is_any, is_loopback, is_public
from nizam.ops.doctor.event_socket import EventSocket, event_socket
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.known_nodes import KnownNode
from nizam.ops.doctor.passwords import weakness
from nizam.ops.doctor.running import Context, Probe
from nizam.ops.doctor.switch_xml import configuration, first, params, version_of

MINIMUM = (1, 10, 12)
SERVED_PROFILES = ("internal", "external")
NEEDED = (
    *("mod_xml_curl", "mod_json_cdr", "mod_event_socket", "mod_commands", "mod_dptools"),
    *("mod_dialplan_xml", "mod_sofia"),
)
WANTED = (
    *("mod_expr", "mod_db", "mod_hash", "mod_loopback", "mod_voicemail", "mod_conference"),
    *("mod_valet_parking", "mod_spandsp", "mod_sndfile", "mod_local_stream", "mod_tone_stream"),
    "mod_say_en",
)
UNWANTED = {
    "mod_xml_rpc": "commands the switch over HTTP, by default with the password `works`",
    "mod_dialplan_directory": "routes calls beside NIZAM",
    "mod_dialplan_asterisk": "routes calls beside NIZAM",
    "mod_xml_ldap": "answers the switch beside NIZAM",
    "mod_verto": "lets browsers in beside SIP, with users that NIZAM does not serve",
    "mod_erlang_event": "is a second way to command the switch",
}
# Addresses of the Internet that nobody has in a list of networks by accident: public resolvers.
STRANGERS = ("8.8.8.8", "2001:4860:4860::8888")
MOST_SESSIONS_SHARE = 0.8
_check = Declaring(Area.NODES)

REACHABLE = _check(
    "reachable",
    "whether the node's event socket lets NIZAM in",
    "Calls are still routed, but nobody sees or steers them, and no events are stored.",
    "Start FreeSWITCH; correct ESL_HOST, ESL_PORT, ESL_PASSWORD; put this machine's network into "
    "`apply-inbound-acl` of event_socket.conf.xml.",
)
VERSION = _check(
    "version",
    f"whether it is FreeSWITCH {'.'.join(map(str, MINIMUM))} or newer",
    "NIZAM was made for what newer ones do, and older ones have known holes.",
    "Upgrade FreeSWITCH.",
    Severity.WARNING,
)
NAME = _check(
    "name",
    "whether the node calls itself what NIZAM calls it",
    "Questions, events and records carry the name of its own.",
    "Set nizam_switchname in vars.xml to the node's name in NIZAM, then restart FreeSWITCH.",
    Severity.WARNING,
)
EXPOSURE = _check(
    "exposure",
    "whether others than NIZAM can reach the event socket: by its address, what it listens on and "
    "its ACL",
    "It commands the whole switch, and the machine, with one password in clear. It is never "
    "public.",
    "Set listen-ip to loopback or the private network and apply-inbound-acl to NIZAM's network in "
    "event_socket.conf.xml, close 8021 in the firewall, reach it through WireGuard or stunnel: "
    "docs/security.md.",
)
PASSWORD = _check(
    "password",
    "the passwords of nodes that were made through the API",
    "A default password, or a short one, is found by trying.",
    "nizam node update NAME with a new password (`openssl rand -base64 24`), and vars.xml.",
)
MODULES = _check(
    "modules",
    "whether the modules that NIZAM uses are loaded, and none that opens another door",
    "Calls that need a missing one fail, and what is not needed can be attacked.",
    "Take modules.conf.xml from etc/freeswitch, then restart FreeSWITCH.",
)
EXPANSION = _check(
    "api-expansion",
    "whether ${command(...)} in the dialplan runs commands",
    "Whatever somebody dials or is called could then run one.",
    'Set <param name="api-expansion" value="false"/> in switch.conf.xml and '
    "post_load_switch.conf.xml, as in etc/freeswitch; at once: fsctl api_expansion off.",
)
PROFILES = _check(
    "profiles",
    "whether the SIP profiles that NIZAM serves run, and no others",
    "Without them no phone registers; one that NIZAM does not serve is the vanilla "
    "configuration's, with its own rules.",
    "Remove sip_profiles/ of the vanilla configuration, then `sofia profile NAME restart` or a "
    "restart; mod_sofia loads after mod_xml_curl.",
)
SESSIONS = _check(
    "sessions",
    f"whether fewer than {MOST_SESSIONS_SHARE:.0%} of max-sessions are under way",
    "Calls beyond it are refused.",
    "Add a node, or raise max-sessions in switch.conf.xml if the machine can carry it.",
    Severity.WARNING,
)

CHECKS = (*(REACHABLE, VERSION, NAME, EXPOSURE, PASSWORD, MODULES, EXPANSION, PROFILES, SESSIONS),)


def probes(context: Context, nodes: Sequence[KnownNode]) -> list[Probe]:
    """Each node."""
    served = set(SERVED_PROFILES)
    return [Probe(REACHABLE, it.subject, partial(_look, it, served)) for it in nodes]


def _look(node: KnownNode, served: set[str]) -> Iterator[Finding]:
    subject = node.subject
    with event_socket(node.host, node.port, node.password) as switch:
        text = switch.api("version").splitlines()[0]
        yield REACHABLE.ok(subject, text)
        yield judge_version(subject, text)
        own = switch.api("switchname")
        yield NAME.judge(
            subject, f"it calls itself {own!r}" if own != node.name else None, node.name
        )
        yield _exposure(subject, node, switch)
        if node.from_api:
            yield from judge_passwords(subject, node)
        yield from _modules(subject, switch)
        expansion = switch.api("fsctl api_expansion")
        yield EXPANSION.judge(subject, "on" if expansion.endswith(" on") else None, "off")
        yield judge_profiles(subject, switch.api("sofia status"), served)
        yield judge_sessions(subject, switch.api("status"))


def judge_version(subject: str, text: str) -> Finding:
    """Judges what `version` prints."""
    return VERSION.judge(subject, text if version_of(text) < MINIMUM else None, text)


def _exposure(subject: str, node: KnownNode, switch: EventSocket) -> Finding:
    if is_public(node.host):
        return EXPOSURE.wrong(subject, f"NIZAM reaches it at the public address {node.host}")
    settings = params(configuration(switch, "event_socket.conf"))
    listens = first(settings, "listen-ip", "127.0.0.1")
    # Without one the module takes its own (mod_event_socket.c).
    lists = settings.get("apply-inbound-acl") or ["loopback.auto"]
    let_in = [it for it in STRANGERS if all(_lets_in(switch, it, name) for name in lists)]
    shown = f"listens on {listens}, lets {', '.join(lists)} in"
    if is_loopback(listens):
        return EXPOSURE.ok(subject, shown)
    if let_in:
        return EXPOSURE.wrong(subject, f"{shown}: that is everybody")
    if is_any(listens) or is_public(listens):
        return EXPOSURE.wrong(
            subject, f"{shown}: only the ACL and a firewall keep others out", Severity.WARNING
        )
    return EXPOSURE.ok(subject, shown)


def _lets_in(switch: EventSocket, address: str, name: str) -> bool:
    return switch.api(f"acl {address} {name}") == "true"


def judge_passwords(subject: str, node: KnownNode) -> Iterator[Finding]:
    """Judges the secrets that NIZAM shares with a node."""
    names = (node.name, node.xml_username or "")
    given = {"event socket": node.password, "XML": node.xml_password or ""}
    weak = {what: weakness(text, names) for what, text in given.items() if text}
    for what, reason in weak.items():
        if reason is not None:
            severity = Severity.FAILURE if reason[0] else Severity.WARNING
            yield PASSWORD.wrong(subject, f"{what}: {reason[1]}", severity)
    if not any(weak.values()):
        yield PASSWORD.ok(subject, "not easily guessed")


def _modules(subject: str, switch: EventSocket) -> Iterator[Finding]:
    def loaded(name: str) -> bool:
        return switch.api(f"module_exists {name}") == "true"

    missing = [it for it in NEEDED if not loaded(it)]
    lacking = [it for it in WANTED if not loaded(it)]
    doors = {it: why for it, why in UNWANTED.items() if loaded(it)}
    if missing:
        yield MODULES.wrong(subject, f"not loaded: {', '.join(missing)}")
    if lacking:
        yield MODULES.wrong(subject, f"not loaded: {', '.join(lacking)}", Severity.WARNING)
    for name, why in doors.items():
        yield MODULES.wrong(subject, f"{name} is loaded: it {why}", Severity.WARNING)
    if not (missing or lacking or doors):
        yield MODULES.ok(subject, f"all {len(NEEDED) + len(WANTED)} that NIZAM uses")


def judge_profiles(subject: str, status: str, served: set[str]) -> Finding:
    """Judges the profiles that `sofia status` shows, by those that NIZAM serves."""
    rows = [re.split(r"\t", it) for it in status.splitlines()]
    found = {
        it[0].strip(): it[-1].strip() for it in rows if len(it) > 2 and it[1].strip() == "profile"
    }
    down = sorted(it for it in served if not found.get(it, "").startswith("RUNNING"))
    others = sorted(set(found) - served)
    if down:
        return PROFILES.wrong(subject, f"not running: {', '.join(down)}")
    if others:
        return PROFILES.wrong(subject, f"not NIZAM's: {', '.join(others)}", Severity.WARNING)
    return PROFILES.ok(subject, f"{', '.join(sorted(found))} run")


def judge_sessions(subject: str, status: str) -> Finding:
    """Judges what `status` says of the calls under way."""
    now = re.search(r"^(\d+) session\(s\) - peak", status, re.M)
    most = re.search(r"^(\d+) session\(s\) max", status, re.M)
    if now is None or most is None:
        return SESSIONS.note(subject, "`status` does not say how many sessions there are")
    seen = f"{now[1]} of {most[1]} sessions"
    full = int(now[1]) > MOST_SESSIONS_SHARE * int(most[1])
    return SESSIONS.judge(subject, seen if full else None, seen)
