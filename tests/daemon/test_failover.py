"""The primary dies under load and a replica is promoted: nothing that was accepted is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nizam.errors import InternalError
from nizam.store.migrate import upgrade
from tests.daemon.process import until
from tests.daemon.site import Site, build_site, demo_scenery, stop_site
from tests.servers import Primary, Replica

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(240)]


async def test_a_promotion_loses_no_call_no_webhook_and_no_change(
    server_folder: Path, redis_url: str, tmp_path: Path
) -> None:
    folder = server_folder / "failover"
    with Primary(folder / "primary") as primary:
        upgrade(primary.dsn())
        with Replica(folder / "one", primary) as one, Replica(folder / "two", primary) as two:
            for server in (primary, one, two):
                server.load("synchronous.conf")
            wanted = ("show synchronous_standby_names", "ANY 1 (*)")
            assert await until(reactor, lambda: primary.ask(wanted[0]) == wanted[1], 5.0)
            hosts = ",".join(f"{it.host}:{it.port}" for it in (primary, one, two))
            settings = {
                "DB_HOST": hosts,
                "DB_READ_HOST_1": f"{one.host}:{one.port}",
                "DB_READ_HOST_2": f"{two.host}:{two.port}",
            }
            site = await build_site(
                reactor, primary.dsn(), redis_url, tmp_path, demo_scenery(0.1), settings
            )
            try:
                await _fail_over(site, primary, [one, two])
            finally:
                await stop_site(site)


async def _fail_over(site: Site, primary: Primary, replicas: list[Replica]) -> None:
    made: list[str] = []
    refused: list[str] = []
    going = True

    async def change() -> None:
        number = 2000
        while going:
            number += 1
            body = {"number": str(number), "display_name": "during the failover"}
            try:
                path = f"/api/v1/tenants/{site.tenant_id}/extensions"
                made.append((await site.api.request("POST", path, body))["id"])
            except InternalError as error:
                refused.append(str(error))
            await deferLater(reactor, 0.05)

    changing = Deferred.fromCoroutine(change())
    site.switch.calls.start(20.0)
    await deferLater(reactor, 3.0)
    primary.kill()
    before = len(made)
    assert before > 10
    await deferLater(reactor, 3.0)
    # The one that has more: a commit has waited for one of them.
    one, two = sorted(replicas, key=lambda it: it.received, reverse=True)
    two.follow(one)
    one.promote()
    began = reactor.seconds()
    site.database = one.dsn()
    assert await until(reactor, lambda: len(made) > before + 5, 20.0), site.daemon.log_tail()
    back = reactor.seconds() - began
    await deferLater(reactor, 2.0)
    site.switch.stop_calls()
    going = False
    await changing
    wrong = await site.settled(whole=False, seconds=40.0)
    assert not wrong, "\n".join([*wrong[:20], site.daemon.log_tail()])
    kept = one.ask("select array_agg(id::text) from extensions where display_name ~ 'failover'")
    lost = set(made) - set(kept)
    print(
        f"\n{len(site.switch.truth.calls)} calls, {len(made)} changes accepted, {len(lost)} lost; "
        f"changes taken again {back:.1f} s after the promotion"
    )
    assert not lost
    assert all(" 503" in it for it in refused), refused
    assert not site.daemon.logged("error", "critical")
