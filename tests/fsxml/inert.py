"""Whether an answer does what it should on a switch and nothing else, by the switch's own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from lxml import etree

from tests.fsxml.switch_rules import Expansion, NotInert, application_data, dial_string, preprocess
from tests.routing.cases.agreement import APPLICATIONS

_VARIABLE = re.compile(r"[a-z][a-z0-9_-]*\Z|[A-Z]")
_DIALLED = {"dialed_user": "1001", "dialed_domain": "acme.example.test"}
_SOUND = re.compile(r"(?:tone_stream://[%(),;=0-9A-Za-z.]+|[\w/.+ -]+)\Z")
_GATEWAY = re.compile(r"gateway/[0-9a-f-]{36}/\+?[0-9*#]+\Z")
_USER = re.compile(r"[0-9]+@[a-z0-9.-]+\Z")
_CONTACT = re.compile(r"(?:internal|external)/")

LEG_VARIABLES = frozenset(
    {
        "absolute_codec_string",
        "group_confirm_file",
        "group_confirm_key",
        "ignore_early_media",
        "leg_delay_start",
        "leg_progress_timeout",
        "leg_timeout",
        "nizam_extension_id",
        "nizam_tenant_id",
        "origination_callee_id_name",
        "origination_callee_id_number",
        "origination_caller_id_name",
        "origination_caller_id_number",
        "origination_privacy",
        "presence_id",
        "sip_cid_type",
        "sip_from_display",
        "sip_invite_domain",
        "sip_invite_from_uri",
    }
)
"""What dial-strings may say of a leg."""

LEG_HEADERS = {
    "sip_h_Diversion": re.compile(r"<sip:\+?[0-9*#]+@[a-z0-9.-]+>;reason=[a-z-]+"),
    "sip_h_Privacy": re.compile("id"),
    "sip_invite_from_uri": re.compile("sip:anonymous@anonymous.invalid"),
}
"""The headers that dial-strings may write, and what may stand in them."""

_OWN_HEADER = re.compile(r"sip_h_X-[A-Za-z0-9-]{1,40}")


def check_document(raw: bytes) -> etree._Element:
    """The document; NotInert or AssertionError when it does more than it says."""
    root = etree.fromstring(preprocess(raw))
    for element in root.iter():
        for name, value in element.attrib.items():
            text = value if isinstance(value, str) else value.decode()
            if re.search(r"[\x00-\x1f\x7f]", text):
                raise NotInert(f"{element.tag!r} {name!r} holds a control character: {text!r}")
    for action in root.iter("action"):
        check_action(str(action.get("application")), action.get("data") or "")
    for param in root.iter("param"):
        if param.get("name") == "dial-string":
            check_dial_string(str(param.get("value")), _DIALLED)
        # switch_utils.c, switch_simple_email(): an argument of a command line.
        assert param.get("name") not in ("vm-mailto", "vm-notify-mailto")
    for entry in root.iter("entry"):
        assert entry.get("action") == "menu-exec-app"
        _transfer(str(entry.get("param")))
    for menu in root.iter("menu"):
        for name in ("exec-on-max-timeouts", "exec-on-max-failures"):
            if menu.get(name) is not None:
                _transfer(str(menu.get(name)))
        for name in ("greet-long", "greet-short", "invalid-sound", "exit-sound"):
            if menu.get(name) is not None:
                _sound(str(menu.get(name)))
    for variable in root.iter("variable"):
        _nothing_expanded(str(variable.get("value")))
    return root


def check_action(application: str, data: str) -> None:
    """One action of a dialplan."""
    if application not in APPLICATIONS:
        raise NotInert(f"{application} is no application for dialplans")
    got = application_data(data, partial(_expects_nothing, data))
    if application in {"set", "export"}:
        name, _, value = got.partition("=")
        assert _VARIABLE.match(name), got
        _nothing_expanded(value)
        if name in {"ringback", "hold_music"}:
            files = value.removeprefix("file_string://").split("!")
            for each in files:
                _sound(each, ringback=True)
    elif application == "bridge":
        check_dial_string(got, {})
    elif application == "playback":
        _sound(got)
    elif application == "transfer":
        _transfer(f"transfer {got}")


def check_dial_string(text: str, variables: Mapping[str, str]) -> None:
    """What is dialled, and with which variables."""
    expansion = Expansion(variables)
    expanded = expansion.expand(text)
    assert not expansion.commands, expansion.commands
    assert set(expansion.read) <= variables.keys(), expansion.read
    shared, legs = dial_string(expanded)
    assert legs
    for leg in legs:
        given = {**shared, **leg.variables}
        own = {it for it in given if _OWN_HEADER.fullmatch(it)}
        assert not any(set(given[it]) & set("\r\n") for it in own), given
        unknown = given.keys() - LEG_VARIABLES - LEG_HEADERS.keys() - own
        for name in LEG_HEADERS.keys() & given.keys():
            if not LEG_HEADERS[name].fullmatch(given[name]):
                raise NotInert(f"{name} would be {given[name]!r}")
        if unknown:
            raise NotInert(f"a leg would be given {sorted(unknown)}")
        for value in (*shared.values(), *leg.variables.values()):
            _nothing_expanded(value)
        places = {"user": _USER, "sofia": re.compile(f"{_GATEWAY.pattern}|{_CONTACT.pattern}")}
        place = places.get(leg.endpoint)
        if place is None or not place.match(leg.rest):
            raise NotInert(f"{leg.endpoint}/{leg.rest} would be dialled")


def _transfer(text: str) -> None:
    assert re.fullmatch(r"transfer [A-Za-z0-9*#+$-]+ XML [a-z0-9.-]+", text), text
    if "$" in text:  # what a menu's expression has captured
        assert re.fullmatch(r"transfer ivr-[0-9a-f]{32}-d\$1 XML [a-z0-9.-]+", text), text


def _sound(value: str, *, ringback: bool = False) -> None:
    value = f"tone_stream://{value}" if ringback and value.startswith("%(") else value
    if not _SOUND.match(value) or ".." in value:
        raise NotInert(f"{value!r} would be played")
    if value.startswith("/") and not value.startswith("/srv/media/"):
        raise NotInert(f"{value!r} is not below the tenant's folder")


def _expects_nothing(data: str, expansion: Expansion) -> None:
    if expansion.read or expansion.commands:
        raise NotInert(f"{data!r} is expanded: {expansion}")


def _nothing_expanded(value: str) -> None:
    expansion = Expansion()
    expansion.expand(value)
    _expects_nothing(value, expansion)
