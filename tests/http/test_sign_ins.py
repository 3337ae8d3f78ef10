"""How long sessions, tokens and locks hold, on a clock, over a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import pytest_twisted
from twisted.internet import reactor

from nizam.errors import LoginLocked
from nizam.http import sign_ins as module
from nizam.http.cookies import cookie_name, ended_cookie, session_cookie
from nizam.http.lockout import FAILURES_THAT_LOCK, LOCK_SECONDS, Lockout
from nizam.http.sign_ins import SESSION_IDLE_SECONDS, SESSION_SECONDS, SignInRecord, SignIns
from nizam.kv.single import SingleRedis
from nizam.model.identifiers import new_id

USER = new_id()


class Now:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def now() -> Now:
    return Now()


@pytest_twisted.async_yield_fixture
async def key_value(redis_url: str) -> AsyncIterator[SingleRedis]:
    parts = urlsplit(redis_url)
    made = SingleRedis(reactor, str(parts.hostname), int(parts.port or 0), parts.password)
    await made.start()
    yield made
    await made.stop()


async def begin(sign_ins: SignIns, now: Now, seconds: int = SESSION_SECONDS) -> SignInRecord:
    _, record = await sign_ins.begin(
        "session",
        USER,
        b"credential",
        name="browser",
        address="192.0.2.1",
        user_agent="x" * 1000,
        expires_at=now() + timedelta(seconds=seconds),
    )
    return record


async def life(key_value: SingleRedis, record: SignInRecord) -> int:
    return int(await key_value.command("TTL", f"sign_in:{{{record.digest}}}"))


async def test_a_session_lives_on_with_each_use_and_not_beyond_its_end(
    key_value: SingleRedis, now: Now
) -> None:
    sign_ins = SignIns(key_value, now)
    record = await begin(sign_ins, now)
    assert SESSION_IDLE_SECONDS - 5 <= await life(key_value, record) <= SESSION_IDLE_SECONDS
    now.moment += timedelta(seconds=SESSION_SECONDS - 60)
    await sign_ins.touch(record, "192.0.2.2")
    assert 0 < await life(key_value, record) <= 60
    (kept,) = await sign_ins.of_user(USER)
    assert (kept.last_used_at, kept.last_used_from) == (now.moment, "192.0.2.2")


async def test_what_was_revoked_does_not_come_back_with_a_late_use(
    key_value: SingleRedis, now: Now
) -> None:
    sign_ins = SignIns(key_value, now)
    record = await begin(sign_ins, now)
    assert await sign_ins.revoke(USER, record.id)
    await sign_ins.touch(record, "192.0.2.2")
    await sign_ins.rebind(record, b"other")
    assert await sign_ins.of_user(USER) == []
    assert not await sign_ins.revoke(USER, record.id)


async def test_one_more_than_there_may_be_ends_the_oldest(
    key_value: SingleRedis, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SIGN_INS", 3)
    sign_ins = SignIns(key_value, now)
    made = [await begin(sign_ins, now) for _ in range(4)]
    assert [it.id for it in await sign_ins.of_user(USER)] == [it.id for it in made[1:]]


async def test_a_lock_ends_at_the_time_it_names(key_value: SingleRedis, now: Now) -> None:
    lockout = Lockout(key_value, now)
    for _ in range(FAILURES_THAT_LOCK):
        await lockout.check("ada@example.com")
        await lockout.failed("Ada@example.com")
    with pytest.raises(LoginLocked) as caught:
        await lockout.check("ada@example.com")
    assert caught.value.extra["locked_until"] == "2026-11-24T12:15:00.000000Z"
    await lockout.check("bob@example.com")
    now.moment += timedelta(seconds=LOCK_SECONDS)
    await lockout.check("ada@example.com")


def test_in_production_the_cookie_is_for_this_host_over_https_only() -> None:
    assert cookie_name(secure=True).startswith("__Host-")
    name, value = session_cookie("secret", 60, secure=True)
    assert name == "Set-Cookie"
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(value.split("; "))
    assert "Secure" not in session_cookie("secret", 60, secure=False)[1]
    assert "Max-Age=0" in ended_cookie(secure=True)[1]
