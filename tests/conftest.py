"""Fixtures for every test: real servers, a database of one's own, a time limit, a clean reactor."""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import inspect
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from tests.databases import Databases

DEFAULT_SECONDS = 30.0
# A blocking call gets this much longer than an await before it is interrupted, and the whole run
# is ended with every thread's stack when not even that helps.
BLOCKING_GRACE_SECONDS = 2.0
AGAIN_SECONDS = 10.0
LAST_RESORT_SECONDS = 20.0
SETTLE_SECONDS = 2.0

# `embedded` makes every test use the wheels' servers instead of the machine's own.
_USE_MACHINE = os.environ.get("NIZAM_TEST_SERVERS", "machine") != "embedded"
_INNER_TESTS = pytest.StashKey[dict[Any, Any]]()
_FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Sizes that are small in the suite and larger when somebody asks."""
    parser.addoption(
        "--stream-clients",
        type=int,
        default=40,
        help="clients of each of the two instances in tests/daemon/test_streams.py",
    )


@pytest.fixture
def stream_clients(request: pytest.FixtureRequest) -> int:
    """How many clients each instance has."""
    return int(request.config.getoption("--stream-clients"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "time_limit(seconds): how long this test may take; 30 s unless told"
    )
    config.addinivalue_line("markers", "rehearsal: takes minutes; run by script/rehearse alone")


# -- long files first ----------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first the files with the longest time limits, then those with the most tests.

    The workers take one file after the other, and a long one begun last is waited for by all.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for it in items:
        files.setdefault(it.path, []).append(it)

    def length(file: list[pytest.Item]) -> tuple[float, int]:
        return max(map(_limit, file)), len(file)

    items[:] = [it for file in sorted(files.values(), key=length, reverse=True) for it in file]


# -- a time limit on every test ------------------------------------------------------------------


class TestTookTooLong(BaseException):
    """Not an Exception: code under test that catches those must not swallow it."""

    __test__ = False


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Give a coroutine test a deadline on the reactor's clock; pytest-twisted then runs it."""
    test = pyfuncitem.obj
    if hypothesis := getattr(test, "hypothesis", None):
        # pytest-twisted wraps the inner test anew for each parameter set, which works only once.
        originals = pyfuncitem.session.stash.setdefault(_INNER_TESTS, {})
        hypothesis.inner_test = originals.setdefault(test, hypothesis.inner_test)
    elif inspect.iscoroutinefunction(test):
        pyfuncitem.obj = _with_deadline(test, _limit(pyfuncitem))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _interrupted(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _interrupted(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with _interrupted(item):
        return (yield)


@contextlib.contextmanager
def _interrupted(item: pytest.Item) -> Iterator[None]:
    """Interrupt blocking code that outlives the limit; end the run if it cannot be interrupted.

    In each of the three phases for itself: between them pytest's own code would be interrupted.
    """
    limit = _limit(item) + BLOCKING_GRACE_SECONDS

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TestTookTooLong(f"{item.nodeid} blocked for more than {limit:g} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    # More than once: what runs while garbage is collected swallows it.
    signal.setitimer(signal.ITIMER_REAL, limit, AGAIN_SECONDS)
    # pytest's own capture replaces fd 2; the real one is what a person reads.
    faulthandler.dump_traceback_later(limit + LAST_RESORT_SECONDS, exit=True, file=_stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_stderr = os.fdopen(os.dup(2), "w")


def _limit(item: pytest.Item) -> float:
    marker = item.get_closest_marker("time_limit")
    return float(marker.args[0]) if marker else DEFAULT_SECONDS


def _with_deadline(test: Any, seconds: float) -> Any:
    @functools.wraps(test)
    async def limited(*args: Any, **kwargs: Any) -> None:
        from twisted.internet import reactor

        running: Deferred[None] = Deferred.fromCoroutine(test(*args, **kwargs))
        over: list[bool] = []

        def end() -> None:
            over.append(True)
            running.cancel()

        timer = reactor.callLater(seconds, end)
        try:
            await running
        except CancelledError:
            if over:
                raise AssertionError(f"the test awaited for more than {seconds:g} s") from None
            raise
        finally:
            if timer.active():
                timer.cancel()

    return limited


# -- fixtures that fail --------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[Any]:
    """Note that an async fixture has failed, which pytest-twisted does not.

    pytest would otherwise never finish it, and refuse it to every test that follows.
    """
    try:
        return (yield)
    except BaseException as error:
        if fixturedef.cached_result is None:
            # The request of a fixture is a SubRequest, which is all that this asks of it.
            key = fixturedef.cache_key(request)  # type: ignore[arg-type]
            fixturedef.cached_result = (None, key, (error, error.__traceback__))
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test has failed: what it used may still be at work."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


# -- nothing left on the reactor -----------------------------------------------------------------


@pytest_twisted.async_yield_fixture(autouse=True)
async def clean_reactor() -> AsyncIterator[None]:
    """Fail a test that leaves delayed calls, connections or listening ports on the reactor.

    What is on its way out (a connection being closed) gets a moment to finish.
    """
    from twisted.internet import reactor

    before = _on_reactor(reactor)
    yield
    left = _on_reactor(reactor) - before
    waited = 0.0
    while left and waited < SETTLE_SECONDS:
        pause: Deferred[None] = Deferred()
        reactor.callLater(0.01, pause.callback, None)
        await pause
        waited += 0.01
        left = _on_reactor(reactor) - before
    if left:
        # A looping call left alone would fail every test that follows.
        for thing in left:
            if hasattr(thing, "cancel"):
                thing.cancel()
        things = "\n  ".join(sorted(str(thing) for thing in left))
        pytest.fail(f"left on the reactor after the test:\n  {things}", pytrace=False)


def _on_reactor(reactor: Any) -> set[Any]:
    calls = {call for call in reactor.getDelayedCalls() if call.active()}
    return calls | set(reactor.getReaders()) | set(reactor.getWriters())


# -- servers -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for the servers of this run, removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="nizam-tests-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PrivatePostgres]:
    """A running PostgreSQL for the whole run, fast and not durable."""
    with PrivatePostgres(server_folder / "postgres", machine=_USE_MACHINE, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[PrivateRedis]:
    """A running Redis for the whole run."""
    with PrivateRedis(server_folder / "redis", machine=_USE_MACHINE, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: PrivatePostgres) -> Iterator[Databases]:
    """The databases of the tests, one after the other."""
    made = Databases(postgres)
    yield made
    made.close()


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[str]:
    """The DSN of a database without any tables, of this test alone."""
    with databases.empty() as dsn:
        yield dsn


@pytest.fixture
def database(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The DSN of a database as migrations leave it, of this test alone."""
    with databases.migrated() as it:
        yield it.dsn
        it.spoilt = request.node.stash.get(_FAILED, False)


@pytest.fixture
def redis_url(redis_server: PrivateRedis) -> str:
    """`redis://:password@host:port/0` of a Redis without any keys."""
    redis_server.flush()
    return redis_server.url()
