"""Redis: dumped as a replica gets it, and back as far as only Redis has it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nizam.embedded.redis import PrivateRedis
from nizam.ops.backup.errors import BackupError, Damaged, PeerUnreachable
from nizam.ops.backup.load import scratch_redis
from nizam.ops.backup.redis_connection import RedisConnection
from nizam.ops.backup.redis_dump import dump
from nizam.ops.backup.redis_keys import bring_back, forget_copies
from nizam.ops.backup.redis_servers import RedisServer, places_of, servers_of
from nizam.settings import RedisSettings, load
from tests.kv.conftest import redis_cluster, watched
from tests.kv.servers import PASSWORD, SENTINEL_PASSWORD, SERVICE, Cluster, Watched
from tests.ops.backup.conftest import quiet, redis_settings

__all__ = ["redis_cluster", "watched"]
RDB = b"REDIS0011" + bytes(range(256)) * 10
MARK = b"m" * 40


def server_at(url: str) -> RedisServer:
    it = redis_settings(url)
    return RedisServer(it["REDIS_HOST"], int(it["REDIS_PORT"]), None, it["REDIS_PASSWORD"])


def test_what_only_redis_has_comes_back_and_copies_do_not(
    redis: RedisConnection, redis_url: str, other_redis: PrivateRedis, tmp_path: Path
) -> None:
    events = [f"event {number}" for number in range(1203)]
    redis.ask("RPUSH", "nizam:intake:spill", *events)
    redis.ask("SET", "binary\xff".encode("latin-1"), bytes(range(256)))
    redis.ask("SET", "passing", "x", "EX", 1000)
    redis.ask("HSET", "hash", "a", "1", "b", "2")
    redis.ask("ZADD", "scores", "1.5", "a", "-3", "b")
    redis.ask("SADD", "members", "a", "b")
    for copied in (
        *("nizam:snapshot:x", "nizam:snapshot-part:x", "nizam:secret-key", "nizam:live:nodes"),
        *("nizam:webhooks:{q3}:epoch", "nizam:{limits}:call:1", "nizam:channel:x"),
    ):
        redis.ask("SET", copied, "x")
    facts, written = dump(server_at(redis_url), tmp_path / "redis.rdb", quiet)
    assert (facts.keys, written.bytes) == (13, (tmp_path / "redis.rdb").stat().st_size)

    target = RedisServer(other_redis.host, other_redis.port, None, other_redis.password)
    with scratch_redis(tmp_path, facts) as source, target.connected() as it:
        assert bring_back(source, lambda key: it, quiet) == 6
        assert it.ask("LRANGE", "nizam:intake:spill", 0, -1) == [one.encode() for one in events]
        assert it.ask("GET", "binary\xff".encode("latin-1")) == bytes(range(256))
        assert 900 < it.ask("TTL", "passing") <= 1000
        assert it.ask("HGET", "hash", "b") == b"2"
        assert it.ask("ZRANGE", "scores", 0, -1, "WITHSCORES") == [b"b", b"-3", b"a", b"1.5"]
        assert set(it.ask("SMEMBERS", "members")) == {b"a", b"b"}
        assert it.ask("DBSIZE") == 6
        assert bring_back(source, lambda key: it, quiet) == 6
        assert it.ask("LLEN", "nizam:intake:spill") == 1203, "twice is as once"


def test_copies_are_forgotten_and_the_rest_stays(redis: RedisConnection) -> None:
    for key in ("nizam:snapshot:x", "nizam:webhooks:{q15}:epoch", "nizam:intake:spill", "nizam:x"):
        redis.ask("SET", key, "x")
    assert forget_copies(redis) == 2
    assert set(redis.ask("KEYS", "*")) == {b"nizam:intake:spill", b"nizam:x"}


def test_a_stream_is_refused_rather_than_lost(
    redis: RedisConnection, redis_url: str, tmp_path: Path
) -> None:
    redis.ask("XADD", "stream", "*", "a", "b")
    with pytest.raises(BackupError, match="has a stream at"):
        bring_back(redis, lambda key: redis, quiet)


def test_a_damaged_dump_is_not_loaded(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "redis.rdb"
    facts, _ = dump(server_at(redis_url), path, quiet)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="cannot be loaded"), scratch_redis(tmp_path, facts):
        pytest.fail("it was loaded")


@contextmanager
def answering(*pieces: bytes) -> Iterator[RedisServer]:
    """A server that answers INFO and DBSIZE, then SYNC with these pieces, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for answers in ((b"$19\r\nredis_version:7.0.9\r\n",), (b":5\r\n",), pieces):
                connection.recv(4096)
                for answer in answers:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield RedisServer("127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\n\n$%d\r\n" % len(RDB) + RDB,),
        (b"\n", b"\n$", b"%d\r\n" % len(RDB), RDB[:100], RDB[100:] + b"*1\r\n$4\r\nPING\r\n"),
        (b"$EOF:" + MARK + b"\r\n" + RDB + MARK,),
        (b"$EOF:" + MARK + b"\r\n", RDB + MARK[:9], MARK[9:] + b"*1\r\n"),
    ],
    ids=["at once", "in pieces", "marked", "marked in pieces"],
)
def test_every_form_of_the_answer_is_read(pieces: tuple[bytes, ...], tmp_path: Path) -> None:
    with answering(*pieces) as server:
        _, written = dump(server, tmp_path / "r", quiet)
    assert (tmp_path / "r").read_bytes() == RDB
    assert written.bytes == len(RDB)


@pytest.mark.parametrize(
    ("pieces", "kind", "said"),
    [
        ((b"-NOPERM no sync\r\n",), BackupError, r"NOPERM no sync; allow it \(ACL: \+sync\)"),
        ((b"$900\r\nREDIS",), PeerUnreachable, "has closed the connection"),
        ((b"$4\r\nnope",), Damaged, "is no dump of Redis"),
        ((b"x" * 300,), BackupError, "does not answer to SYNC as Redis does"),
    ],
    ids=["refused", "cut off", "nonsense", "endless line"],
)
def test_what_is_no_dump_is_refused(
    pieces: tuple[bytes, ...], kind: type[BackupError], said: str, tmp_path: Path
) -> None:
    with answering(*pieces) as server, pytest.raises(kind, match=said):
        dump(server, tmp_path / "r", quiet)


def test_a_wrong_password_is_said(redis_url: str) -> None:
    it = server_at(redis_url)
    wrong = RedisServer(it.host, it.port, None, "wrong")
    with pytest.raises(BackupError, match="refuses AUTH: WRONGPASS"), wrong.connected():
        pytest.fail("it was let in")


def settings_of(**names: str) -> RedisSettings:
    return load(None, names).settings.redis


@pytest.mark.rehearsal
def test_the_master_is_dumped_that_sentinels_name(watched: Watched, tmp_path: Path) -> None:
    settings = settings_of(
        REDIS_PASSWORD=PASSWORD,
        REDIS_SENTINEL_PASSWORD=SENTINEL_PASSWORD,
        REDIS_SENTINEL_SERVICE=SERVICE,
        REDIS_SENTINELS="127.0.0.1:1," + ",".join(f"{h}:{p}" for h, p in watched.addresses),
    )
    (server,) = servers_of(settings)
    assert server.port == watched.master().port
    watched.master().ask("SET", "nizam:mark", "x")
    facts, _ = dump(server, tmp_path / "redis.rdb", quiet)
    watched.master().ask("DEL", "nizam:mark")
    with scratch_redis(tmp_path, facts) as source, places_of(settings) as places:
        assert bring_back(source, places, quiet) == 1
    assert watched.master().ask("GET", "nizam:mark") == "x"


@pytest.mark.rehearsal
def test_a_cluster_is_dumped_master_by_master_and_each_key_comes_back_to_its_own(
    redis_cluster: Cluster, tmp_path: Path
) -> None:
    seeds = {
        f"REDIS_CLUSTER_SEED_{n}": f"{h}:{p}" for n, (h, p) in enumerate(redis_cluster.addresses, 1)
    }
    settings = settings_of(REDIS_PASSWORD=PASSWORD, REDIS_CLUSTER="true", **seeds)
    keys = [f"nizam:mark:{number}".encode() for number in range(50)]
    with places_of(settings) as places:
        for key in keys:
            places(key).ask("RPUSH", key, "a", key)
    servers = servers_of(settings)
    assert len(servers) == 3
    dumps = []
    for number, server in enumerate(servers):
        dumps.append(dump(server, tmp_path / f"redis-{number}.rdb", quiet)[0])
        with server.connected() as connection:
            connection.ask("FLUSHDB")
    with places_of(settings) as places:
        for facts in dumps:
            with scratch_redis(tmp_path, facts) as source:
                bring_back(source, places, quiet)
        assert [places(key).ask("LRANGE", key, 0, -1) for key in keys] == [
            [b"a", it] for it in keys
        ]
        places(b"nizam:snapshot:x").ask("SET", "nizam:snapshot:x", "x")
        places(b"nizam:snapshot:y").ask("SET", "nizam:snapshot:y", "x")
    removed = 0
    for server in servers:
        with server.connected() as connection:
            removed += forget_copies(connection)
    assert removed == 2


def test_a_sentinel_that_knows_no_such_master_is_said(redis_url: str) -> None:
    it = server_at(redis_url)
    settings = settings_of(
        REDIS_SENTINELS=it.name, REDIS_SENTINEL_PASSWORD=it.password or "", REDIS_PASSWORD="x"
    )
    with pytest.raises(PeerUnreachable, match="refuses SENTINEL: ERR unknown command"):
        servers_of(settings)
