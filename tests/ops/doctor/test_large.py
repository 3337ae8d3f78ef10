"""The doctor at a large installation: a replica, Sentinels, a cluster.

python -m pytest -m rehearsal --numprocesses 0 tests/ops/doctor
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nizam.ops.doctor import Area
from tests.kv.servers import PASSWORD, SENTINEL_PASSWORD, SERVICE, Cluster, Watched
from tests.ops.doctor.findings import FAILURE, OK, WARNING, found_with, is_right, is_wrong
from tests.servers import Primary, Replica

pytestmark = [pytest.mark.rehearsal, pytest.mark.time_limit(120)]
REDIS = {"REDIS_PASSWORD": PASSWORD, "DB_PORT": "1"}


def test_sentinels_must_agree_and_be_enough(tmp_path: Path) -> None:
    with Watched(tmp_path) as servers:
        addresses = {
            f"REDIS_SENTINEL_{number}": f"{host}:{port}"
            for number, (host, port) in enumerate(servers.addresses, start=1)
        }
        there = (
            REDIS
            | addresses
            | {
                "REDIS_SENTINEL_SERVICE": SERVICE,
                "REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD,
            }
        )
        found = found_with(there, Area.REDIS)
        is_right(found, "redis.agreement", "redis.reachable", "redis.primary", "redis.replicas")
        assert len([it for it in found if it.check == "redis.agreement"]) == 3
        for it in servers.sentinels[:2]:
            it.kill()
        found = found_with(there, Area.REDIS)
        is_wrong(found, "redis.agreement", WARNING, "refused")
        is_right(found, "redis.primary")


def test_each_master_of_a_cluster_is_looked_at(tmp_path: Path) -> None:
    with Cluster(tmp_path) as servers:
        seed = "{}:{}".format(*servers.addresses[0])
        there = REDIS | {"REDIS_CLUSTER": "true", "REDIS_CLUSTER_SEED_1": seed}
        found = found_with(there, Area.REDIS)
        is_right(found, "redis.agreement", "redis.reachable", "redis.primary")
        assert len([it for it in found if it.check == "redis.primary"]) == 3
        servers.masters[1].ask("CLUSTER", "DELSLOTS", "8000")
        servers.masters[0].ask("CLUSTER", "DELSLOTS", "8000")
        found = found_with(there, Area.REDIS)
        is_wrong(found, "redis.agreement", FAILURE, "16383 of 16384")


def test_a_replica_follows(tmp_path: Path) -> None:
    primary = Primary(tmp_path / "primary")
    with primary, Replica(tmp_path / "replica", primary) as replica:
        there = primary.settings() | {"DB_READ_HOST_1": f"127.0.0.1:{replica.port}"}
        found = found_with(there, Area.DATABASE)
        is_right(found, "database.replica", "database.replica-lag", "database.primary")
        turned = replica.settings() | {"DB_READ_HOST_1": f"127.0.0.1:{primary.port}"}
        found = found_with(turned, Area.DATABASE)
        is_wrong(found, "database.primary", FAILURE, "takes no changes")
        is_wrong(found, "database.replica", WARNING, "it is no replica")
        assert OK not in [it.severity for it in found if it.check == "database.primary"]
