"""A primary with two streaming replicas, and instances that read from them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import orjson
from twisted.internet import reactor

from nizam.kv.single import SingleRedis
from nizam.metrics import DB_READS_TOTAL
from nizam.model.registry import resource
from nizam.store import replicas as reading
from nizam.store.listing import Listing
from nizam.store.migrate import upgrade
from nizam.store.pool import Pool
from nizam.store.positions import Positions, asked_by_somebody
from nizam.store.replicas import LOOK_SECONDS, Replicas
from nizam.store.store import Store
from tests.kv.conftest import single
from tests.servers import Primary, Replica
from tests.store.conftest import BOX, WHO

EXTENSION = resource("extension")
_ALL = Listing(50, "created_at", descending=True)


@attrs.frozen
class Servers:
    """The servers, of which the replicas follow the primary."""

    primary: Primary
    replicas: tuple[Replica, ...]

    def delay(self, milliseconds: int) -> None:
        """Have the replicas replay every commit so much later."""
        for it in self.replicas:
            it.ask(f"alter system set recovery_min_apply_delay = {milliseconds}")
            it.ask("select pg_reload_conf()")

    def let_replay(self) -> None:
        """End what held a replica back."""
        self.delay(0)
        for it in self.replicas:
            it.ask("select pg_wal_replay_resume()")


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """A migrated primary and two replicas."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(Primary(folder / "primary"))
        upgrade(primary.dsn())
        found = []
        for number in (1, 2):
            replica = Replica(folder / f"replica{number}", primary)
            found.append(stack.enter_context(replica))
        yield Servers(primary, tuple(found))


@attrs.frozen
class Instance:
    """What one process has of it all."""

    store: Store
    replicas: Replicas
    key_value: SingleRedis

    async def change(self, tenant_id: UUID, extension_id: UUID, name: str) -> None:
        """Rename an extension, as a request of the tenant's."""

        def renamed(present: Any) -> Any:
            return EXTENSION.body.model_validate({**present.body, "display_name": name})

        work = self.store.update(EXTENSION, tenant_id, extension_id, renamed, WHO)
        await self.store.changing([tenant_id], work)

    async def names(self, tenant_id: UUID | None, of: UUID | None = None) -> list[str]:
        """What the extensions of a tenant are called, as a list asked for by `tenant_id`, or by
        nobody who has changed anything (then say `of` whom)."""
        with asked_by_somebody() as asking:
            if tenant_id is not None:
                asking.owners = frozenset({tenant_id})
            page = await self.store.list(EXTENSION, tenant_id or of, _ALL)
        return [str(orjson.loads(row)["display_name"]) for row in page.rows]


@contextlib.asynccontextmanager
async def instance(
    of: Servers, redis_url: str, *, most_behind: float = 5.0, watching: bool = True
) -> AsyncIterator[Instance]:
    """A process that reads from the replicas."""
    primary = Pool(reactor, of.primary.dsn(), 8, "test", deadline=5.0)
    found = [
        reading.Replica(
            Pool(reactor, it.dsn(), 4, f"replica{number}", deadline=1.0),
            Pool(reactor, it.dsn(), 1, f"replica{number}_watch", wait=LOOK_SECONDS),
        )
        for number, it in enumerate(of.replicas, 1)
    ]
    pools = [primary, *(pool for it in found for pool in (it.pool, it.watch))]
    key_value = single(redis_url)
    await key_value.start()
    for pool in pools:
        await pool.start()
    positions = Positions(key_value, reactor.seconds, most_behind + 30)
    replicas = Replicas(primary, found, positions, most_behind)
    await replicas.look()
    if watching:
        replicas.startService()
    store = Store(primary, BOX, replicas=replicas, environment="test")
    try:
        yield Instance(store, replicas, key_value)
    finally:
        if watching:
            await replicas.stopService()
        for pool in pools:
            await pool.stop()
        await key_value.stop()


class Shares:
    """Where reads have gone since it was made, and why."""

    def __init__(self) -> None:
        self._before = _reads()

    def now(self) -> dict[tuple[str, str], int]:
        """How many, by (server, why)."""
        return dict(_reads() - self._before)


def _reads() -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for family in DB_READS_TOTAL.collect():
        for it in family.samples:
            if it.name.endswith("_total"):
                found[it.labels["server"], it.labels["why"]] += int(it.value)
    return found
