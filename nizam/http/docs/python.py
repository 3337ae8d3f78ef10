"""How each operation is asked for with nizam.client."""

from __future__ import annotations

import pprint
import re
from collections.abc import Mapping
from typing import Any

_TENANT = re.compile(r"/api/v1/tenants/{tenant_id}/([\w-]+)(?:/{(\w+)})?(?:/([\w-]+))?\Z")
_PLATFORM = re.compile(r"/api/v1/([\w-]+)(?:/{(\w+)})?(?:/([\w-]+))?\Z")
_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}

_SPECIAL: Mapping[str, str] = {
    "me": "client.me()",
    "list_permissions": "client.permissions()",
    "openapi": "client.openapi()",
    "list_event_schemas": "client.event_schemas()",
    "get_event_schema": "client.event_schema(ID)",
    "login": "Client.log_in(URL, {email}, {password})",
    "logout": "client.sign_in.log_out()",
    "list_tokens": "client.sign_in.tokens()",
    "create_token": "client.sign_in.create_token({name}, expires_in_seconds={expires_in_seconds})",
    "revoke_tokens": "client.sign_in.revoke_other_tokens()",
    "revoke_token": "client.sign_in.revoke_token(ID)",
    "change_password": "client.sign_in.change_password({current_password}, {new_password})",
    "reset_password": "client.sign_in.reset_password({token}, {new_password})",
    "originate_call": "acme.calls.originate({from}, {to})",
    "transfer_call": "acme.calls.transfer(ID, {to})",
    "bridge_calls": "acme.calls.bridge(ID, {other_call_id})",
    "play_to_call": "acme.calls.play(ID, {sound})",
    "say_to_call": "acme.calls.say(ID, {text})",
    "send_dtmf_to_call": "acme.calls.dtmf(ID, {digits})",
    "eavesdrop_call": "acme.calls.eavesdrop(ID, {by})",
    "whisper_call": "acme.calls.whisper(ID, {by})",
    "barge_call": "acme.calls.barge(ID, {by})",
    "hang_up_call": "acme.calls.hangup(ID)",
    "hold_call": "acme.calls.hold(ID)",
    "resume_call": "acme.calls.resume(ID)",
    "park_call": "acme.calls.park(ID)",
    "mute_call": "acme.calls.mute(ID)",
    "unmute_call": "acme.calls.unmute(ID)",
    "stop_playing_to_call": "acme.calls.stop_playing(ID)",
    "start_recording_call": "acme.calls.start_recording(ID)",
    "stop_recording_call": "acme.calls.stop_recording(ID)",
    "pause_recording_call": "acme.calls.pause_recording(ID)",
    "resume_recording_call": "acme.calls.resume_recording(ID)",
    "explain_routing": "acme.explain({from}, {to})",
    "roll_back_call_flow": "acme.call_flows.roll_back(ID, {version})",
    "terminate_tenant": "client.tenants.terminate(ID, grace_days={grace_days})",
    "rotate_api_key": "client.api_keys.rotate(ID, grace_seconds={grace_seconds})",
    "replay_webhook": (
        "acme.webhooks.replay(ID, statuses={statuses}, rate_per_second={rate_per_second})"
    ),
    "purge_webhook": "acme.webhooks.purge(ID, {what})",
    "queue_depth": "client.queue()",
    "get_purge_receipt": "client.tenants.purge_receipt(ID)",
    "upload_prompt_audio": "acme.prompts.upload(ID, FILE)",
    "download_prompt_audio": "acme.prompts.download(ID, FILE)",
    "delete_prompt_audio": "acme.prompts.delete_audio(ID)",
    "upload_music_on_hold_file": "acme.music_on_hold.upload(ID, FILE)",
    "download_music_on_hold_file": "acme.music_on_hold.download(ID, FILE_ID, FILE)",
    "change_music_on_hold_file": "acme.music_on_hold.change_file(ID, FILE_ID, position={position})",
    "delete_music_on_hold_file": "acme.music_on_hold.delete_file(ID, FILE_ID)",
    "download_recording": "acme.recordings.download(ID, FILE)",
    "link_recording": "acme.recordings.link(ID)",
    "open_recording_link": "acme.recordings.download_link(LINK, FILE)",
    "download_voicemail_message": "acme.voicemail_messages.download(ID, FILE)",
    "mark_voicemail_message": "acme.voicemail_messages.mark(ID, read={read})",
    "link_voicemail_message": "acme.voicemail_messages.link(ID)",
    "open_voicemail_message_link": "acme.voicemail_messages.download_link(LINK, FILE)",
    "list_voicemail_greetings": "acme.voicemail_greetings.list(ID)",
    "upload_voicemail_greeting": "acme.voicemail_greetings.upload(ID, 1, FILE)",
    "download_voicemail_greeting": "acme.voicemail_greetings.download(ID, 1, FILE)",
    "choose_voicemail_greeting": "acme.voicemail_greetings.choose(ID, 1)",
    "delete_voicemail_greeting": "acme.voicemail_greetings.delete(ID, 1)",
    "hold_recording": "acme.recordings.hold(ID, {reason})",
    "prune_recordings": (
        "acme.recordings.prune(older_than_days={older_than_days}, dry_run={dry_run})"
    ),
    "import_calendar": "acme.calendars.import_ics(ID, FILE)",
    "export_calendar": "acme.calendars.export_ics(ID)",
    "get_document": "acme.document.get()",
    "roll_back_revision": "acme.revisions.roll_back(ID, tenant_settings={tenant_settings})",
    "plan_rollback": "acme.revisions.plan(ID, tenant_settings={tenant_settings})",
    "list_all_audit_logs": "client.audit_logs.list()",
    "stream_call_events": "acme.call_events.follow()",
    "issue_stream_ticket": "acme.call_events.issue_ticket(types={types})",
    "provision_tenant": "client.tenants.provision({body})",
}
"""What is called otherwise than its path says; fields of the example stand in braces."""

OF_TENANT = 'acme = client.tenant("acme")\n'


def python_example(operation: str, method: str, path: str, body: Any) -> str | None:
    """The call for an operation with an example of its body; None for pages, and for WebSocket,
    which the client does not speak: it has server-sent events."""
    if operation == "open_websocket":
        return None
    special = _SPECIAL.get(operation)
    if special is not None:
        return _with_tenant(_filled(special, body))
    found = _TENANT.match(path)
    owner = "acme"
    if found is None or (found[1] in _TENANT_STEPS and found[2] is None):
        found, owner = _PLATFORM.match(path.replace("{tenant_id}", "{id}")), "client"
    if found is None:
        return None
    table, parameter, action = found.groups()
    collection = f"{owner}.{table.replace('-', '_')}"
    thing = "" if parameter is None else "ID"
    if action is not None:
        given = [thing] if thing else []
        if isinstance(body, str):
            action, given = f"{action}_csv", [repr(body.encode())]
        elif body is not None:
            given.append(_literal(body))
        return _with_tenant(f"{collection}.{action.replace('-', '_')}({', '.join(given)})")
    if method == "GET":
        return _with_tenant(f"{collection}.get(ID)" if thing else f"{collection}.list()")
    arguments = [thing] if thing else []
    arguments += [] if body is None else [_literal(body)]
    return _with_tenant(f"{collection}.{_VERBS[method]}({', '.join(arguments)})")


_TENANT_STEPS = frozenset({"activate", "suspend", "stats", "limits", "usage", "purge-receipt"})
"""What is below a tenant and is no list of its own."""


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=66, sort_dicts=False)


def _with_tenant(call: str) -> str:
    return f"{OF_TENANT}{call}" if call.startswith("acme.") else call


def _filled(template: str, body: Any) -> str:
    def value(found: re.Match[str]) -> str:
        given = body if found[1] == "body" else (body or {}).get(found[1])
        return _literal(given)

    return re.sub(r"{(\w+)}", value, template)
