"""Applications that set variables and the caller's profile (mod_dptools.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nizam.sim.causes import is_true

if TYPE_CHECKING:
    from nizam.sim.call import Call
    from nizam.sim.channel import Channel

_PROFILE = {
    "caller_id_name": "caller_id_name",
    "caller_id_number": "caller_id_number",
    "callee_id_name": "callee_id_name",
    "callee_id_number": "callee_id_number",
    "ani": "ani",
    "rdnis": "rdnis",
    "username": "username",
}
_FALSE = ("no", "off", "false", "f", "disabled", "inactive", "disallow", "0")


def assign(channel: Channel, text: str) -> None:
    """`NAME=VALUE`; `_undef_`, or nothing behind the name, removes it."""
    name, equals, value = text.partition("=")
    channel.set(name.strip(), value if equals and value not in ("", "_undef_") else None)


async def set_one(call: Call, data: str) -> None:
    """`set NAME=VALUE`."""
    assign(call.channel, data)


async def multiset(call: Call, data: str) -> None:
    """`multiset A=1 B=2`, or with another delimiter `multiset ^^|A=1|B=2`."""
    for item in _items(data):
        assign(call.channel, item)


async def unset(call: Call, data: str) -> None:
    """`unset NAME`."""
    call.channel.set(data.strip(), None)


async def multiunset(call: Call, data: str) -> None:
    """`multiunset A B`."""
    for name in _items(data):
        call.channel.set(name.strip(), None)


async def export(call: Call, data: str) -> None:
    """`export [nolocal:]NAME=VALUE`: here, unless `nolocal:`, and on every leg made from now on."""
    name, _, value = data.partition("=")
    channel = call.channel
    channel.set(name, value)
    names = [n for n in (channel.get("export_vars") or "").split(",") if n and n != name]
    channel.set("export_vars", ",".join([*names, name]))


async def bridge_export(call: Call, data: str) -> None:
    """`bridge_export NAME=VALUE`: like export, for legs that are bridged."""
    await export(call, data)


async def set_profile_variable(call: Call, data: str) -> None:
    """`set_profile_var NAME=VALUE`: what the legs to come are shown, and Caller-* headers."""
    name, _, value = data.partition("=")
    field = _PROFILE.get(name.strip())
    if field is None:
        call.problem(f"set_profile_var cannot set {name!r} here")
        return
    setattr(call.channel.profile, field, value)


async def privacy(call: Call, data: str) -> None:
    """`privacy full|name|number|yes|no`."""
    profile = call.channel.profile
    if data in ("full", "name") or is_true(data):
        profile.hide_name = True
    if data in ("full", "number") or is_true(data):
        profile.hide_number = True
    if data in _FALSE:
        profile.hide_name = profile.hide_number = False


def _items(data: str) -> list[str]:
    if data.startswith("^^") and len(data) > 3:
        return [it for it in data[3:].split(data[2]) if it]
    return data.split()
