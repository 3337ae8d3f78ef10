"""The API: what its handlers work with, and all of its routes."""

from __future__ import annotations

from typing import Any

import attrs

from nizam.http.api_keys import ApiKeys
from nizam.http.auth import Authenticator, Principal
from nizam.http.crud import Crud
from nizam.http.documentation import Documentation
from nizam.http.explain import Explain
from nizam.http.gateways import Gateways
from nizam.http.history import History
from nizam.http.limits import Limiter
from nizam.http.live import Live
from nizam.http.me import routes as routes_of_me
from nizam.http.reveal import Reveal
from nizam.http.route import Route
from nizam.http.switch_nodes import SwitchNodes
from nizam.http.tenants import Tenants
from nizam.http.webhooks import Webhooks
from nizam.kv.interface import IKeyValue
from nizam.model.registry import resource, resources
from nizam.model.resource import Resource
from nizam.routing.snapshot import Snapshot
from nizam.settings import Settings
from nizam.store.store import Store
from nizam.switch.live import LiveState
from nizam.webhooks.queue import DeliveryQueue


@attrs.frozen(kw_only=True)
class Api:
    """The collaborators of the handlers, put together by the composition root."""

    settings: Settings
    store: Store
    snapshot: Snapshot
    live: LiveState
    queue: DeliveryQueue
    limiter: Limiter
    authenticator: Authenticator

    @classmethod
    def over(
        cls,
        *,
        reactor: Any,
        settings: Settings,
        store: Store,
        key_value: IKeyValue,
        snapshot: Snapshot,
        live: LiveState,
        queue: DeliveryQueue,
    ) -> Api:
        """The API over these; it has nothing to start or stop."""

        async def lookup(digest: str) -> Principal | None:
            found = await store.find_api_key(digest)
            if found is None:
                return None
            return Principal(
                key_id=found.id,
                name=found.name,
                tenant_id=found.tenant_id,
                scopes=found.scopes,
                rate_limit_per_minute=found.rate_limit_per_minute,
                expires_at=found.expires_at,
                allowed_cidrs=found.allowed_cidrs,
            )

        return cls(
            settings=settings,
            store=store,
            snapshot=snapshot,
            live=live,
            queue=queue,
            limiter=Limiter(key_value, reactor.seconds),
            authenticator=Authenticator(lookup, store.touch_api_key, reactor.seconds),
        )

    def routes(self) -> list[Route]:
        """Every route: those of the declared resources, and the special ones."""
        found: list[Route] = []
        for it in resources().values():
            found += self._crud(it).routes()
        found += Tenants(self.store, self.settings.retention.tenant_grace_days).routes()
        found += Reveal(resource("extension"), self.store).routes()
        found += Webhooks(self.store, self.queue).routes()
        found += History(lambda: self.store.reader).routes()
        found += Live(self.live).routes()
        found += Explain(self.snapshot).routes()
        found += routes_of_me()
        found += Documentation(lambda: found, self.settings.app_url).routes()
        return found

    def _crud(self, it: Resource) -> Crud:
        if it.name == "api_key":
            return ApiKeys(it, self.store, self.authenticator.forget)
        if it.name == "switch_node":
            return SwitchNodes(it, self.store, self.live)
        if it.name == "gateway":
            return Gateways(it, self.store, self.live)
        return Crud(it, self.store)
