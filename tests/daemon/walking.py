"""A tenant whose destinations are walked: made through the API, called from simulated phones."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from nizam.dev.demo import DOMAIN, EXTENSIONS, sip_password
from nizam.sim.people import Manner
from nizam.sim.settings import Durations, Scenery, User
from nizam.sim.stage import Phone, Stage
from tests.chaos.stored import read
from tests.daemon.process import until
from tests.daemon.site import Site, build_site, stop_site

PACE = 0.05
"""Real seconds for one simulated: a phone that rings 20 s rings 1 s."""


@attrs.define
class Town:
    """The demo tenant with its phones 1001 to 1003, and what a test adds to it."""

    site: Site
    stage: Stage
    anna: Phone
    ben: Phone
    cora: Phone
    extensions: dict[str, str] = attrs.field(factory=dict)

    async def make(self, path: str, **body: Any) -> str:
        """The id of a new object, such as `make("ring-groups", number="2100", ...)`."""
        made = await self.site.api.request(
            "POST", f"/api/v1/tenants/{self.site.tenant_id}/{path}", body
        )
        await self._served()
        identifier: str = made["id"]
        return identifier

    async def change(self, path: str, **fields: Any) -> None:
        """PATCH of one object, such as `change("extensions/ID", do_not_disturb=True)`."""
        await self.site.api.request(
            "PATCH", f"/api/v1/tenants/{self.site.tenant_id}/{path}", fields
        )
        await self._served()

    async def act(self, path: str, **body: Any) -> None:
        """POST of an action, such as `act("call-flows/ID/publish")`."""
        await self.site.api.request("POST", f"/api/v1/tenants/{self.site.tenant_id}/{path}", body)
        await self._served()

    async def rest(self) -> None:
        """Everybody hangs up, and answers after two seconds from now on."""
        await self.stage.hung_up()
        self.stage.exchange.manners.clear()
        self.stage.everybody_will(Manner(ring=2.0), *(f"{it}@{DOMAIN}" for it in EXTENSIONS))

    async def add_phone(self, number: str, **fields: Any) -> Phone:
        """A further extension whose phone is registered."""
        self.extensions[number] = await self.make(
            "extensions",
            number=number,
            display_name=f"Phone {number}",
            sip_password=sip_password(number),
            **fields,
        )
        user = User(number, DOMAIN, sip_password(number))
        assert await self.site.switch.phones.register(user)
        return self.stage.phone(user)

    def to(self, number: str) -> dict[str, str]:
        """The destination that is one of the extensions."""
        return {"type": "extension", "id": self.extensions[number]}

    async def _served(self, seconds: float = 5.0) -> None:
        """Waits until calls are decided by the newest revision, as they are within a second."""
        tenant = f"/api/v1/tenants/{self.site.tenant_id}"
        request = self.site.api.request
        newest = (await request("GET", f"{tenant}/revisions?limit=1"))["data"][0]["revision"]
        question = {"from": "1001", "to": "1002", "context": "internal"}

        async def decided() -> bool:
            answer = await request("POST", f"{tenant}/routing/explain", question)
            words = " ".join(step["detail"] for step in answer["trace"])
            found = re.search(r"revision (\d+)", words)
            return found is not None and int(found[1]) >= newest

        assert await until(self.site.reactor, decided, seconds), newest

    async def calls_are_known(self, count: int, seconds: float = 5.0) -> None:
        """Waits until the daemon has heard of so many live calls."""
        path = f"/api/v1/tenants/{self.site.tenant_id}/calls"

        async def known() -> bool:
            return len((await self.site.api.request("GET", path))["data"]) == count

        assert await until(self.site.reactor, known, seconds), await self.site.api.request(
            "GET", path
        )


@asynccontextmanager
async def town(
    reactor: Any,
    database: str,
    redis_url: str,
    folder: Path,
    more_settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Town]:
    """A daemon with the demo tenant, and its phones; at the end nothing may have gone wrong.

    That is: no problem in the truth of the switch, no unknown application, no error in the log,
    and every call is in the CDRs.
    """
    users = tuple(User(number, DOMAIN, sip_password(number)) for number in EXTENSIONS)
    scenery = Scenery(users=users, pace=PACE, durations=Durations())
    site = await build_site(reactor, database, redis_url, folder, scenery, more_settings)
    try:
        stage = Stage(site.switch)
        # The daemon's own.
        stage.exchange.core.media_root = folder
        anna, ben, cora = (stage.phone(user) for user in users)
        made = Town(site, stage, anna, ben, cora)
        found = await site.api.request("GET", f"/api/v1/tenants/{site.tenant_id}/extensions")
        made.extensions = {it["number"]: it["id"] for it in found["data"]}
        yield made
        await stage.drained()
        truth = site.switch.truth
        assert truth.problems == []
        assert truth.unknown_applications == []
        assert site.daemon.logged("error", "critical") == []
        assert await _all_in_cdrs(site) == set()
    finally:
        await stop_site(site)


async def _all_in_cdrs(site: Site) -> set[str]:
    """The legs that the daemon has no record of, once it had time to take them in."""
    happened = {leg.uuid for call in site.switch.truth.calls for leg in call.legs}
    missing: set[str] = set()

    def complete() -> bool:
        stored = read(site.database).legs.values()
        known = {leg["leg_id"] for legs in stored for leg in legs if leg["from_cdr"]}
        missing.clear()
        missing.update(happened - known)
        return not missing

    await until(site.reactor, complete, 10.0, pause=0.2)
    return missing
