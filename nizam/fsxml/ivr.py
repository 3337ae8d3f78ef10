"""ivr.conf: the one menu that FreeSWITCH is about to run.

Choices leave the menu by a transfer to a re-entry token, so that each is routed and traced like any
other call, whether or not what it leads to has a number.
"""

from __future__ import annotations

from uuid import UUID

from nizam.fsxml import values
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.writer import NOT_FOUND, child, document, to_bytes
from nizam.model.audio import Sound
from nizam.model.ivr import Ivr, digits_expression
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView
from nizam.routing.sounds import find_sound
from nizam.routing.tokens import IvrChoice, menu_id, menu_name, write_token

_NO_GREETING = "tone_stream://%(200,100,500)"
"""Tells the caller of a menu whose greeting cannot be played that digits are waited for."""


def ivr_conf(snapshot: Snapshot, request: XmlRequest) -> bytes:
    """The menu named by `Menu-Name`; not found if no tenant that may call has it."""
    identifier = menu_id(request.field("Menu-Name"))
    found = None if identifier is None else _find(snapshot, identifier, request)
    if found is None:
        return NOT_FOUND
    view, entry = found
    ivr = entry.body
    long = _sound(view, ivr.greeting_long) or _NO_GREETING
    root, section = document("configuration")
    configuration = child(section, "configuration", name="ivr.conf", description="IVR")
    menu = child(
        child(configuration, "menus"),
        "menu",
        name=menu_name(entry.id),
        greet_long=long,
        greet_short=_sound(view, ivr.greeting_short) or long,
        timeout=_milliseconds(ivr.timeout_seconds),
        inter_digit_timeout=_milliseconds(ivr.digit_timeout_seconds),
        max_failures=str(ivr.max_failures),
        max_timeouts=str(ivr.max_timeouts),
        digit_len=str(ivr.digit_length),
    )
    for name, sound in (("invalid-sound", ivr.invalid_sound), ("exit-sound", ivr.exit_sound)):
        path = _sound(view, sound)
        if path is not None:
            menu.set(name, path)
    domain = values.domain(view.tenant.domain)
    if ivr.timeout_destination is not None:
        menu.set("exec-on-max-timeouts", _transfer(IvrChoice(entry.id, "timeout"), domain))
    if ivr.invalid_destination is not None:
        menu.set("exec-on-max-failures", _transfer(IvrChoice(entry.id, "invalid"), domain))
    for item in ivr.entries:
        expression = digits_expression(item.digits)
        if expression is None:
            param = _transfer(IvrChoice(entry.id, "entry", item.digits), domain)
            pressed = values.word(item.digits)
        else:
            param = f"transfer {menu_name(entry.id)}-e$1 XML {domain}"
            pressed = f"/^({expression})$/"
        child(menu, "entry", action="menu-exec-app", digits=pressed, param=param)
    if ivr.direct_dial:
        token = f"{menu_name(entry.id)}-d$1"
        param = f"transfer {token} XML {domain}"
        child(menu, "entry", action="menu-exec-app", digits=r"/^(\d{2,15})$/", param=param)
    return to_bytes(root)


def _find(
    snapshot: Snapshot, identifier: UUID, request: XmlRequest
) -> tuple[TenantView, Entry[Ivr]] | None:
    """The menu, in the tenant of the call that asks when it says which that is."""
    tenant_id = request.field("variable_nizam_tenant_id")
    try:
        views = [snapshot.tenant(UUID(tenant_id))] if tenant_id else list(snapshot.tenants())
    except ValueError:
        return None
    for view in views:
        entry = None if view is None else view.get(Ivr, identifier)
        if view is not None and entry is not None:
            usable = entry.body.enabled and view.tenant.status in {"trial", "active"}
            return (view, entry) if usable else None
    return None


def _sound(view: TenantView, sound: Sound | None) -> str | None:
    path = None if sound is None else find_sound(view, sound).path
    return None if path is None else values.sound(path)


def _transfer(choice: IvrChoice, domain: str) -> str:
    return f"transfer {values.word(write_token(choice))} XML {domain}"


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))
