"""Resources that can do more than be made, changed and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from nizam.client.collection import Collection
from nizam.client.listing import Listing
from nizam.client.objects import B, Object, Secrets, without_secrets
from nizam.client.parameters import query_of
from nizam.client.provisioned import Provisioned, provisioned_from
from nizam.client.tables import Imports
from nizam.model.api_key import ApiKey
from nizam.model.call_flow import CallFlow
from nizam.model.did import Did
from nizam.model.extension import Extension
from nizam.model.gateway import Gateway
from nizam.model.tenant import Tenant
from nizam.model.user import User
from nizam.model.webhook import Webhook

Id = UUID | str
Document = dict[str, Any]


@attrs.frozen(eq=False)
class WithSecrets(Collection[B]):
    """Resources whose stored secrets can be shown again."""

    def reveal(self, it: Object[B] | Id) -> Secrets:
        """The stored secrets, in clear; written to the audit log."""
        return without_secrets(self._post(it, "reveal").json(), self.resource)[1]


@attrs.frozen(eq=False)
class Extensions(WithSecrets[Extension], Imports):
    """Extensions."""


@attrs.frozen(eq=False)
class Dids(Collection[Did], Imports):
    """Public numbers."""


@attrs.frozen(eq=False)
class Tenants(Collection[Tenant]):
    """Tenants, and the steps of their states."""

    def provision(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Provisioned:
        """Make a tenant that works, with its first objects, its administrator and a key, at once.

        The body is that of the request: `tenant`, `extensions`, `extension_range`, `dids`, `admin`,
        `api_key` and so on. Every secret is in the answer, and in no other.
        """
        answer = self.transport.request(
            "POST",
            f"{self._path()}/provision",
            body={**(body or {}), **fields},
            idempotency_key=idempotency_key,
        )
        return provisioned_from(answer.json())

    def activate(self, it: Object[Tenant] | Id) -> Object[Tenant]:
        """Take a tenant into service."""
        return self._read(self._post(it, "activate"))

    def suspend(self, it: Object[Tenant] | Id) -> Object[Tenant]:
        """Leave a tenant nothing but emergency calls."""
        return self._read(self._post(it, "suspend"))

    def terminate(
        self, it: Object[Tenant] | Id, *, grace_days: int | None = None
    ) -> Object[Tenant]:
        """End a tenant for good; its data is purged after so many days, by default the server's."""
        body = None if grace_days is None else {"grace_days": grace_days}
        return self._read(self._post(it, "terminate", body))

    def stats(self, it: Object[Tenant] | Id) -> Document:
        """How much the tenant has and does, against what it may."""
        return document(self.transport.request("GET", self._path(it, "stats")).json())

    def usage(
        self,
        it: Object[Tenant] | Id,
        *,
        first: date | None = None,
        last: date | None = None,
        interval: Literal["day", "month"] | None = None,
        group_by: Iterable[Literal["direction", "country", "gateway"]] = (),
    ) -> Document:
        """What the tenant has used from the first to the last day, both included, by its own time
        zone; by default from the first of this month to today."""
        parts = ",".join(group_by) or None
        asked = {"first": first, "last": last, "interval": interval, "group_by": parts}
        path = self._path(it, "usage")
        return document(self.transport.request("GET", path, query=query_of(asked)).json())

    def limits(self, it: Object[Tenant] | Id, *, extension: str | None = None) -> Document:
        """How high the limits on the tenant's calls stand, those of one extension (by its number)
        among them if it is named."""
        query = () if extension is None else (("extension", extension),)
        path = self._path(it, "limits")
        return document(self.transport.request("GET", path, query=query).json())

    def purge_receipt(self, it: Object[Tenant] | Id) -> Document:
        """What was removed with a tenant that is no more."""
        return document(self.transport.request("GET", self._path(it, "purge-receipt")).json())

    def purge_receipts(
        self, *, sort: str | None = None, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """The receipts of all purges, the newest first; filters are as in `list`."""
        query = query_of({"sort": sort, "limit": page_size, **filters})
        path = f"{self.parent()}/purge-receipts"
        return Listing(self.transport, lambda: path, query, document)


@attrs.frozen(eq=False)
class ApiKeys(Collection[ApiKey]):
    """API keys."""

    def rotate(
        self, it: Object[ApiKey] | Id, *, grace_seconds: int | None = None
    ) -> Object[ApiKey]:
        """A new text, in `secrets["key"]`; the former one holds for a grace."""
        body = None if grace_seconds is None else {"grace_seconds": grace_seconds}
        return self._read(self._post(it, "rotate", body))


@attrs.frozen(eq=False)
class Users(Collection[User]):
    """People who log in."""

    def reset_token(self, it: Object[User] | Id) -> Secrets:
        """`reset_token`, with which the person chooses a password; it is shown this once."""
        return Secrets({"reset_token": self._post(it, "reset-token").json()["reset_token"]})


@attrs.frozen(eq=False)
class CallFlows(Collection[CallFlow]):
    """Call flows: a draft, and the versions that calls have followed."""

    def publish(self, it: Object[CallFlow] | Id) -> Object[CallFlow]:
        """Make the draft what calls follow, as a new version."""
        return self._read(self._post(it, "publish"))

    def roll_back(self, it: Object[CallFlow] | Id, version: int) -> Object[CallFlow]:
        """Publish the content of an earlier version again, as a new version."""
        return self._read(self._post(it, "rollback", {"version": version}))

    def versions(
        self, it: Object[CallFlow] | Id, *, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """The published versions, the newest first; filters are as in `list`."""
        query = query_of({"limit": page_size, **filters})
        return Listing(self.transport, lambda: self._path(it, "versions"), query, document)


@attrs.frozen(eq=False)
class Gateways(WithSecrets[Gateway]):
    """Gateways, and when they came up and went down."""

    def states(
        self, it: Object[Gateway] | Id, *, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """The events that told it, the newest first; filters are as in `list`."""
        query = query_of({"limit": page_size, **filters})
        return Listing(self.transport, lambda: self._path(it, "states"), query, document)


@attrs.frozen(eq=False)
class Webhooks(WithSecrets[Webhook]):
    """Webhooks, and what became of their deliveries."""

    def rotate_secret(self, it: Object[Webhook] | Id) -> Object[Webhook]:
        """A new signing secret, in `secrets`; the present one signs beside it for a day."""
        return self._read(self._post(it, "rotate-secret"))

    def pause(self, it: Object[Webhook] | Id) -> Object[Webhook]:
        """Hold what is to be delivered."""
        return self._read(self._post(it, "pause"))

    def resume(self, it: Object[Webhook] | Id) -> Object[Webhook]:
        """Deliver again, also what waited."""
        return self._read(self._post(it, "resume"))

    def test(self, it: Object[Webhook] | Id) -> Document:
        """Send a webhook.test event to this one alone: `event_id` and `delivery_id`."""
        return document(self._post(it, "test").json())

    def replay(
        self,
        it: Object[Webhook] | Id,
        *,
        delivery_ids: Iterable[Id] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Iterable[str] = ("dead",),
        rate_per_second: int | None = None,
    ) -> int:
        """Send ended deliveries again, at a rate; how many. See `replays` for how far it is."""
        body = {
            "delivery_ids": None if delivery_ids is None else list(map(str, delivery_ids)),
            "since": since,
            "until": until,
            "statuses": list(statuses),
            "rate_per_second": rate_per_second,
        }
        wanted = {name: value for name, value in body.items() if value is not None}
        return int(self._post(it, "replay", wanted).json()["deliveries"])

    def cancel_replay(self, it: Object[Webhook] | Id) -> bool:
        """End the replay that is under way; False when there was none."""
        return bool(self._post(it, "cancel-replay").json()["cancelled"])

    def replays(
        self, it: Object[Webhook] | Id, *, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """Its replays, the newest first, and how far each is."""
        return self._below(it, "replays", {"limit": page_size, **filters})

    def purge(self, it: Object[Webhook] | Id, what: str) -> int:
        """Give up what is `waiting`, or remove for good what is `dead`; how many deliveries."""
        total, more = 0, True
        while more:
            done = self._post(it, "purge", {"what": what}).json()
            total, more = total + int(done["deliveries"]), bool(done["more"])
        return total

    def deliveries(
        self, it: Object[Webhook] | Id, *, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """Its deliveries, the newest first; filters are as in `list`."""
        return self._below(it, "deliveries", {"limit": page_size, **filters})

    def attempts(
        self, it: Object[Webhook] | Id, *, page_size: int | None = None, **filters: Any
    ) -> Listing[Document]:
        """Attempts to deliver, the newest first; filters are as in `list`."""
        return self._below(it, "attempts", {"limit": page_size, **filters})

    def stats(self, it: Object[Webhook] | Id) -> Document:
        """Its figures."""
        return document(self.transport.request("GET", self._path(it, "stats")).json())

    def _below(self, it: Object[Webhook] | Id, what: str, filters: Document) -> Listing[Document]:
        return Listing(self.transport, lambda: self._path(it, what), query_of(filters), document)


def document(found: Any) -> Document:
    """What an answer holds that is no object of ours."""
    return dict(found)
