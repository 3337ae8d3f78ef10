"""The legs of a dial-string, with the variables of each in its own brackets.

Source: switch_ivr_originate.c, mod_sofia's sofia_glue_do_invite. What a leg's brackets say comes
before what is set on the call.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from nizam.fsxml import values
from nizam.fsxml.profiles import srtp_variable
from nizam.routing.plan import Caller, Diversion, GatewayLeg, Leg, Phones, UserLeg

# A tone, because it needs no sound files; in a leg's variables a comma separates.
_CONFIRM = ("group_confirm_key=1", r"group_confirm_file=tone_stream://%(300\,100\,700);loops=5")

_CID_TYPES = {"from": "none", "pai": "pid", "rpid": "rpid"}
_ANONYMOUS = "sip:anonymous@anonymous.invalid"
"""The From of somebody who is not told (RFC 3323, 4.1.1.3)."""


RECORDED = (
    ("RECORD_STEREO", "true"),
    ("RECORD_ANSWER_REQ", "true"),
    ("RECORD_BRIDGE_REQ", "true"),
    ("RECORD_APPEND", "true"),
    ("RECORD_MIN_SEC", "1"),
)
"""One side on each channel; nothing of ringing, menus and mailboxes; a leg that is recorded again
later in the call adds to the file; less than a second is no recording (switch_ivr_async.c)."""


def leg(it: Leg) -> str:
    """One leg, or one for each phone of an extension. Raises values.UnsafeValue when it holds what
    must not reach FreeSWITCH."""
    if isinstance(it, UserLeg):
        return _user(it)
    variables = list(_variables(it))
    written = f"[{','.join(variables)}]" if variables else ""
    return f"{written}sofia/gateway/{values.word(it.gateway_id)}/{values.word(it.number)}"


def _user(it: UserLeg) -> str:
    variables = list(_variables(it))
    user = f"user/{values.word(it.number)}@{values.domain(it.domain)}"
    if it.elsewhere is None and it.phones is None:
        return f"[{','.join(variables)}]{user}" if variables else user
    away = list(_elsewhere(it, variables))
    if it.elsewhere is not None and not it.elsewhere.here:
        return ",".join(away)
    known = [
        f"sofia/{values.word(phone.profile)}/{uri}"
        for phone in (() if it.phones is None else it.phones.registered)
        if (uri := values.contact(phone.uri)) is not None
    ]
    if it.phones is not None and known:
        variables.extend(_as_the_directory(it.phones, it))
    written = f"[{','.join(variables)}]" if variables else ""
    return ",".join([*(f"{written}{one}" for one in known or [user]), *away])


def _elsewhere(it: UserLeg, variables: list[str]) -> Iterator[str]:
    """A leg to each other switch that has phones of the extension (nizam.routing.nodes)."""
    if it.elsewhere is None:
        return
    if it.auto_answer:
        # That is for the phones: the other switch tells them, by the token.
        variables = list(_variables(attrs.evolve(it, auto_answer=False)))
    told = [*variables, *_as_the_directory(it.elsewhere.phones, it)]
    told.append(f"sip_h_{values.CALL_HEADER}={values.word(it.elsewhere.call_id)}")
    token = values.word(it.elsewhere.token)
    for address in it.elsewhere.addresses:
        yield f"[{','.join(told)}]sofia/internal/sip:{token}@{values.address(address)}"


def _as_the_directory(phones: Phones, it: UserLeg) -> Iterator[str]:
    """What the directory's dial-string would tell the legs of a user."""
    yield f"sip_invite_domain={values.domain(it.domain)}"
    yield f"presence_id={values.word(it.number)}@{values.domain(it.domain)}"
    number = values.word(phones.number)
    yield f"origination_callee_id_name={values.text(phones.name) or number}"
    yield f"origination_callee_id_number={number}"
    yield f"nizam_tenant_id={values.word(phones.tenant_id)}"
    if phones.extension_id:
        yield f"nizam_extension_id={values.word(phones.extension_id)}"
    srtp = srtp_variable(phones.srtp)
    if srtp is not None:
        yield f"rtp_secure_media={srtp}"


def _variables(it: Leg) -> Iterator[str]:
    if it.timeout_seconds is not None:
        yield f"leg_timeout={it.timeout_seconds:d}"
    if it.delay_seconds:
        yield f"leg_delay_start={it.delay_seconds:d}"
    if isinstance(it, GatewayLeg):
        # What the caller's phone shows; without it FreeSWITCH writes "Outbound Call".
        yield f"origination_callee_id_name={values.word(it.number)}"
        if it.progress_timeout_seconds is not None:
            yield f"leg_progress_timeout={it.progress_timeout_seconds:d}"
        if it.caller is not None:
            yield from _caller(it.caller)
        if it.location is not None:
            yield f"sip_h_{values.header(it.location.header)}={values.text(it.location.text)}"
    else:
        if it.call_id is not None:
            yield f"nizam_call_id={values.word(it.call_id)}"
        if it.auto_answer:
            # Adds Call-Info and a parameter of the request (mod_sofia.c); others want Alert-Info.
            yield "sip_auto_answer=true"
            yield f"alert_info=<sip:{values.domain(it.domain)}>;info=alert-autoanswer;delay=0"
        if it.record is not None:
            yield f"execute_on_answer=record_session {values.new_file(it.record)}"
            yield from (f"{name}={value}" for name, value in RECORDED)
    if it.codecs is not None:
        yield f"absolute_codec_string={values.codecs(it.codecs)}"
    if it.confirm:
        yield from _CONFIRM


def _caller(caller: Caller) -> Iterator[str]:
    """What a carrier is told of the caller, and where."""
    number = "anonymous" if caller.number is None else values.word(caller.number)
    name = values.text(caller.name) or ("Anonymous" if caller.number is None else number)
    yield f"origination_caller_id_number={number}"
    yield f"origination_caller_id_name={name}"
    yield f"sip_cid_type={'none' if caller.number is None else _CID_TYPES[caller.header]}"
    hidden = caller.privacy != "none"
    # Without `screen` a P-Preferred-Identity is sent in the place of P-Asserted-Identity; without
    # the variable, what the caller's own phone asked for would hold.
    yield f"origination_privacy={'screen:hide_name:hide_number' if hidden else 'screen'}"
    if caller.privacy == "anonymous" or (caller.number is None and caller.header == "from"):
        yield f"sip_invite_from_uri={_ANONYMOUS}"
        yield "sip_from_display=Anonymous"
    if hidden and (caller.header != "pai" or caller.number is None):
        # FreeSWITCH adds it to a P-Asserted-Identity alone.
        yield "sip_h_Privacy=id"
    if caller.diversion is not None:
        yield f"sip_h_Diversion={_diversion(caller.diversion)}"


def _diversion(it: Diversion) -> str:
    address = f"sip:{values.word(it.number)}@{values.domain(it.domain)}"
    return f"<{address}>;reason={values.word(it.reason)}"
