"""Real servers, and a simulated switch with the configuration that NIZAM ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from tests.databases import Databases
from tests.ops.doctor.switches import Node


@pytest.fixture
def environment(
    postgres: PrivatePostgres, databases: Databases, redis_server: PrivateRedis
) -> dict[str, str]:
    """Settings with which the servers are there."""
    return {
        "DB_HOST": postgres.host,
        "DB_PORT": str(postgres.port),
        "DB_PASSWORD": postgres.password,
        "DB_DATABASE": databases.template,
        "REDIS_HOST": redis_server.host,
        "REDIS_PORT": str(redis_server.port),
        "REDIS_PASSWORD": redis_server.password,
    }


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node set up as etc/freeswitch/README.md tells; there is no database."""
    return Node.made(tmp_path / "freeswitch", {"DB_PORT": "1", "REDIS_PORT": "1"})
