"""Real Redis servers of every kind: replicated ones with their Sentinels, and clusters."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import hiredis

from nizam.embedded.binaries import find_redis
from nizam.embedded.process import LOOPBACK, ServerProcess, free_port
from nizam.kv.slots import SLOTS
from tests.kv.deployed import PASSWORDS, Deployed

PASSWORD = "s3cret"
SENTINEL_PASSWORD = "w4tch"
SERVICE = "nizam"
START_SECONDS = 20.0


class RedisProcess:
    """One server with settings of its own, on the same port each time that it is started.

    `authorities` sign its certificate; `shows` is the folder with one for who asks it things.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        *,
        sentinel: bool = False,
        program: Path | None = None,
        password: str = PASSWORD,
        username: str = "",
        lines: str = "",
        authorities: Path | None = None,
        shows: Path | None = None,
    ) -> None:
        self.port = free_port()
        self._shows = shows
        self.password = password
        self.username = username
        self._authorities = authorities
        self._bus = settings.get("cluster-port", "")
        self._folder = folder
        self._program = program
        self._sentinel = sentinel
        port = {"port": str(self.port)}
        if authorities is not None:
            port = {"port": "0", "tls-port": str(self.port)}
        own = {**port, "bind": LOOPBACK, "dir": f'"{folder}"', **settings}
        self._text = lines + "".join(f"{name} {value}\n" for name, value in own.items())
        self._process = ServerProcess("Redis", folder / "log", ((signal.SIGTERM, 5.0),))

    @property
    def address(self) -> str:
        """host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ports(self) -> tuple[str, str]:
        """That for clients and that for other nodes of a cluster."""
        return str(self.port), self._bus

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process.pid is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it, for the first time or again, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "redis.conf"
        if not configuration.exists():
            configuration.write_text(self._text)
        program = self._program or find_redis().program
        # As ourselves: Sentinel writes its configuration. It ends when we do.
        prefix = [setpriv, "--pdeathsig", "KILL"] if (setpriv := shutil.which("setpriv")) else []
        command = [*prefix, str(program), str(configuration)]
        self._process.start(
            [*command, "--sentinel"] if self._sentinel else command,
            cwd=self._folder,
            environment={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            ready=self._is_ready,
            seconds=START_SECONDS,
        )
        return self

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.stop()

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def ask(self, *command: str) -> Any:
        """The answer to one command, with text for bytes; an error is raised."""
        with self._connected() as connection:
            reader = hiredis.Reader(encoding="utf-8", errors="replace")
            name = (self.username,) if self.username else ()
            for words in (("AUTH", *name, self.password), command):
                connection.sendall(hiredis.pack_command(cast(Any, words)))
                answer = reader.gets()
                while answer is False:
                    received = connection.recv(65536)
                    if not received:
                        raise ConnectionResetError("Redis closed the connection")
                    reader.feed(received)
                    answer = reader.gets()
                if isinstance(answer, hiredis.ReplyError):
                    raise answer
        return answer

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((LOOPBACK, self.port), 5.0)
        if self._authorities is None:
            return plain
        context = ssl.create_default_context(cafile=self._authorities)
        if self._shows is not None:
            context.load_cert_chain(self._shows / "server.crt", self._shows / "server.key")
        return context.wrap_socket(plain, server_hostname=LOOPBACK)

    def information(self, section: str) -> dict[str, str]:
        """What INFO says of a section."""
        lines = self.ask("INFO", section).splitlines()
        return dict(it.split(":", 1) for it in lines if ":" in it)

    def _is_ready(self) -> bool:
        try:
            return bool(self.ask("PING") == "PONG")
        except (OSError, hiredis.HiredisError):
            return False


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Block until something holds of servers that are being set up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not come about within {seconds:g} s")
        time.sleep(0.02)


class Servers:
    """Some processes that are started and stopped together."""

    def __init__(self, members: Sequence[RedisProcess]) -> None:
        self.members = list(members)

    def __enter__(self) -> Self:
        try:
            for it in self.members:
                it.start()
            self.arrange()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def arrange(self) -> None:
        """Make of them what they are to be."""

    def stop(self) -> None:
        """End those that are still there."""
        for it in self.members:
            it.stop()


REPLICATED = {
    "requirepass": PASSWORD,
    "masterauth": PASSWORD,
    "save": '""',
    "appendonly": "yes",
    "appendfsync": "no",
    "repl-diskless-sync-delay": "0",
}


def _as_deployed(deployed: Deployed | None, file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What servers, and Sentinels, are made with that have the shipped files."""
    if deployed is None:
        return {}, {}
    both = {"program": deployed.program, "authorities": deployed.authorities}
    operator = {"username": "operator", "password": PASSWORDS["operator"]}
    return (
        both | operator | {"lines": deployed.included(file)},
        both | {"password": PASSWORDS["sentinel"]},
    )


class Watched(Servers):
    """A master, a replica, and three Sentinels that watch them."""

    def __init__(
        self, folder: Path, *, down_after_ms: int = 1000, deployed: Deployed | None = None
    ) -> None:
        server, watcher = _as_deployed(deployed, "replicated.conf")
        own = {} if deployed else REPLICATED
        self.first = RedisProcess(folder / "first", own, **server)
        follows = {"replicaof": f"{LOOPBACK} {self.first.port}"}
        self.second = RedisProcess(folder / "second", own | follows, **server)
        lines = (
            f"requirepass {SENTINEL_PASSWORD}\n"
            f"sentinel monitor {SERVICE} {LOOPBACK} {self.first.port} 2\n"
            f"sentinel auth-pass {SERVICE} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}\n"
        )
        if deployed is not None:
            lines = deployed.sentinel(self.first.port)
        watcher = {"password": SENTINEL_PASSWORD, **watcher}
        self.sentinels = [
            RedisProcess(folder / f"sentinel-{it}", {}, sentinel=True, lines=lines, **watcher)
            for it in range(3)
        ]
        super().__init__([self.first, self.second, *self.sentinels])

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Of the Sentinels."""
        return [(LOOPBACK, it.port) for it in self.sentinels]

    def arrange(self) -> None:
        """Wait until each Sentinel knows of the others and of the replica."""
        wait_for(lambda: self.second.information("replication")["master_link_status"] == "up")
        wait_for(lambda: all(self._knows(it) for it in self.sentinels))

    def master(self) -> RedisProcess:
        """Which server is the master, as the Sentinels have it."""
        answers = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(it for it in (self.first, self.second) if it.port == int(answers[1]))

    def _knows(self, sentinel: RedisProcess) -> bool:
        found = sentinel.ask("SENTINEL", "MASTER", SERVICE)
        known = dict(zip(found[::2], found[1::2], strict=True))
        return bool(known["num-other-sentinels"] == "2" and known["num-slaves"] == "1")


class Cluster(Servers):
    """Three masters, each with a replica if there are to be some."""

    def __init__(
        self,
        folder: Path,
        *,
        replicas: bool = False,
        node_timeout_ms: int = 2000,
        deployed: Deployed | None = None,
    ) -> None:
        self._more, _ = _as_deployed(deployed, "cluster.conf")
        own = {
            **REPLICATED,
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(node_timeout_ms),
            "cluster-require-full-coverage": "no",
        }
        self._folder, self._settings = folder, {} if deployed else own
        members = [self._node(it) for it in range(6 if replicas else 3)]
        self.masters, self.replicas = members[:3], members[3:]
        super().__init__(members)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Of the masters."""
        return [(LOOPBACK, it.port) for it in self.masters]

    def add(self) -> RedisProcess:
        """A further master, without any slots."""
        made = self._node(len(self.members))
        self.members.append(made.start())
        made.ask("CLUSTER", "MEET", LOOPBACK, *self.masters[0].ports)
        wait_for(lambda: all(name_of(made) in it.ask("CLUSTER", "NODES") for it in self.masters))
        wait_for(lambda: is_well(made))
        return made

    def _node(self, number: int) -> RedisProcess:
        # The usual one is ten thousand above, where others may listen.
        settings = self._settings | {"cluster-port": str(free_port())}
        return RedisProcess(self._folder / f"node-{number}", settings, **self._more)

    def arrange(self) -> None:
        """Give out the slots, introduce them to each other, wait until all is well."""
        for number, it in enumerate(self.masters):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            it.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            it.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for it in self.members[1:]:
            it.ask("CLUSTER", "MEET", LOOPBACK, *self.members[0].ports)
        wait_for(lambda: all(is_well(it) for it in self.members))
        for master, replica in zip(self.masters, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", name_of(master))
        wait_for(lambda: all(_follows(it) for it in self.replicas))


def name_of(node: RedisProcess) -> str:
    """The id of a node of a cluster."""
    return str(node.ask("CLUSTER", "MYID"))


def is_well(node: RedisProcess) -> bool:
    """Whether a node finds that every slot is served and that all know each other."""
    found = dict(it.split(":", 1) for it in node.ask("CLUSTER", "INFO").splitlines() if it)
    return bool(found["cluster_state"] == "ok" and found["cluster_slots_ok"] == str(SLOTS))


def _follows(replica: RedisProcess) -> bool:
    return bool(replica.information("replication").get("master_link_status") == "up")


def settings_of(servers: RedisProcess | Watched | Cluster, deployed: Deployed) -> dict[str, str]:
    """With which a daemon finds servers that have the shipped files, as their user `nizam`."""
    own = {
        "REDIS_USERNAME": "nizam",
        "REDIS_PASSWORD": PASSWORDS["nizam"],
        "REDIS_TLS": "true",
        "REDIS_TLS_CA": str(deployed.authorities),
    }
    if isinstance(servers, RedisProcess):
        return own | {"REDIS_HOST": LOOPBACK, "REDIS_PORT": str(servers.port)}
    prefix = "REDIS_SENTINEL_" if isinstance(servers, Watched) else "REDIS_CLUSTER_SEED_"
    if isinstance(servers, Watched):
        own |= {
            "REDIS_SENTINEL_SERVICE": SERVICE,
            "REDIS_SENTINEL_PASSWORD": PASSWORDS["sentinel"],
        }
    named = enumerate(servers.addresses, 1)
    return own | {f"{prefix}{number}": f"{host}:{port}" for number, (host, port) in named}
