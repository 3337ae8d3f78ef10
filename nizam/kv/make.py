"""The Redis that the settings name, whichever kind it is: the one place where that is chosen."""

from __future__ import annotations

from typing import Any

from nizam.kv.cluster import ClusterRedis
from nizam.kv.interface import IKeyValue
from nizam.kv.sentinel import SentinelRedis
from nizam.kv.single import SingleRedis
from nizam.kv.speaker import Speaker
from nizam.kv.tls import Tls
from nizam.settings.values import RedisSettings, Secret


def key_value_of(reactor: Any, settings: RedisSettings) -> IKeyValue:
    """Not connected yet: that is what its start() does."""
    tls = tls_of(settings)
    username, password = settings.username, _revealed(settings.password)
    if settings.kind == "single":
        return SingleRedis(
            reactor,
            settings.host,
            settings.port,
            password,
            settings.database,
            username=username,
            tls=tls,
        )
    speaker = Speaker(reactor, username=username, password=password, db=settings.database, tls=tls)
    if settings.kind == "cluster":
        return ClusterRedis(speaker, settings.cluster_seeds)
    asking = Speaker(
        reactor,
        username=settings.sentinel_username,
        password=_revealed(settings.sentinel_password),
        tls=tls,
    )
    return SentinelRedis(speaker, asking, settings.sentinels, settings.sentinel_service)


def tls_of(settings: RedisSettings) -> Tls | None:
    """How TLS is spoken, None where it is not."""
    if not settings.tls:
        return None
    return Tls(settings.tls_ca, settings.tls_certificate, settings.tls_key)


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
