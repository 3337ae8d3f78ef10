"""The API commands of mod_sofia: profiles, gateways, registrations."""

from __future__ import annotations

from nizam.sim.core import Core
from nizam.sim.show import registrations_of
from nizam.sim.trunks import Trunks, profile_port


async def sofia_contact(trunks: Trunks, arguments: str) -> str:
    user, _, domain = arguments.rpartition("/")[2].partition("@")
    found = trunks.core.contacts(user, domain)
    contacts = ",".join(f"sofia/internal/{it.contact}" for it in found)
    return contacts or "error/user_not_registered"


async def sofia(trunks: Trunks, arguments: str) -> str:
    words = arguments.split()
    if words[:1] == ["status"]:
        return _sofia_status(trunks, words[1:])
    if words[:2] == ["xmlstatus", "profile"] and words[3:4] == ["reg"]:
        if words[2] not in trunks.core.profiles:
            return "Invalid Profile!\n"
        return registrations_of(trunks.core, words[2])
    if words[:2] == ["xmlstatus", "profile"] and len(words) == 3:
        return _profile_status(trunks.core, words[2])
    if words[:1] != ["profile"] or len(words) < 3:
        return "-USAGE: sofia status|profile ...\n"
    profile, action = words[1:3]
    if profile not in trunks.core.profiles:
        return f"Invalid Profile [{profile}]\n"
    if action == "rescan":
        trunks.core.fire("RELOADXML", list)
        await trunks.rescan(profile)
        return "Reload XML [Success]\n+OK scan complete\n"
    if action == "killgw":
        killed = trunks.kill(words[3] if len(words) > 3 else "")
        return "+OK gateway marked for deletion.\n" if killed else "-ERR no such gateway.\n"
    return f"-ERR Unknown command [{action}]\n"


def _profile_status(core: Core, profile: str) -> str:
    if profile not in core.profiles:
        return "Invalid Profile!\n"
    address = f"sip:mod_sofia@127.0.0.1:{profile_port(profile)}"
    tls = core.tls_ports.get(profile)
    secured = f"sips:mod_sofia@127.0.0.1:{tls}"
    lines = [
        f"<name>{profile}</name>",
        f"<url>{address}</url>",
        f"<bind-url>{address};transport=udp,tcp</bind-url>",
    ]
    if tls is not None:
        lines += [
            f"<tls-url>{secured}</tls-url>",
            f"<tls-bind-url>{secured};transport=tls</tls-bind-url>",
        ]
    inside = "".join(f"    {it}\n" for it in lines)
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<profile>\n  <profile-info>\n'
        f"{inside}  </profile-info>\n</profile>\n"
    )


def _sofia_status(trunks: Trunks, words: list[str]) -> str:
    core = trunks.core
    line = "=" * 97 + "\n"
    if words[:1] == ["gateway"] and len(words) > 1:
        gateway = core.gateways.get(words[1])
        if gateway is None:
            return "Invalid Gateway!\n"
        return (
            f"{line}Name    \t{gateway.name}\nProfile \t{gateway.profile}\n"
            f"Username\t{gateway.username}\nProxy   \tsip:{gateway.proxy}\n"
            f"State   \tNOREG\nStatus  \t{'UP' if gateway.up else 'DOWN'} (ping)\n{line}"
        )
    rows = [
        (profile, "profile", f"sip:mod_sofia@127.0.0.1:{profile_port(profile)}", "RUNNING (0)")
        for profile in core.profiles
    ]
    rows += [
        (f"{g.profile}::{g.name}", "gateway", f"sip:{g.username}@{g.proxy}", "NOREG")
        for g in core.gateways.values()
    ]
    body = "".join(f"{n:>25}\t{kind:>7}\t{data:>42}\t{state}\n" for n, kind, data, state in rows)
    head = f"{'Name':>25}\t{'Type':>7}\t{'Data':>42}\tState\n"
    return f"{head}{line}{body}{line}{len(core.profiles)} profiles 0 aliases\n"
