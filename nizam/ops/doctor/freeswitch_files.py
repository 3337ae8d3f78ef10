"""FreeSWITCH's files, where the switch is on this machine: what is left of the vanilla
configuration, and who can read the passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nizam.ops.doctor.addresses import is_any, is_public
from nizam.ops.doctor.finding import Area, Declaring, Finding, Severity
from nizam.ops.doctor.running import Context, Probe

_check = Declaring(Area.FREESWITCH)
FILES = _check(
    "files",
    "the folder of FreeSWITCH's configuration, where it is on this machine (--freeswitch-folder): "
    "leftovers of the vanilla configuration and passwords that everybody has",
    "What is not loaded now is loaded by the next `reloadxml` or restart.",
    "Move the folder away and put etc/freeswitch in its place: etc/freeswitch/README.md.",
)
MODES = _check(
    "file-modes",
    "who can read the files that hold passwords",
    "Every user of the machine could command the switch.",
    "chmod 640 vars.xml and chown root:freeswitch vars.xml, the same for what else is named.",
    Severity.WARNING,
)
CHECKS = (FILES, MODES)

LEFTOVERS = {
    "directory/default": "users 1000 to 1019",
    "directory/default.xml": "the domain of the vanilla users",
    "dialplan/default": "parts of the vanilla dialplan",
    "dialplan/default.xml": "the vanilla dialplan, with extensions for whoever is registered",
    "dialplan/public.xml": "the vanilla dialplan for whoever calls from outside",
    "sip_profiles/internal.xml": "the vanilla SIP profile for phones",
    "sip_profiles/external.xml": "the vanilla SIP profile for carriers",
    "sip_profiles/internal-ipv6.xml": "a vanilla SIP profile",
    "sip_profiles/external-ipv6.xml": "a vanilla SIP profile",
    "autoload_configs/acl.conf.xml": "access lists beside NIZAM's",
}
_PARAM = re.compile(r'name="([\w-]+)"\s+value="([^"]*)"')
_SET = re.compile(r'data="([\w-]+)=([^"]*)"')
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SECRETS = (
    "vars.xml",
    "autoload_configs/event_socket.conf.xml",
    "autoload_configs/xml_curl.conf.xml",
    "autoload_configs/json_cdr.conf.xml",
)
_SECRET = re.compile(r'name="(?:password|gateway-credentials|cred)"\s+value="(?!\$\$)[^"]+"')
_MOST_BYTES = 1 << 20


def probes(context: Context) -> list[Probe]:
    """The folder, where there is one."""
    folder = context.freeswitch_folder
    return [Probe(FILES, str(folder), partial(_look, folder))] if folder.is_dir() else []


def _look(folder: Path) -> Iterator[Finding]:
    wrong: list[tuple[str, str, Severity | None]] = []
    for name, what in LEFTOVERS.items():
        if (folder / name).exists():
            mild = name.startswith(("sip_profiles", "autoload_configs"))
            wrong.append((name, what, Severity.WARNING if mild else None))
    wrong += _variables(folder)
    wrong += _event_socket(folder)
    yield from (FILES.wrong(str(folder / name), what, how) for name, what, how in wrong)
    if not wrong:
        yield FILES.ok(str(folder), "nothing is left of the vanilla configuration")
    yield from _modes(folder)


def _variables(folder: Path) -> Iterator[tuple[str, str, Severity | None]]:
    values = dict(_SET.findall(_read(folder / "vars.xml")))
    if "default_password" in values:
        yield "vars.xml", "the default_password of the vanilla users", None
    for name, value in values.items():
        if name.endswith("password") and value in ("CHANGE-ME", "ClueCon", "1234"):
            yield "vars.xml", f"{name} is {value}", None


def _event_socket(folder: Path) -> Iterator[tuple[str, str, Severity | None]]:
    name = "autoload_configs/event_socket.conf.xml"
    values = dict(_PARAM.findall(_read(folder / name)))
    if values.get("password") == "ClueCon":
        yield name, "the password is ClueCon", None
    listens = values.get("listen-ip", "127.0.0.1")
    if (is_any(listens) or is_public(listens)) and "apply-inbound-acl" not in values:
        yield name, f"it listens on {listens} without an ACL of its own", Severity.WARNING


def _modes(folder: Path) -> Iterator[Finding]:
    there = [folder / it for it in _SECRETS if (folder / it).is_file()]
    # Those that take them from vars.xml hold none.
    holding = [it for it in there if it.name == "vars.xml" or _SECRET.search(_read(it))]
    open_ones = [it for it in holding if it.stat().st_mode & 0o004]
    for it in open_ones:
        yield MODES.wrong(str(it), "every user of this machine may read it")
    if not open_ones:
        yield MODES.ok(str(folder), "passwords are closed to other users")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _COMMENT.sub("", file.read(_MOST_BYTES).decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""
