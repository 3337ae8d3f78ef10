"""The encryption key of a platform whose settings name none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg2
import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.errors import DatabaseUnavailable
from nizam.kv.single import SingleRedis
from nizam.settings import SecretKey
from nizam.store.pool import Pool
from nizam.store.system.secret_keys import keys_in_use, stored_key
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


CONFIGURED = (SecretKey("k1", bytes(range(32))),)


async def test_keys_of_the_settings_come_first_and_the_stored_one_still_decrypts(
    pool: Pool, stopped: Pool, key_value: SingleRedis
) -> None:
    (stored,) = await keys_in_use(pool, key_value, ())
    assert await keys_in_use(pool, key_value, CONFIGURED) == (*CONFIGURED, stored)
    assert await keys_in_use(stopped, key_value, CONFIGURED) == (*CONFIGURED, stored)


async def test_a_stored_key_that_was_removed_is_forgotten_in_redis_too(
    pool: Pool, stopped: Pool, key_value: SingleRedis
) -> None:
    await keys_in_use(pool, key_value, ())
    await pool.execute("delete from secret_keys")
    for asked in (pool, stopped):
        assert await keys_in_use(asked, key_value, CONFIGURED) == CONFIGURED


async def test_keys_of_the_settings_do_not_wait_for_tables(
    empty_database: str, key_value: SingleRedis
) -> None:
    empty = Pool(reactor, empty_database, 1, "empty")
    await empty.start()
    assert await keys_in_use(empty, key_value, CONFIGURED) == CONFIGURED
    await empty.stop()


def test_no_tenant_may_read_it(database: str) -> None:
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("set role nizam_tenant; select * from secret_keys")
    finally:
        connection.close()
