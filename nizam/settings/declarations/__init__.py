"""Every setting, declared once: its names, what it accepts, its default and what it is for."""

from __future__ import annotations

from collections.abc import Mapping

from nizam.settings.declarations import accepted, http, keeping, process, servers, switches, telling
from nizam.settings.declarations.setting import Setting

__all__ = [
    "NODE_FIELDS",
    "NOT_NEEDED",
    "NUMBERED",
    "SETTINGS",
    "TITLES",
    "Setting",
]

TITLES: Mapping[str, str] = {
    "": "The process",
    "http": "HTTP: the API, and FreeSWITCH's questions",
    "database": "PostgreSQL 15 or newer",
    "redis": "Redis or Valkey 7 or newer",
    "live": "What goes on now: how much of it is held in memory",
    "freeswitch": "FreeSWITCH: one node here, more as [[nodes]] or through the API",
    "sip": "The SIP profiles that every node is given",
    "webhooks": "Webhooks",
    "realtime": "Streams of events: WebSocket and server-sent events",
    "pusher": "Events for a Pusher-protocol service, such as Pusher, Ably or Soketi",
    "mail": "Email: who is to be told of emergency calls",
    "recordings": "Where complete recordings lie",
    "retention": "How long things are kept; the scheduler role removes what is older",
    "backup": "Backups: what `nizam backup` and `nizam restore` use",
}

SETTINGS: tuple[Setting, ...] = (
    *process.SETTINGS,
    *http.SETTINGS,
    *servers.SETTINGS,
    *switches.SETTINGS,
    *telling.SETTINGS,
    *keeping.SETTINGS,
    *accepted.SETTINGS,
)

# Settings that are lists of hosts, which in the environment can have a name each, with a number at
# its end.
NUMBERED: Mapping[str, str] = {
    "DB_READ_HOST": "DB_READ_HOST_",
    "REDIS_SENTINELS": "REDIS_SENTINEL_",
    "REDIS_CLUSTER_SEED": "REDIS_CLUSTER_SEED_",
}
# Names with a word at their end.
NOT_NEEDED: Mapping[str, str] = {
    "REVERB_": "the WebSocket server is built in, so this is not needed",
}

# The fields of one [[nodes]] table are those of [freeswitch].
NODE_FIELDS: Mapping[str, Setting] = {
    setting.key.removeprefix("freeswitch."): setting
    for setting in SETTINGS
    if setting.key and setting.key.startswith("freeswitch.")
}
