"""Making what we believe true again after a link was away: asking the switch what is there.

Calls that ended unheard are closed, those that began unheard are added, both marked; phones and
gateways are shown as the switch knows them. Nothing here changes anything on the switch.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import attrs
import orjson
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import ConnectionGone, SwitchError, TimeoutExceeded
from nizam.esl.event import SwitchEvent
from nizam.esl.interface import ISwitchLink
from nizam.events.channels import Channel
from nizam.events.fields import channel_id, identifier
from nizam.events.gateways import is_up
from nizam.events.legs import Leg, merge
from nizam.events.registrations import contact_uri
from nizam.switch.intake import Intake, registration_key

T = TypeVar("T")

COMMAND_SECONDS: Final = 5.0
PARALLEL_DUMPS: Final = 50
SETTLE_SECONDS: Final = 0.5
"""What the new link has already sent but we have not read when the switch answers: legs that
end in that moment are heard of, and need no reconciliation."""

_log = Logger()
_GATEWAY_LINE: Final = re.compile(r"^\s*(\S+)::(\S+)\s+gateway\s", re.MULTILINE)
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
) -> Reconciled:
    """Compare with the switch over `link`, its command connection, and put things right.

    Raises ConnectionGone or TimeoutExceeded when the switch does not answer.
    """
    before = {
        channel.leg_id: channel for call in intake.normaliser(node).calls for channel in call.live
    }
    there = {channel_id(row["uuid"]): row["uuid"] for row in await _rows(link, "channels")}
    unknown = [uuid for leg_id, uuid in there.items() if leg_id not in before]
    dumps = await _all(clock, unknown, lambda uuid: _dump(link, uuid))
    added = adopt(intake, node, [dump for dump in dumps if dump is not None], there.keys(), clock)
    registrations = await _registrations(link, intake, node)
    gateways = await _gateways(link, intake, node)
    gone = [channel for leg_id, channel in before.items() if leg_id not in there]
    if gone:
        await deferLater(clock, SETTLE_SECONDS)
    closed = close(intake, node, gone, now(), clock)
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
    intake: Intake, node: str, gone: Sequence[Channel], now: datetime, clock: IReactorTime
) -> int:
    """End the legs that the switch no longer has; how many had not ended meanwhile."""
    normaliser = intake.normaliser(node)
    closed = 0
    # The first leg of a call last: it is what the others are part of.
    for channel in sorted(gone, key=lambda it: it.leg_id == it.call_id):
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
            ended_at=now,
            gateway=channel.gateway,
        )
        told = intake.early_cdr(channel.leg_id)
        leg = merge(assumed, told) if told else assumed
        closed += 1
        intake.take(normaliser.end_leg(leg, leg.ended_at or now, 0, clock.seconds()), node)
    return closed


async def _registrations(link: ISwitchLink, intake: Intake, node: str) -> int:
    shown: dict[str, dict[str, Any]] = {}
    for row in await _rows(link, "registrations"):
        user, domain = row.get("reg_user"), row.get("realm")
        tenant_id = intake.tenant_of_domain(domain) if domain else None
        extension_id = intake.extension_of(tenant_id, user) if tenant_id and user else None
        document = {
            "user": user,
            "domain": domain,
            "contact": contact_uri(row.get("url")),
            "call_id": row.get("token"),
            "network_ip": row.get("network_ip"),
            "network_port": int(row.get("network_port") or 0) or None,
            "expires_at_epoch": int(row.get("expires") or 0) or None,
            "tenant_id": str(tenant_id) if tenant_id else None,
            "extension_id": str(extension_id) if extension_id else None,
            "node": node,
        }
        key = registration_key(document)
        known = intake.live.get("registrations", node, key) or {}
        shown[key] = known | {it: value for it, value in document.items() if value is not None}
        shown[key].setdefault("tenant_id", None)
    intake.live.replace("registrations", node, shown)
    return len(shown)


async def _gateways(link: ISwitchLink, intake: Intake, node: str) -> int:
    text = await link.api("sofia status", COMMAND_SECONDS)
    names = [name for _, name in _GATEWAY_LINE.findall(text)]
    seen: list[tuple[dict[str, Any], bool | None]] = []
    for name in names:
        try:
            detail = await link.api(f"sofia status gateway {name}", COMMAND_SECONDS)
        except SwitchError:
            continue
        fields = dict(_FIELD.findall(detail))
        up = is_up(fields.get("State"), fields.get("Status"))
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
        seen.append((data, up))
    intake.gateways_seen(node, seen)
    return len(names)


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


async def _all(
    clock: IReactorTime, items: Sequence[str], work: Callable[[str], Awaitable[T]]
) -> list[T]:
    """`work` on all items, so many at a time; their results in order."""
    slots = DeferredSemaphore(PARALLEL_DUMPS)

    def one(item: str) -> Deferred[T]:
        async def run() -> T:
            return await work(item)

        return Deferred.fromCoroutine(run())

    results = gatherResults([slots.run(one, item) for item in items], consumeErrors=True)
    try:
        return list(await results)
    except Exception as error:
        cause = getattr(getattr(error, "subFailure", None), "value", error)
        if isinstance(cause, ConnectionGone | TimeoutExceeded):
            raise cause from None
        raise
