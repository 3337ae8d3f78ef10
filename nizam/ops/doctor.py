"""`nizam doctor`: asks each thing that NIZAM needs whether it is there and fit for it.

Blocking and reactor-free, so that it works where the daemon does not.
"""

from __future__ import annotations

import enum
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import attrs
import hiredis
import psycopg2

from nizam.errors import DatabaseUnavailable, NizamError
from nizam.esl import commands
from nizam.esl.errors import EslPeerError
from nizam.esl.session import Ready, Refused, Replied, Session, Write
from nizam.media.folder import MediaFolder
from nizam.ops.scheduled_work import read_scheduled_work
from nizam.settings import NodeSettings, RedisSettings, Settings

ANSWER_SECONDS = 5.0
MINIMUM_POSTGRES = 15
MINIMUM_REDIS = 7


class Verdict(enum.StrEnum):
    """What a check found."""

    OK = "ok"
    UNFIT = "unfit"
    UNREACHABLE = "unreachable"


@attrs.frozen
class Finding:
    """One check's result; `detail` says what was seen, and what to do when it is not ok."""

    name: str
    verdict: Verdict
    detail: str


class _UnfitError(Exception):
    """It answers, but cannot be used as it is; the text says why."""


def examine(
    settings: Settings, pending_migrations: Callable[[str], Sequence[str]]
) -> list[Finding]:
    """Every check, each within a few seconds.

    `pending_migrations(dsn)` names the migrations that the database lacks.
    """
    return list(_findings(settings, pending_migrations))


def _findings(
    settings: Settings, pending_migrations: Callable[[str], Sequence[str]]
) -> Iterator[Finding]:
    database = settings.database
    primary = _check(
        f"postgresql {database.address}",
        lambda: _primary(database.dsn(), pending_migrations),
    )
    yield primary
    if primary.verdict is Verdict.OK:
        yield _check("scheduled work", lambda: _scheduled_work(database.dsn()))
    for (host, port), dsn in zip(database.read_hosts, database.read_dsns(), strict=True):
        yield _check(f"replica {host}:{port}", partial(_postgres_version, dsn))
    redis = settings.redis
    yield _check(f"redis {redis.host}:{redis.port}", lambda: _redis(redis))
    for node in settings.nodes:
        name = f"freeswitch {node.name} {node.esl_host}:{node.esl_port}"
        yield _check(name, partial(_event_socket, node))
    yield _check("media root", lambda: _media_root(settings))


def _check(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, Verdict.OK, look())
    except _UnfitError as error:
        return Finding(name, Verdict.UNFIT, str(error))
    except psycopg2.OperationalError as error:
        return Finding(name, Verdict.UNREACHABLE, " ".join(str(error).split()))
    except DatabaseUnavailable as error:
        return Finding(name, Verdict.UNREACHABLE, error.detail)
    except (OSError, EslPeerError, hiredis.HiredisError) as error:
        return Finding(name, Verdict.UNREACHABLE, str(error) or type(error).__name__)


def _primary(dsn: str, pending_migrations: Callable[[str], Sequence[str]]) -> str:
    version = _postgres_version(dsn)
    if missing := pending_migrations(dsn):
        raise _UnfitError(f"migrations are missing: {', '.join(missing)}; run `nizam migrate`")
    return version


def _scheduled_work(dsn: str) -> str:
    work = read_scheduled_work(dsn)
    if work.late:
        errors = {it.error for it in work.tasks if it.late and it.error}
        who = "nobody leads it" if work.leader is None else f"led by {work.leader}"
        raise _UnfitError(f"late: {', '.join(work.late)}; {'; '.join([who, *sorted(errors)])}")
    return f"led by {work.leader}" if work.leader else "no instance leads it now"


def _postgres_version(dsn: str) -> str:
    connection = psycopg2.connect(dsn)
    try:
        number: int = connection.server_version
    finally:
        connection.close()
    if number // 10000 < MINIMUM_POSTGRES:
        raise _UnfitError(f"PostgreSQL {number // 10000}; needed: {MINIMUM_POSTGRES} or newer")
    return f"PostgreSQL {number // 10000}.{number % 10000}"


def _redis(settings: RedisSettings) -> str:
    with socket.create_connection((settings.host, settings.port), ANSWER_SECONDS) as connection:
        reader = hiredis.Reader(encoding="utf-8", errors="replace")

        def ask(*words: str) -> object:
            connection.sendall(hiredis.pack_command(cast(Any, words)))
            while (answer := reader.gets()) is False:
                data = connection.recv(65536)
                if not data:
                    raise ConnectionError("the connection was closed")
                reader.feed(data)
            if isinstance(answer, hiredis.ReplyError):
                raise _UnfitError(f"{words[0]}: {answer}")
            return answer

        if settings.password is not None:
            name = [settings.username] if settings.username else []
            ask("AUTH", *name, settings.password.reveal())
        info = _info(str(ask("INFO")))
    version = info.get("redis_version", "0")
    if int(version.split(".")[0]) < MINIMUM_REDIS:
        raise _UnfitError(f"Redis {version}; needed: {MINIMUM_REDIS} or newer")
    if info.get("aof_enabled") != "1":
        raise _UnfitError("the append-only file is off, so queues die with it: `appendonly yes`")
    if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
        raise _UnfitError(f"maxmemory-policy is {policy}, which drops queues; set noeviction")
    return f"Redis {version}"


def _info(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _event_socket(node: NodeSettings) -> str:
    session: Session[str] = Session(commands.auth(node.esl_password.reveal()))
    deadline = time.monotonic() + ANSWER_SECONDS
    with socket.create_connection((node.esl_host, node.esl_port), ANSWER_SECONDS) as connection:
        while True:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("FreeSWITCH closed the connection")
            for output in session.receive(data):
                match output:
                    case Write(bytes_to_send):
                        connection.sendall(bytes_to_send)
                    case Refused(refusal, detail):
                        raise _UnfitError(f"{refusal.value.replace('_', ' ')}: {detail}")
                    case Ready():
                        connection.sendall(session.send(commands.api("version"), "version"))
                    case Replied(_, reply):
                        return reply.text.strip().splitlines()[0]


def _media_root(settings: Settings) -> str:
    root = settings.media_root
    if not root.is_dir():
        raise _UnfitError(f"{root} does not exist; make it, or mount it, as on the switch")
    try:
        return MediaFolder(root).check()
    except NizamError as error:
        raise _UnfitError(error.detail) from None
