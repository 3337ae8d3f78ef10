"""TLS to Redis of each kind with the files of deploy/redis, and the user of NIZAM in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from nizam.embedded.process import LOOPBACK
from nizam.embedded.redis import PrivateRedis
from nizam.errors import KeyValueUnavailable
from nizam.kv.asking import ask_once
from nizam.kv.make import key_value_of
from nizam.kv.speaker import Speaker
from nizam.kv.tls import Tls
from nizam.ops.doctor import Area, Finding
from nizam.settings import RedisSettings, load
from tests.certificates import Authority
from tests.kv.deployed import PASSWORDS, Deployed
from tests.kv.servers import RedisProcess
from tests.ops.doctor.findings import found_with, is_right

SERVICE = "nizam"


def settings(**environment: str) -> RedisSettings:
    return load(None, environment).settings.redis


def server(deployed: Deployed, name: str, more: str = "") -> RedisProcess:
    """One that has the shipped file, and more."""
    return RedisProcess(
        deployed.folder / name,
        {},
        program=deployed.program,
        username="operator",
        password=PASSWORDS["operator"],
        lines=deployed.included("redis.conf") + more,
        authorities=deployed.authorities,
        shows=deployed.folder / "tls",
    )


@pytest.fixture(scope="module")
def deployed(server_folder: Path) -> Deployed:
    return Deployed(server_folder / "deployed")


@pytest.fixture(scope="module")
def one(deployed: Deployed) -> Iterator[RedisProcess]:
    it = server(deployed, "one").start()
    yield it
    it.stop()


def environment(one: RedisProcess, deployed: Deployed, **changes: str) -> dict[str, str]:
    return {
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(one.port),
        "REDIS_USERNAME": "nizam",
        "REDIS_PASSWORD": PASSWORDS["nizam"],
        "REDIS_TLS": "true",
        "REDIS_TLS_CA": str(deployed.authorities),
    } | changes


async def attempt(**environment: str) -> Any:
    """What comes of connecting: None, or what is wrong."""
    redis = key_value_of(reactor, settings(**environment))
    try:
        await redis.start()
        await redis.set("nizam:k", 1)
        await redis.ping()
    except KeyValueUnavailable as error:
        return error.detail
    finally:
        await redis.stop()
    return None


async def test_the_shipped_files_serve_the_shipped_user_over_tls(
    one: RedisProcess, deployed: Deployed
) -> None:
    assert await attempt(**environment(one, deployed)) is None


async def test_a_certificate_for_another_name_is_refused(
    one: RedisProcess, deployed: Deployed
) -> None:
    said = await attempt(**environment(one, deployed, REDIS_HOST="localhost"))
    assert "REDIS_HOST: the certificate of" in said
    assert "is for another name" in said


async def test_an_authority_that_is_not_trusted_is_refused(
    one: RedisProcess, deployed: Deployed, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    said = await attempt(**environment(one, deployed, REDIS_TLS_CA=str(other.file)))
    assert "REDIS_TLS_CA: the certificate of 127.0.0.1" in said
    (tmp_path / "nothing").write_text("no certificate")
    said = await attempt(**environment(one, deployed, REDIS_TLS_CA=str(tmp_path / "nothing")))
    assert "REDIS_TLS_CA: there is no certificate in" in said


async def test_one_end_that_speaks_tls_and_one_that_does_not_get_a_hint(
    redis_server: PrivateRedis, one: RedisProcess, deployed: Deployed
) -> None:
    table = ((Tls(deployed.authorities), redis_server.port, "speak"), (None, one.port, "want"))
    for tls, port, hint in table:
        with pytest.raises(KeyValueUnavailable, match=f"REDIS_TLS: does it {hint} TLS"):
            await ask_once(Speaker(reactor, tls=tls), LOOPBACK, port, ("PING",))


@pytest.fixture(scope="module")
def strict(deployed: Deployed) -> Iterator[RedisProcess]:
    """One that every client has to show a certificate, and its configuration, too."""
    it = server(deployed, "strict", more="tls-auth-clients yes\n").start()
    yield it
    it.stop()


def shown(folder: Path) -> dict[str, str]:
    """A certificate of ours."""
    files = {"REDIS_TLS_CERT": "server.crt", "REDIS_TLS_KEY": "server.key"}
    return {name: str(folder / file) for name, file in files.items()}


async def test_a_server_that_wants_a_certificate_of_ours_takes_that_of_its_authority(
    strict: RedisProcess, deployed: Deployed, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    deployed.authority.issue(good, "nizam.example.com")
    Authority(bad, "Another authority").issue(bad, "nizam.example.com")
    mixed = {
        "REDIS_TLS_CERT": shown(good)["REDIS_TLS_CERT"],
        "REDIS_TLS_KEY": shown(bad)["REDIS_TLS_KEY"],
    }
    for ours, problem in (
        (shown(good), None),
        ({}, "REDIS_TLS_CERT: .* wants a certificate of ours, and got none"),
        (shown(bad), "REDIS_TLS_CERT: .* does not take our certificate: .*unknown ca"),
        (mixed, "REDIS_TLS_KEY: .*(values mismatch|not match)"),
    ):
        there = environment(strict, deployed, **ours)
        said = await attempt(**there)
        found = await deferToThread(found_with, there | {"DB_PORT": "1"}, Area.REDIS)
        if problem is None:
            assert said is None
            is_right(found, "redis.reachable", "redis.primary", "redis.exposure")
        else:
            assert re.search(problem, said), said
            assert re.search(problem.replace("_KEY", "_(KEY|CERT)"), in_words(found)), found


def in_words(found: list[Finding]) -> str:
    """What the doctor says of being let in."""
    return next(it.detail for it in found if it.check == "redis.reachable")


async def test_the_doctor_names_the_setting_that_tls_fails_for(
    one: RedisProcess,
    deployed: Deployed,
    tmp_path: Path,
    redis_server: PrivateRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nizam.ops.doctor.redis_server.ANSWER_SECONDS", 0.5)
    other = Authority(tmp_path)
    (tmp_path / "nothing").write_text("no certificate")
    plain = {"REDIS_PORT": str(redis_server.port)}
    for change, problem in (
        ({}, "as nizam"),
        ({"REDIS_HOST": "localhost"}, "REDIS_HOST: .* is for another name"),
        ({"REDIS_TLS_CA": str(other.file)}, "REDIS_TLS_CA: .* signed by nobody"),
        ({"REDIS_TLS_CA": str(tmp_path / "nothing")}, "REDIS_TLS_CA: .*nothing"),
        ({"REDIS_TLS": "false", "REDIS_TLS_CA": ""}, "REDIS_TLS: does it want TLS"),
        (plain, "REDIS_TLS: .* does not speak TLS"),
    ):
        there = environment(one, deployed, **{"DB_PORT": "1", **change})
        found = await deferToThread(found_with, there, Area.REDIS)
        assert re.search(problem, in_words(found)), found


async def test_what_a_user_may_not_do_is_said(one: RedisProcess, deployed: Deployed) -> None:
    redis = key_value_of(reactor, settings(**environment(one, deployed)))
    await redis.start()
    for command in (("CONFIG GET", "*"), ("FLUSHALL",), ("KEYS", "*"), ("GET", "another:key")):
        with pytest.raises(KeyValueUnavailable, match="NOPERM"):
            await redis.command(*command)
    await redis.stop()
