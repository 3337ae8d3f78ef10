"""Making what we believe true again after a link was away: asking the switch what is there.

Calls that ended unheard are closed, those that began unheard are added, both marked; phones and
gateways are shown as the switch knows them. Nothing here changes anything on the switch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, Final, TypeVar
from uuid import UUID

import attrs
import orjson
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import SwitchError
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.events.channels import Channel
from nizam.events.fields import channel_id, identifier, integer
from nizam.events.gateways import is_up
from nizam.events.legs import Leg, merge
from nizam.events.registrations import contact_uri
from nizam.model.events import timestamp
from nizam.switch.intake import Intake
from nizam.switch.phones import LATE_SECONDS
from nizam.switch.side_by_side import side_by_side

T = TypeVar("T")

COMMAND_SECONDS: Final = 5.0
ROWS_AT_ONCE: Final = 500
"""Phones of a list that are read before others have a turn."""
AT_ONCE: Final = 100
"""Channels that are added or closed before others have a turn."""
SETTLE_SECONDS: Final = 0.5
"""What the new link has already sent but we have not read when the switch answers: legs that
end in that moment are heard of, and need no reconciliation."""
CATCH_UP_SECONDS: Final = 10.0
"""How long at most the events are waited for that had been fired when the switch was asked: a
process that stood still, or has much to read, is behind by seconds."""
LOOK_SECONDS: Final = 0.1

_log = Logger()
_GATEWAY_LINE: Final = re.compile(r"^\s*(\S+)::(\S+)\s+gateway\s", re.MULTILINE)
_PROFILE_LINE: Final = re.compile(r"^\s*(\S+)\s+profile\s", re.MULTILINE)
_REGISTRATION: Final = re.compile(r"<registration>(.*?)</registration>", re.DOTALL)
_FIELD_OF: Final = re.compile(r"<([a-z-]+)>([^<]*)</")
_SECONDS_LEFT: Final = re.compile(r"expsecs\((-?[0-9]{1,10})\)")
_LOT: Final = re.compile(r'<lot name="([^"]*)">(.*?)</lot>', re.DOTALL)
_SLOT: Final = re.compile(r'<extension uuid="([^"]*)">([^<]*)</extension>')
_FIELD: Final = re.compile(r"^(State|Status)\s+(\S+)", re.MULTILINE)


@attrs.frozen
class Reconciled:
    """What was found: legs closed and added, phones and gateways there are."""

    closed: int
    added: int
    registrations: int
    gateways: int


async def reconcile(
    clock: IReactorTime,
    link: ISwitchLink,
    intake: Intake,
    node: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    left_at: datetime | None = None,
) -> Reconciled:
    """Compare with the switch over `link`, its command connection, and put things right.

    `left_at` is when it was last heard before now, None if that is not known: calls of a FreeSWITCH
    that has been started again since then ended then, and not when it was back.

    Raises ConnectionGone or TimeoutExceeded when the switch does not answer.
    """
    before = {
        channel.leg_id: channel for call in intake.normaliser(node).calls for channel in call.live
    }
    core_id = (await link.api("eval ${core_uuid}", COMMAND_SECONDS)).strip()
    listed_at, listed = clock.seconds(), now()
    there = {channel_id(row["uuid"]): row["uuid"] for row in await _rows(link, "channels")}
    # An event of a call can come before the switch is asked; it does not tell how the call began.
    unbegun = {call.call_id for call in intake.normaliser(node).calls if not call.begun}
    unknown = [uuid for leg_id, uuid in there.items() if leg_id not in before or leg_id in unbegun]
    dumps = await side_by_side(unknown, lambda uuid: _dump(link, uuid))
    added = 0
    for some in _portions([dump for dump in dumps if dump is not None]):
        added += adopt(intake, node, some, there.keys(), clock)
        await deferLater(clock, 0.0)
    status = await link.api("sofia status", COMMAND_SECONDS)
    registrations = await _registrations(clock, link, intake, node, status, core_id, now)
    gateways = await _gateways(link, intake, node, status)
    await _places(link, intake, node, now)
    gone = [channel for leg_id, channel in before.items() if leg_id not in there]
    if gone:
        await deferLater(clock, max(0.0, listed_at + SETTLE_SECONDS - clock.seconds()))
        while not intake.has_heard(node, listed):
            if clock.seconds() - listed_at > CATCH_UP_SECONDS:
                break
            await deferLater(clock, LOOK_SECONDS)
    closed = 0
    # The first leg of a call last: it is what the others are part of.
    for legs in _portions(sorted(gone, key=lambda it: it.leg_id == it.call_id)):
        for same, ended_at in ((True, now()), (False, left_at or now())):
            of_core = [it for it in legs if (it.core_id in ("", core_id)) == same]
            closed += close(intake, node, of_core, ended_at, clock)
        await deferLater(clock, 0.0)
    intake.show_all(node)
    return Reconciled(closed, added, registrations, gateways)


def adopt(
    intake: Intake,
    node: str,
    dumps: Iterable[SwitchEvent],
    there: Iterable[UUID],
    clock: IReactorTime,
) -> int:
    """Add the channels that `uuid_dump` told of; how many were new."""
    normaliser = intake.normaliser(node)
    present, added = frozenset(there), 0
    for dump in dumps:
        output = normaliser.adopt(dump, present, clock.seconds())
        added += bool(output.changed)
        intake.take(output, node)
    return added


def close(
    intake: Intake, node: str, gone: Sequence[Channel], ended_at: datetime, clock: IReactorTime
) -> int:
    """End the legs that the switch no longer has; how many had not ended meanwhile."""
    normaliser = intake.normaliser(node)
    closed = 0
    for channel in gone:
        if channel.ended:
            continue
        assumed = Leg(
            leg_id=channel.leg_id,
            started_at=channel.started_at,
            call_id=channel.call_id,
            extension_id=channel.extension_id,
            node=node,
            core_id=channel.core_id,
            reconciled=True,
            direction=channel.direction,
            context=channel.context,
            caller_number=channel.caller_number,
            caller_name=channel.caller_name,
            number=channel.number,
            answered_at=channel.answered_at,
            ended_at=max(ended_at, channel.answered_at or channel.started_at),
            gateway=channel.gateway,
        )
        told = intake.cdrs.early(channel.leg_id)
        leg = merge(assumed, told) if told else assumed
        closed += 1
        intake.take(normaliser.end_leg(leg, leg.ended_at or ended_at, 0, clock.seconds()), node)
    return closed


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """So many at a time that others have their turn in between."""
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


async def _registrations(
    clock: IReactorTime,
    link: ISwitchLink,
    intake: Intake,
    node: str,
    status: str,
    core_id: str,
    now: Callable[[], datetime],
) -> int:
    """`show registrations` is no help: it has the newest phone of each user alone, and phones that
    were flushed (switch_core_add_registration in switch_core_sqldb.c, flush_inbound_reg)."""
    before = intake.phones.shown(node)
    rows: list[dict[str, Any]] = []
    for profile in dict.fromkeys(_PROFILE_LINE.findall(status)):
        text = await link.api(f"sofia xmlstatus profile {profile} reg", COMMAND_SECONDS)
        found = _REGISTRATION.findall(text)
        for start in range(0, len(found), ROWS_AT_ONCE):
            if start:
                await deferLater(clock, 0.0)
            rows += filter(
                None,
                (
                    _registration(intake, node, profile, it, now())
                    for it in found[start : start + ROWS_AT_ONCE]
                ),
            )
    listed = frozenset((it["user"], it["domain"], it["call_id"]) for it in rows)
    if any((it["user"], it["domain"], it["call_id"]) not in listed for it in before.values()):
        # What the event link has already sent of them is heard first.
        await deferLater(clock, SETTLE_SECONDS)
    lost = intake.phones.listed(node, rows, before, str(identifier(core_id) or "") or None)
    if lost:
        intake.tell(lost, node)
    return len(rows)


def _registration(
    intake: Intake, node: str, profile: str, text: str, now: datetime
) -> dict[str, Any] | None:
    """A phone in the list of a profile (show_reg_callback_xml in mod_sofia.c); None for one that
    is there no more, or whose time is over."""
    fields = {name: unescape(value) for name, value in _FIELD_OF.findall(text)}
    user, _, domain = fields.get("user", "").partition("@")
    seconds = _SECONDS_LEFT.search(fields.get("status", ""))
    left = int(seconds[1]) if seconds else None
    if not user or (left is not None and left <= 0):
        return None
    tenant_id = intake.tenant_of_domain(domain) if domain else None
    extension_id = intake.extension_of(tenant_id, user) if tenant_id else None
    expires = None if left is None else now + timedelta(seconds=left - LATE_SECONDS)
    return {
        "user": user,
        "domain": domain,
        "contact": contact_uri(fields.get("contact")),
        "call_id": fields.get("call-id"),
        "user_agent": fields.get("agent"),
        "network_ip": fields.get("network-ip"),
        "network_port": integer(fields.get("network-port")),
        "profile": profile,
        "expires_at": timestamp(expires) if expires else None,
        "tenant_id": str(tenant_id) if tenant_id else None,
        "extension_id": str(extension_id) if extension_id else None,
        "node": node,
    }


async def _gateways(link: ISwitchLink, intake: Intake, node: str, status: str) -> int:
    names = [name for _, name in _GATEWAY_LINE.findall(status)]
    seen = await side_by_side(names, lambda name: _gateway(link, name))
    intake.gateways.seen(node, filter(None, seen))
    return len(names)


async def _gateway(link: ISwitchLink, name: str) -> tuple[dict[str, Any], bool | None] | None:
    """A gateway, and whether it is up; None for one that is gone meanwhile."""
    try:
        detail = await link.api(f"sofia status gateway {name}", COMMAND_SECONDS)
    except SwitchError:
        return None
    fields = dict(_FIELD.findall(detail))
    gateway_id = identifier(name)
    data = {
        "gateway": name,
        "gateway_id": str(gateway_id) if gateway_id else None,
        "state": fields.get("State"),
        "ping_status": fields.get("Status"),
        # The answer to its last REGISTER or ping: only sofia::gateway_state has it.
        "status": None,
        "phrase": None,
    }
    return data, is_up(fields.get("State"), fields.get("Status"))


async def _places(
    link: ISwitchLink, intake: Intake, node: str, now: Callable[[], datetime]
) -> None:
    """Who is in conferences, and what is parked. A switch without the module has nothing there."""
    normaliser, asked = intake.normaliser(node), now() - timedelta(seconds=SETTLE_SECONDS)
    for command, read in (("conference json_list", orjson.loads), ("valet_info", _slots)):
        try:
            found = read(await link.api(command, COMMAND_SECONDS))
        except (SwitchError, orjson.JSONDecodeError):
            found = []
        if command == "valet_info":
            normaliser.parking.listed(found, normaliser.calls, asked)
        else:
            rows = [it for it in found if isinstance(it, dict)] if isinstance(found, list) else []
            normaliser.conferences.listed(rows, normaliser.calls, asked, now())


def _slots(text: str) -> list[tuple[str, str, str]]:
    """Lot, slot and channel of each parked call."""
    return [
        (unescape(lot), unescape(slot), unique_id)
        for lot, slots in _LOT.findall(text)
        for unique_id, slot in _SLOT.findall(slots)
    ]


async def _rows(link: ISwitchLink, what: str) -> list[dict[str, Any]]:
    text = await link.api(f"show {what} as json", COMMAND_SECONDS)
    try:
        # Without any there is no `rows` at all.
        rows = orjson.loads(text).get("rows", [])
    except (orjson.JSONDecodeError, AttributeError):
        _log.warn("`show {what} as json` gave no JSON", what=what)
        return []
    return [row for row in rows if isinstance(row, dict)]


async def _dump(link: ISwitchLink, uuid: str) -> SwitchEvent | None:
    try:
        text = await link.api(f"uuid_dump {uuid} json", COMMAND_SECONDS)
        headers = orjson.loads(text)
    except (SwitchError, orjson.JSONDecodeError):
        return None  # it has ended meanwhile
    return SwitchEvent(str(headers.get("Event-Name")), headers)
