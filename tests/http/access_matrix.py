"""Who may do what, written down by hand: the design that every route is held to.

Each operation of the API has its row here, and `test_access_matrix.py` asks every operation as
everybody in `WHO`. A row says nothing that could be read off the route's own declaration: whoever
declares a route wrongly finds the two apart. An operation without a row fails the test.

Adding a route: add a row, under the operation's name. An ordinary resource is one line,
`crud(...)`; everything else is a `Row`:

- `place` says where the thing is, and so what outsiders are answered:
  `tenant`    in the tenant that the path names; for another tenant's admin it does not exist: 404
  `tenants`   the tenant itself, which is the platform's: its own members 403, other tenants' 404
  `platform`  the platform's: 403 for every member of a tenant
  `shared`    of the platform, with a part for each tenant's admins, by no tenant in the path
  `person`    of the user who has signed in: 403 for API keys
  `anyone`    for every key and user
  `open`      for everybody, signed in or not
- `scope` is the one permission that it takes; a key with just this one passes, a key with all the
  others does not.
- `roles` are the roles of a tenant that pass; those of the platform always do.
- `answers` are the statuses of those who pass, where it is not the one that the route declares: 4xx
  only where the design says so, and why the handler cannot do more in this test.
- `other` is what another tenant's admin is answered where the place does not say it, and `holder`
  what the key with just the scope is.

Then, if the example of the route's body does not do with the objects of `access_site.py`, say there
in `ASKS` how to ask. A new kind of object in a path needs its id in `Site.ids`.
"""

from __future__ import annotations

from typing import Literal

import attrs

Place = Literal["tenant", "tenants", "platform", "shared", "person", "anyone", "open"]

WHO = (
    "nobody",
    "agent",
    "read_only",
    "supervisor",
    "tenant_admin",
    "other_admin",
    "unscoped",
    "scoped",
    "platform_key",
    "platform_admin",
    "session",
    "unproven",
)
"""Everybody: users by their role in the tenant, the other tenant's admin; API keys without just the
scope, with just the scope, of the platform with all; a platform admin by token, by a browser's
session, and by one without its CSRF token."""

_KEYS = ("unscoped", "scoped", "platform_key")
_OF_PLATFORM = ("platform_key", "platform_admin", "session", "unproven")

ADMIN = ("tenant_admin",)
STEER = ("tenant_admin", "supervisor")
LOOK = ("tenant_admin", "supervisor", "read_only")
"""What goes on in a tenant."""
BOOK = ("tenant_admin", "supervisor", "agent", "read_only")
"""The telephone book."""
INSPECT = ("tenant_admin", "read_only")
"""Who signs in, what leaves the system, who did what."""
NONE = ()


@attrs.frozen
class Row:
    """The design of one operation."""

    scope: str | None
    roles: tuple[str, ...] = NONE
    place: Place = "tenant"
    answers: tuple[int, ...] = ()
    other: int | None = None
    holder: int | None = None

    def designed(self, who: str, method: str) -> int | None:
        """The status that `who` is refused with; None if they pass."""
        if self.place == "open":
            return None
        if who == "nobody":
            return 401
        if who == "unproven" and method != "GET":
            return 403
        if self.place == "anyone":
            return None
        if self.place == "person":
            return 403 if who in _KEYS else None
        if who in _OF_PLATFORM:
            return None
        if who == "scoped":
            return self.holder
        if who == "unscoped":
            return 403
        if who == "other_admin":
            return self._other()
        return None if who in self.roles else 403

    def _other(self) -> int | None:
        match self.place:
            case "tenant" | "tenants":
                return 404
            case "platform":
                return 403
            case _:
                return self.other


def crud(
    name: str,
    plural: str,
    read: tuple[str, ...] = NONE,
    write: tuple[str, ...] = NONE,
    place: Place = "tenant",
) -> dict[str, Row]:
    """The six rows of an ordinary resource."""
    reading, writing = Row(f"{plural}:read", read, place), Row(f"{plural}:write", write, place)
    return {
        f"list_{plural}": reading,
        f"get_{name}": reading,
        f"replace_{name}": writing,
        f"change_{name}": writing,
        f"delete_{name}": writing,
        f"create_{name}": writing,
    }


def _shared(name: str, plural: str, more: tuple[str, ...], holder: int | None) -> dict[str, Row]:
    """Users and keys: what is another tenant's is not found, and cannot be made."""
    reading = Row(f"{plural}:read", INSPECT, "shared", other=404)
    writing = Row(f"{plural}:write", ADMIN, "shared", other=404, holder=holder)
    return {
        f"list_{plural}": attrs.evolve(reading, other=None),
        f"get_{name}": reading,
        **dict.fromkeys((f"replace_{name}", f"change_{name}", *more, f"delete_{name}"), writing),
        f"create_{name}": attrs.evolve(writing, other=422),
    }


MATRIX: dict[str, Row] = {
    # -- for everybody --------------------------------------------------------------------------
    "openapi": Row(None, place="open"),
    "list_event_schemas": Row(None, place="open"),
    "get_event_schema": Row(None, place="open"),
    "docs": Row(None, place="open"),
    "docs_page": Row(None, place="open"),
    "docs_style": Row(None, place="open"),
    "docs_script": Row(None, place="open"),
    "docs_index": Row(None, place="open"),
    # Without the right password nobody gets further than the check of the body.
    "login": Row(None, place="open", answers=(422,)),
    "reset_password": Row(None, place="open", answers=(422,)),
    # -- about oneself --------------------------------------------------------------------------
    "me": Row(None, place="anyone"),
    "list_permissions": Row(None, place="anyone"),
    "list_tokens": Row(None, place="person"),
    "create_token": Row(None, place="person"),
    "revoke_token": Row(None, place="person"),
    "revoke_tokens": Row(None, place="person"),
    # A weak password is refused: whoever changes theirs ends the tokens of this test.
    "change_password": Row(None, place="person", answers=(422,)),
    "logout": Row(None, place="person"),
    # -- what happens and happened in a tenant --------------------------------------------------
    "list_calls": Row("calls:read", LOOK),
    "get_call": Row("calls:read", LOOK),
    # No switch is connected in this test, and what calls are routed by holds nothing but the
    # tenant itself: whoever passes gets as far as that.
    "originate_call": Row("calls:originate", STEER, answers=(422,)),
    "call_outcome": Row("calls:read", LOOK, answers=(404,)),
    "hang_up_call": Row("calls:hangup", STEER, answers=(503,)),
    "transfer_call": Row("calls:transfer", STEER, answers=(409,)),
    "hold_call": Row("calls:hold", STEER, answers=(503,)),
    "resume_call": Row("calls:hold", STEER, answers=(503,)),
    "park_call": Row("calls:park", STEER, answers=(503,)),
    # There is no second call.
    "bridge_calls": Row("calls:bridge", STEER, answers=(404,)),
    "play_to_call": Row("calls:play", STEER, answers=(503,)),
    "stop_playing_to_call": Row("calls:play", STEER, answers=(503,)),
    # There is no text-to-speech engine.
    "say_to_call": Row("calls:say", STEER, answers=(422,)),
    "send_dtmf_to_call": Row("calls:dtmf", STEER, answers=(503,)),
    # There is no media root for the switch to record into, and nothing is recorded.
    "start_recording_call": Row("calls:record", STEER, answers=(409,)),
    "stop_recording_call": Row("calls:record", STEER, answers=(409,)),
    "pause_recording_call": Row("calls:record", STEER, answers=(409,)),
    "resume_recording_call": Row("calls:record", STEER, answers=(409,)),
    "mute_call": Row("calls:mute", STEER, answers=(503,)),
    "unmute_call": Row("calls:mute", STEER, answers=(503,)),
    "eavesdrop_call": Row("calls:eavesdrop", STEER, answers=(422,)),
    "whisper_call": Row("calls:whisper", STEER, answers=(422,)),
    "barge_call": Row("calls:barge", STEER, answers=(422,)),
    "list_conferences": Row("calls:read", LOOK),
    "get_conference": Row("calls:read", LOOK),
    "list_parked_calls": Row("calls:read", LOOK),
    "list_registrations": Row("registrations:read", BOOK),
    "list_registration_history": Row("registrations:read", BOOK),
    "list_call_events": Row("call_events:read", LOOK),
    "get_call_event": Row("call_events:read", LOOK),
    "trace_call": Row("call_events:read", LOOK),
    "list_cdrs": Row("cdrs:read", LOOK),
    "get_cdr": Row("cdrs:read", LOOK),
    # -- recordings -----------------------------------------------------------------------------
    "list_recordings": Row("recordings:read", LOOK),
    "get_recording": Row("recordings:read", LOOK),
    "list_recording_receipts": Row("recordings:read", LOOK),
    "download_recording": Row("recordings:download", STEER),
    "link_recording": Row("recordings:download", STEER),
    # Whoever has the link; here nobody has one.
    "open_recording_link": Row(None, place="open", answers=(403,)),
    "hold_recording": Row("recordings:hold", ADMIN),
    "release_recording": Row("recordings:hold", ADMIN),
    "delete_recording": Row("recordings:delete", ADMIN),
    "prune_recordings": Row("recordings:delete", ADMIN),
    # -- voicemail ------------------------------------------------------------------------------
    "list_voicemail_messages": Row("voicemail_messages:read", LOOK),
    "get_voicemail_message": Row("voicemail_messages:read", LOOK),
    "list_voicemail_receipts": Row("voicemail_messages:read", LOOK),
    "download_voicemail_message": Row("voicemail_messages:download", STEER),
    "link_voicemail_message": Row("voicemail_messages:download", STEER),
    # No switch is there that could be told.
    "mark_voicemail_message": Row("voicemail_messages:write", STEER, answers=(503,)),
    "delete_voicemail_message": Row("voicemail_messages:write", STEER, answers=(503,)),
    # Whoever has the link; here nobody has one.
    "open_voicemail_message_link": Row(None, place="open", answers=(403,)),
    "list_voicemail_greetings": Row("voicemail_messages:read", LOOK),
    "upload_voicemail_greeting": Row("voicemail_messages:write", STEER),
    "download_voicemail_greeting": Row("voicemail_messages:read", LOOK),
    "choose_voicemail_greeting": Row("voicemail_messages:write", STEER),
    "delete_voicemail_greeting": Row("voicemail_messages:write", STEER),
    "explain_routing": Row("routing:explain", LOOK),
    "explain_call": Row("routing:explain", LOOK),
    "list_audit_logs": Row("audit_logs:read", INSPECT),
    "get_document": Row("document:read", INSPECT),
    "reveal_document": Row("document:reveal", ADMIN),
    "plan_document": Row("document:plan", INSPECT),
    "apply_document": Row("document:apply", ADMIN),
    "list_revisions": Row("revisions:read", INSPECT),
    "get_revision": Row("revisions:read", INSPECT),
    "plan_rollback": Row("document:plan", INSPECT),
    "roll_back_revision": Row("revisions:rollback", ADMIN),
    # -- lists as files, and files as objects ---------------------------------------------------
    # Over plain HTTP: a WebSocket is asked for by other means. The server of this test has no role
    # realtime.
    "open_websocket": Row("call_events:read", LOOK, place="shared", answers=(426,)),
    "stream_call_events": Row("call_events:read", LOOK, answers=(503,)),
    "issue_stream_ticket": Row("call_events:read", LOOK),
    "export_call_events": Row("call_events:read", LOOK),
    "export_cdrs": Row("cdrs:read", LOOK),
    "export_audit_logs": Row("audit_logs:read", INSPECT),
    "export_extensions": Row("extensions:read", BOOK),
    "export_dids": Row("dids:read", LOOK),
    "import_extensions": Row("extensions:write", ADMIN),
    "import_dids": Row("dids:write", ADMIN),
    # -- webhooks and deliveries ----------------------------------------------------------------
    "webhook_deliveries": Row("deliveries:read", INSPECT),
    "webhook_attempts": Row("deliveries:read", INSPECT),
    "webhook_stats": Row("deliveries:read", INSPECT),
    "redispatch_call_event": Row("deliveries:write", ADMIN),
    "test_webhook": Row("deliveries:write", ADMIN),
    "replay_webhook": Row("deliveries:write", ADMIN),
    "webhook_replays": Row("deliveries:read", INSPECT),
    "cancel_replay_webhook": Row("deliveries:write", ADMIN),
    "purge_webhook": Row("deliveries:write", ADMIN),
    "queue_depth": Row("health:read", place="platform"),
    "pause_webhook": Row("webhooks:write", ADMIN),
    "resume_webhook": Row("webhooks:write", ADMIN),
    "rotate_secret_webhook": Row("webhooks:write", ADMIN),
    # -- secrets --------------------------------------------------------------------------------
    "reveal_conference_room": Row("conference_rooms:reveal", ADMIN),
    "reveal_extension": Row("extensions:reveal", ADMIN),
    "reveal_gateway": Row("gateways:reveal", ADMIN),
    "reveal_webhook": Row("webhooks:reveal", ADMIN),
    "reveal_switch_node": Row("switch_nodes:reveal", place="platform"),
    # -- call flows -----------------------------------------------------------------------------
    "publish_call_flow": Row("call_flows:write", ADMIN),
    "roll_back_call_flow": Row("call_flows:write", ADMIN),
    "list_call_flow_versions": Row("call_flows:read", LOOK),
    # -- resources of a tenant ------------------------------------------------------------------
    **crud("blocked_number", "blocked_numbers", LOOK, STEER),
    **crud("calendar", "calendars", LOOK, ADMIN),
    "import_calendar": Row("calendars:write", ADMIN),
    "export_calendar": Row("calendars:read", LOOK),
    **crud("call_flow", "call_flows", LOOK, ADMIN),
    **crud("conference_room", "conference_rooms", BOOK, ADMIN),
    **crud("did", "dids", LOOK, ADMIN),
    **crud("emergency_plan", "emergency_plans", LOOK, ADMIN),
    **crud("extension", "extensions", BOOK, ADMIN),
    **crud("feature_code", "feature_codes", BOOK, ADMIN),
    **crud("gateway", "gateways", LOOK, ADMIN),
    "list_gateway_states": Row("gateways:read", LOOK),
    **crud("ivr", "ivrs", LOOK, ADMIN),
    **crud("music_on_hold", "music_on_hold", LOOK, ADMIN),
    "upload_music_on_hold_file": Row("music_on_hold:write", ADMIN),
    "download_music_on_hold_file": Row("music_on_hold:read", LOOK),
    "change_music_on_hold_file": Row("music_on_hold:write", ADMIN),
    "delete_music_on_hold_file": Row("music_on_hold:write", ADMIN),
    **crud("outbound_route", "outbound_routes", LOOK, ADMIN),
    **crud("parking_lot", "parking_lots", BOOK, ADMIN),
    **crud("prompt", "prompts", LOOK, ADMIN),
    "upload_prompt_audio": Row("prompts:write", ADMIN),
    "download_prompt_audio": Row("prompts:read", LOOK),
    "delete_prompt_audio": Row("prompts:write", ADMIN),
    **crud("ring_group", "ring_groups", BOOK, ADMIN),
    **crud("routing_policy", "routing_policies", LOOK, ADMIN),
    **crud("time_condition", "time_conditions", LOOK, STEER),
    **crud("webhook", "webhooks", INSPECT, ADMIN),
    # -- users and keys -------------------------------------------------------------------------
    # A key that holds users:write alone gives no role: each has more than that.
    **_shared("user", "users", ("issue_reset_token",), holder=403),
    **_shared("api_key", "api_keys", ("rotate_api_key",), holder=None),
    # -- of the platform ------------------------------------------------------------------------
    **crud("acl", "acls", place="platform"),
    **crud("sip_profile", "sip_profiles", place="platform"),
    **crud("switch_node", "switch_nodes", place="platform"),
    "list_all_audit_logs": Row("audit_logs:read", place="platform"),
    "list_purge_receipts": Row("tenants:read", place="platform"),
    # -- tenants themselves ---------------------------------------------------------------------
    "list_tenants": Row("tenants:read", place="platform"),
    "create_tenant": Row("tenants:write", place="platform"),
    "tenant_stats": Row("stats:read", LOOK),
    "tenant_limits": Row("stats:read", LOOK),
    "tenant_usage": Row("usage:read", LOOK),
    "provision_tenant": Row("tenants:write", place="platform"),
    "get_tenant": Row("tenants:read", LOOK),
    "replace_tenant": Row("tenants:write", place="tenants"),
    "change_tenant": Row("tenants:write", place="tenants"),
    "activate_tenant": Row("tenants:write", place="tenants"),
    "suspend_tenant": Row("tenants:write", place="tenants"),
    "terminate_tenant": Row("tenants:write", place="tenants"),
    "delete_tenant": Row("tenants:write", place="tenants"),
    # None was purged.
    "get_purge_receipt": Row("tenants:read", place="tenants", answers=(404,)),
}
