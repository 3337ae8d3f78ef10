"""The phones that are registered: kept right by what the switches say, by their lists, and by time.

A phone that registers again before its registration ends only renews it: that is shown, and is no
event. What is lost says why, in `reason`:

unregistered  the phone signed out
expired       it did not renew its registration in time
replaced      it registered anew from the same contact, or with another contact (RFC 3261, 10.2)
node_lost     the switch ended, or nobody has heard it for a minute
unknown       the switch does not have it any more, and nobody heard why
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from nizam.events.fields import identifier
from nizam.model.events import Event, timestamp
from nizam.switch.live import LiveState
from nizam.switch.live_index import Document

LATE_SECONDS: Final = 60
"""For how long FreeSWITCH still has a phone that did not renew its registration in time
(sip-expires-late-margin in mod_sofia)."""
PATIENCE_SECONDS: Final = 45.0
"""How much later the phone is taken for gone, although FreeSWITCH has not said so: it looks every
30 s (sofia.c)."""

SAME_SECONDS: Final = 5.0
"""Within which two times of expiry are the same one."""


def registration_key(data: Mapping[str, Any]) -> str:
    """What makes a registration the same one: the user, and the SIP Call-ID of its REGISTERs."""
    return f"{data.get('user')}@{data.get('domain')} {data.get('call_id')}"


class Phones:
    """The registrations of the nodes that this instance listens to, in the live state.

    Two instances that listen to the same node make the same events out of the same news.
    """

    def __init__(self, live: LiveState, now: Callable[[], datetime]) -> None:
        self._live = live
        self._now = now
        self._cores: dict[str, str] = {}

    def told(self, event: Event, node: str) -> list[Event]:
        """Show what a `registration.*` event tells; the events to store in its place."""
        self._cores[node] = event.core_id
        if event.type == "registration.registered":
            return self._registered(event, node)
        if event.type in ("registration.unregistered", "registration.expired"):
            return self._gone(event, node)
        return [event]

    def _registered(self, event: Event, node: str) -> list[Event]:
        data, at = event.data, timestamp(event.occurred_at)
        key = registration_key(data)
        known = self._live.get("registrations", node, key)
        tenant = str(event.tenant_id) if event.tenant_id else None
        same = known is not None and known.get("contact") == data.get("contact")
        document = dict(data) | {
            "tenant_id": tenant,
            "node": node,
            "registered_at": (known.get("registered_at") if known and same else None) or at,
            "renewed_at": at,
            "expires_at": _expiry(event.occurred_at, data.get("expires_seconds")),
        }
        replaced = [] if known is None or same else [known]
        replaced += self._drop_others(event, node, key)
        self._live.put("registrations", node, key, document)
        lost = [
            _lost(it, "replaced", event.occurred_at, event.core_id, event.sequence)
            for it in replaced
        ]
        return lost if same else [*lost, event]

    def _gone(self, event: Event, node: str) -> list[Event]:
        key = registration_key(event.data)
        known = self._live.get("registrations", node, key)
        expired = event.type == "registration.expired"
        contact = event.data.get("contact")
        if expired and (known is None or (contact and known.get("contact") not in (None, contact))):
            return []  # told already: when it was replaced, or when its time was over
        self._live.remove("registrations", node, key)
        if not expired:
            # A phone that signs out by a REGISTER of another Call-ID is gone all the same.
            self._drop_others(event, node, key)
        reason = "expired" if expired else "unregistered"
        return [attrs.evolve(event, data=dict(event.data) | {"reason": reason})]

    def _drop_others(self, event: Event, node: str, key: str) -> list[Document]:
        """Show no more the other registrations of the same contact; those that were shown."""
        data, tenant = event.data, str(event.tenant_id) if event.tenant_id else None
        found = [
            it
            for it in self._live.named("registrations", str(tenant), str(data.get("user")))
            if it.get("contact") == data.get("contact")
            and it.get("domain") == data.get("domain")
            and it["node"] == node
            and registration_key(it) != key
        ]
        for it in found:
            self._live.remove("registrations", node, registration_key(it))
        return found

    def shown(self, node: str) -> dict[str, Document]:
        """The phones of a node, before it is asked which it has."""
        return self._live.shown("registrations", node)

    def listed(
        self,
        node: str,
        rows: Iterable[Document],
        before: Mapping[str, Document],
        core_id: str | None,
    ) -> list[Event]:
        """The switch has listed its phones, some time after `before`; what was there then, is not
        in the list and has not changed since has been lost unheard."""
        restarted = core_id is not None and self._cores.get(node, core_id) != core_id
        if core_id is not None:
            self._cores[node] = core_id
        now, current = self._now(), self.shown(node)
        listed = {registration_key(it): it for it in rows}
        for key, row in listed.items():
            known = current.get(key)
            if known is None and key in before:
                continue  # gone since the list was made
            if known is None or known is before.get(key):
                document = _merged(known or {}, row)
                if document != known:
                    self._live.put("registrations", node, key, document)
        lost = []
        for key, it in current.items():
            if key not in listed and it is before.get(key):
                over = it.get("expires_at") is not None and it["expires_at"] <= timestamp(now)
                reason = "expired" if over else "node_lost" if restarted else "unknown"
                lost.append(_lost(it, reason, now, f"list {key}"))
                self._live.remove("registrations", node, key)
        return lost

    def expire(self) -> list[Event]:
        """Drop the phones whose time has been over for a while without a word from the switch."""
        now = self._now()
        limit = timestamp(now - timedelta(seconds=LATE_SECONDS + PATIENCE_SECONDS))
        lost = []
        for node in self._cores:
            if not self._live.hears(node):
                continue
            for key, it in self._live.shown("registrations", node).items():
                until = it.get("expires_at")
                if until is not None and until < limit:
                    self._live.remove("registrations", node, key)
                    lost.append(_lost(it, "expired", datetime.fromisoformat(until), key))
        return lost

    def node_lost(self, node: str) -> list[Event]:
        """Nobody hears the node any more."""
        phones = self._live.shown("registrations", node)
        return [_lost(it, "node_lost", self._now(), key) for key, it in phones.items()]


def _merged(known: Mapping[str, Any], row: Document) -> Document:
    """What is known of a phone with what the list says; the list's times are in whole seconds."""
    document = {"registered_at": None, "renewed_at": None, **known}
    document |= {it: value for it, value in row.items() if value is not None}
    if known.get("expires_at") and row.get("expires_at"):
        apart = _moment(known["expires_at"]) - _moment(row["expires_at"])
        if abs(apart) < timedelta(seconds=SAME_SECONDS):
            document["expires_at"] = known["expires_at"]
    return document


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _expiry(at: datetime, seconds: int | None) -> str | None:
    return None if not seconds or seconds < 0 else timestamp(at + timedelta(seconds=seconds))


def _lost(
    known: Mapping[str, Any], reason: str, at: datetime, core_id: str, sequence: int = 0
) -> Event:
    """The event of a registration whose end the switch has not told."""
    names = ("user", "domain", "extension_id", "contact", "call_id", "expires_seconds")
    network = ("user_agent", "network_ip", "network_port", "profile")
    return Event(
        type="registration.expired" if reason == "expired" else "registration.unregistered",
        occurred_at=at.astimezone(UTC),
        core_id=f"{core_id} {registration_key(known)}" if sequence else core_id,
        sequence=sequence,
        node=known["node"],
        tenant_id=identifier(known.get("tenant_id")),
        data={name: known.get(name) for name in (*names, *network)} | {"reason": reason},
    )
