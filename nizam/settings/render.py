"""The settings written out: `etc/nizam.toml`, `docs/settings.md`, and the effective ones.

`python -m nizam.settings.render`, run in the repository, writes both files; a test checks that
they are current.
"""

from __future__ import annotations

import enum
import ipaddress
import json
import textwrap
from pathlib import Path
from typing import Any

from nizam.settings.declarations import (
    NOT_NEEDED,
    NUMBERED,
    SETTINGS,
    TITLES,
    Setting,
)
from nizam.settings.load import Loaded
from nizam.settings.values import masked

_WIDTH = 96
_HEAD = """\
# The settings of NIZAM. Every one is here with its default; remove the # to change it.
#
# A value is taken from the first of these places that has it: the command line, the environment
# (the name in brackets), the file that the same name with _FILE at its end names, systemd's
# credentials (LoadCredential=NAME:...), this file, the default. A secret `x` can be given here as
# `x_file`, the path of a file that holds it. A wrong value or an unknown key stops the start.
"""
_NODES = """
# More FreeSWITCH nodes: one such table for each, with the fields of [freeswitch].
# [[nodes]]
# name = "freeswitch-2"
# esl_host = "10.0.0.6"
# esl_password_file = "/etc/nizam/freeswitch-2.password"
"""

_PAGE_HEAD = """\
# Settings

Written from the declarations in `nizam/settings/`; `etc/nizam.toml` holds the same as a file to
start from. `twistd nizam --check-config` and `nizam check-config` tell what is wrong, or what is in
force and where each value came from.

A value is taken from the first of these places that has it:

1. the command line (`--roles`),
2. the environment, `NAME`,
3. the file that `NAME_FILE` in the environment names,
4. systemd's credentials: `LoadCredential=NAME:/path`,
5. the TOML file that `--config` or `NIZAM_CONFIG` names, where a secret `x` can be given as
   `x_file`,
6. the default.

An empty value and `null` count as not given. All problems are told at once, with the setting's
name, what is wrong and what is accepted; an unknown key in the file is a problem. Secrets are never
shown.

More FreeSWITCH nodes than one: `[[nodes]]` tables in the file, each with the keys of
`[freeswitch]`, or switch nodes in the API."""
_PAGE_CHECKED = """\
## Accepted, with nothing to choose

These are checked, so that the environment of an existing deployment can stay as it is."""


def example_file() -> str:
    """The text of etc/nizam.toml."""
    lines = [_HEAD]
    for table, title in TITLES.items():
        lines.append(f"# -- {title}")
        if table:
            lines.append(f"[{table}]")
        lines.append("")
        for setting in SETTINGS:
            if setting.key and setting.key.rpartition(".")[0] == table:
                lines += [_entry(setting), ""]
    return "\n".join(lines) + _NODES.removeprefix("\n")


def _entry(setting: Setting) -> str:
    assert setting.key is not None  # noqa: S101 - the caller chose those with a key
    words = f"{setting.about} [{_environment_name(setting)}] Accepted: {setting.accepted}."
    about = textwrap.wrap(words, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    field = setting.key.rpartition(".")[2]
    shown = setting.default if setting.example is None else setting.example
    value = "..." if shown is None and setting.secret else shown
    unset = "  # an example: unset by default" if setting.default in (None, ()) else ""
    return "\n".join([*about, f"# {field} = {_toml(value)}{unset}"])


def page() -> str:
    """The text of docs/settings.md."""
    lines = [_PAGE_HEAD]
    for table, title in TITLES.items():
        lines += ["", f"## {title}", "", "| environment | file | default | accepted | what it is |"]
        lines.append("|---|---|---|---|---|")
        for setting in SETTINGS:
            if setting.key and setting.key.rpartition(".")[0] == table:
                lines.append(_row(setting, f"`{setting.key}`"))
    lines += [
        "",
        _PAGE_CHECKED,
        "",
        "| environment | default | accepted | why |",
        "|---|---|---|---|",
    ]
    lines += [_row(setting, None) for setting in SETTINGS if not setting.key]
    lines += [f"| `{prefix}*` | | anything | {note} |" for prefix, note in NOT_NEEDED.items()]
    return "\n".join(lines) + "\n"


def _row(setting: Setting, key: str | None) -> str:
    default = "" if setting.default in (None, ()) else f"`{_toml(setting.default)}`"
    cells = [f"`{_environment_name(setting)}`", key, default, setting.accepted, setting.about]
    return f"| {' | '.join(cell for cell in cells if cell is not None)} |"


def _environment_name(setting: Setting) -> str:
    prefix = NUMBERED.get(setting.name)
    return setting.name if prefix is None else f"{prefix}1, _2 ..."


def render_effective(loaded: Loaded) -> str:
    """Every setting with its value in force and where that came from; secrets are masked."""
    lines = []
    for setting in SETTINGS:
        value = loaded.values[setting.name]
        if value is None or value == ():
            shown = "(unset)"
        elif setting.name in NUMBERED:
            shown = _toml([f"{host}:{port}" if port else host for host, port in value])
        else:
            shown = _toml(masked(value))
        origin = loaded.origins.get(setting.name, "default")
        lines.append(f"{setting.key or setting.name} = {shown}  # {origin}")
    for index, node in enumerate(loaded.settings.nodes):
        xml = f", XML user {node.xml_username}" if node.xml_username else ""
        lines.append(f"nodes[{index}] = {node.name} at {node.esl_host}:{node.esl_port}{xml}")
    lines += [f"note: {note}" for note in loaded.notes]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, frozenset):
        # In the order of their declaration, not of their hashes.
        kind = type(next(iter(value)))
        return _toml([member for member in kind if member in value])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Path | enum.StrEnum | ipaddress.IPv4Network | ipaddress.IPv6Network):
        return _toml(str(value))
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path("etc/nizam.toml").write_text(example_file(), encoding="utf-8")
    Path("docs/settings.md").write_text(page(), encoding="utf-8")
