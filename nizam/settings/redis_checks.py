"""Which settings of Redis go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nizam.settings.problem import SettingError

_CLUSTER_PORT = 6379
_SENTINEL_PORT = 26379
_TLS_FILES = ("REDIS_TLS_CA", "REDIS_TLS_CERT", "REDIS_TLS_KEY")


def problems(values: Mapping[str, Any]) -> Iterator[SettingError]:
    """What contradicts itself."""
    seeds, sentinels = values["REDIS_CLUSTER_SEED"], values["REDIS_SENTINELS"]
    clustered = bool(seeds) or values["REDIS_CLUSTER"]
    if seeds and values["REDIS_CLUSTER"] is False:
        yield SettingError(
            "REDIS_CLUSTER", "false although there are seeds", "redis, or no REDIS_CLUSTER_SEED_n"
        )
    if clustered and sentinels:
        yield SettingError(
            "REDIS_SENTINELS", "given together with a cluster", "Sentinels or a cluster"
        )
    if clustered and values["REDIS_DB"]:
        yield SettingError("REDIS_DB", "a cluster has the database 0 only", "0")
    if not values["REDIS_TLS"]:
        for name in _TLS_FILES:
            if values[name] is not None:
                yield SettingError(name, "given although REDIS_TLS is false", "REDIS_TLS=true")
    if (values["REDIS_TLS_CERT"] is None) != (values["REDIS_TLS_KEY"] is None):
        yield SettingError("REDIS_TLS_KEY", "one without the other", "both or neither")


def completed(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of RedisSettings from those of the file's table."""
    found = dict(table)
    seeds = found["cluster_seeds"]
    if found["cluster"] and not seeds:
        seeds = ((found["host"], found["port"]),)
    found["cluster"] = bool(seeds)
    found["cluster_seeds"] = tuple((host, port or _CLUSTER_PORT) for host, port in seeds)
    found["sentinels"] = tuple((host, port or _SENTINEL_PORT) for host, port in found["sentinels"])
    return found
