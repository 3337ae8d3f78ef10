"""The encryption key of a platform whose settings name none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg2
import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.errors import DatabaseUnavailable
from nizam.kv.single import SingleRedis
from nizam.store.pool import Pool
from nizam.store.system.secret_keys import stored_key
from tests.kv.conftest import single


@pytest_twisted.async_yield_fixture
async def key_value(redis_url: str) -> AsyncIterator[SingleRedis]:
    made = single(redis_url)
    await made.start()
    yield made
    await made.stop()


@pytest_twisted.async_yield_fixture
async def stopped() -> AsyncIterator[Pool]:
    """A pool whose server does not exist."""
    made = Pool(reactor, "postgresql://nobody@127.0.0.1:1/none", 1, "stopped", wait=0.1)
    await made.start()
    yield made
    await made.stop()


async def test_every_instance_gets_the_same_key(pool: Pool, key_value: SingleRedis) -> None:
    first = await stored_key(pool, key_value)
    assert len(first.key) == 32
    assert await stored_key(pool, key_value) == first


async def test_a_process_can_start_with_the_copy_in_redis(
    pool: Pool, stopped: Pool, key_value: SingleRedis
) -> None:
    first = await stored_key(pool, key_value)
    assert await stored_key(stopped, key_value) == first


async def test_no_key_is_made_up_while_neither_server_has_one(
    stopped: Pool, key_value: SingleRedis
) -> None:
    with pytest.raises(DatabaseUnavailable):
        await stored_key(stopped, key_value)


def test_no_tenant_may_read_it(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("set role nizam_tenant; select * from secret_keys")
    finally:
        connection.close()
