"""The list of all commands. A new one is a line here and its function in a file beside this."""

from __future__ import annotations

import click

from nizam import __version__
from nizam.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "dev": ("nizam.cli.dev:dev", "Run everything on this machine, with a demo tenant."),
    "check-config": ("nizam.cli.installation:check_config", "Check and show the settings."),
    "migrate": ("nizam.cli.installation:migrate", "Bring the database's tables up to date."),
    "doctor": ("nizam.cli.doctor:doctor", "Say what is wrong, and how to mend it."),
    "admin": ("nizam.cli.admin:admin", "Make the first administrator or key of the platform."),
    "audit": ("nizam.cli.audit:audit", "Read and verify the audit log."),
    "scheduler": ("nizam.cli.scheduler:scheduler", "What is done on schedule: list, run."),
    "usage": ("nizam.cli.usage:usage", "What tenants use; whether it agrees with the CDRs."),
    "backup": ("nizam.cli.backup:backup", "Back everything up; list and verify backups."),
    "restore": ("nizam.cli.restore:restore", "Restore a backup."),
    "secrets": ("nizam.cli.secrets:secrets", "Keys that encrypt stored secrets: status, rotate."),
}


API_COMMANDS: dict[str, tuple[str, str]] = {
    "export": ("nizam.cli.document:export", "A tenant's whole configuration, as YAML."),
    "plan": ("nizam.cli.document:plan", "What applying a document would change."),
    "apply": ("nizam.cli.document:apply", "Make a tenant what a document says."),
    "revision": ("nizam.cli.revision:revision", "Who changed what; going back."),
    "tenant": ("nizam.cli.tenant:tenant", "Tenants: create, activate, suspend, ..."),
    "user": ("nizam.cli.user:user", "People who log in, and their roles."),
    "key": ("nizam.cli.key:key", "API keys: create, rotate, ..."),
    "node": ("nizam.cli.node:node", "Switch nodes: the FreeSWITCH servers; draining them."),
    "sip-profile": ("nizam.cli.resources:group:sip_profile", "SIP profiles of the switch."),
    "acl": ("nizam.cli.resources:group:acl", "Lists of networks that the switch trusts."),
    "extension": (
        "nizam.cli.extension:extension",
        "Extensions, and what their phones sign in with.",
    ),
    "did": ("nizam.cli.did:did", "Public numbers."),
    "ring-group": ("nizam.cli.resources:group:ring_group", "Ring groups."),
    "ivr": ("nizam.cli.resources:group:ivr", "Menus."),
    "time-condition": ("nizam.cli.resources:group:time_condition", "Opening hours."),
    "gateway": ("nizam.cli.gateway:gateway", "Trunks to carriers, and when they were up."),
    "outbound-route": ("nizam.cli.resources:group:outbound_route", "Ways out."),
    "calendar": ("nizam.cli.calendar:calendar", "Holidays and other days."),
    "routing-policy": ("nizam.cli.resources:group:routing_policy", "Rules that come first."),
    "call-flow": ("nizam.cli.call_flow:call_flow", "Call flows: publish, go back, ..."),
    "conference-room": ("nizam.cli.resources:group:conference_room", "Conference rooms."),
    "parking-lot": ("nizam.cli.resources:group:parking_lot", "Parking lots."),
    "emergency-plan": ("nizam.cli.resources:group:emergency_plan", "Emergency calls."),
    "feature-code": ("nizam.cli.resources:group:feature_code", "Codes that phones dial."),
    "blocked-number": ("nizam.cli.resources:group:blocked_number", "Blocked numbers."),
    "prompt": ("nizam.cli.sounds:prompt", "Announcements, and their sounds."),
    "music-on-hold": ("nizam.cli.sounds:music_on_hold", "Music on hold, and its files."),
    "webhook": ("nizam.cli.webhook:webhook", "Webhooks, their deliveries, and sending again."),
    "queue": ("nizam.cli.queue:queue", "The queue of deliveries: monitor, replay, purge."),
    "call": ("nizam.cli.calls:call", "Place calls, steer those under way, see the course of any."),
    "cdr": ("nizam.cli.calls:cdr", "Calls that have ended."),
    "registration": ("nizam.cli.live:registration", "Phones that are registered, or were."),
    "conference": ("nizam.cli.live:conference", "Conferences under way, and their members."),
    "parked-call": ("nizam.cli.live:parked_call", "Calls that wait in parking lots."),
    "recordings": (
        "nizam.cli.recordings:recordings",
        "Recorded calls: list, download, hold, prune.",
    ),
    "voicemail": (
        "nizam.cli.voicemail:voicemail",
        "Messages in mailboxes: list, listen, mark, delete; greetings.",
    ),
    "tail": ("nizam.cli.events:tail", "Follow what happens, live."),
    "events": ("nizam.cli.events:events", "What happens: list events, or follow them."),
    "explain": ("nizam.cli.explain:explain", "Where a call would go, and why."),
    "me": ("nizam.cli.me:me", "Whose key is used, and what it may do."),
    "openapi": ("nizam.cli.openapi:openapi", "Print the OpenAPI document; needs no server."),
}
"""Clients of the API."""


@click.group(
    cls=LazyGroup,
    sections={"Running NIZAM": COMMANDS, "Through the API": API_COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Through the API: --url and --api-key (or NIZAM_URL, NIZAM_API_KEY, or
--state-dir of a running nizam dev) say which server is asked.

\b
Exit status: 0 done; 1 refused, or what was asked about is not so;
2 wrong usage; 3 cannot reach what is needed.""",
)
@click.version_option(__version__)
def commands() -> None:
    """The control plane for FreeSWITCH: run it with `twistd nizam`, try it with `nizam dev`."""
