"""The pools of a process, as its settings have them."""

from __future__ import annotations

from typing import Any

from nizam.kv.interface import IKeyValue
from nizam.settings.values import DatabaseSettings
from nizam.store.pool import DEADLINE_SECONDS, Pool
from nizam.store.positions import Positions
from nizam.store.replicas import LOOK_SECONDS, Replica, Replicas

POSITION_SECONDS = 30.0
"""How long, beyond what a replica may be behind, it is known who changed what."""


def primary_pool(
    reactor: Any,
    settings: DatabaseSettings,
    size: int,
    name: str,
    *,
    deadline: float = DEADLINE_SECONDS,
) -> Pool:
    """Connections to the primary, whichever of the servers that is."""
    return Pool(
        reactor,
        settings.dsn(),
        size,
        name,
        deadline=deadline,
        server_timeouts=not settings.pooled,
    )


def read_replicas(
    reactor: Any,
    settings: DatabaseSettings,
    primary: Pool,
    key_value: IKeyValue,
    *,
    deadline: float,
) -> Replicas | None:
    """The read replicas with their pools, which are to be started; None without any."""
    found = [
        Replica(
            Pool(
                reactor,
                dsn,
                settings.read_pool_size,
                f"replica{number}",
                deadline=deadline,
                server_timeouts=not settings.pooled,
            ),
            Pool(
                reactor,
                dsn,
                1,
                f"replica{number}_watch",
                wait=LOOK_SECONDS,
                server_timeouts=not settings.pooled,
            ),
        )
        for number, dsn in enumerate(settings.read_dsns(), 1)
    ]
    if not found:
        return None
    most_behind = settings.max_replica_lag_ms / 1000
    # What was changed longer ago is on every replica that may be read from.
    lifetime = most_behind + POSITION_SECONDS
    positions = Positions(key_value, reactor.seconds, lifetime)
    return Replicas(primary, found, positions, most_behind)
