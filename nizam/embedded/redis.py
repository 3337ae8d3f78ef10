"""A private Redis or Valkey: append-only file on, password, loopback only."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from nizam.embedded.account import account_for, command_prefix
from nizam.embedded.binaries import RedisProgram, find_redis
from nizam.embedded.private_server import PrivateServer
from nizam.embedded.process import (
    EmbeddedServerError,
    end_orphan,
    free_port,
    kept_secret,
)

_START_SECONDS = 60.0
_ANSWER_SECONDS = 2.0
_PORT_ATTEMPTS = 3
_STOP_SIGNALS = ((signal.SIGTERM, 3.0),)
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"}


class PrivateRedis(PrivateServer):
    """A Redis server whose whole state is in `folder`.

    `machine=False` ignores the machine's own program; `durable=False` leaves writing the
    append-only file to the kernel, for tests only. With `dump`, an RDB file, it begins with what is
    in that, and keeps no append-only file, which would come first. Usable as a context manager.
    """

    def __init__(
        self,
        folder: Path,
        *,
        machine: bool = True,
        durable: bool = True,
        dump: Path | None = None,
    ) -> None:
        super().__init__("Redis", folder, "redis.log", _STOP_SIGNALS)
        self._machine = machine
        self._durable = durable
        self._dump = dump

    def url(self, database: int = 0) -> str:
        """`redis://:password@host:port/database`."""
        return f"redis://:{quote(self._password, safe='')}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it serves with its data loaded.

        Raises EmbeddedServerError when no fitting server is there or it does not come up.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        account = account_for(self._data)
        self._data.mkdir(mode=0o700, exist_ok=True)
        account.own(self._data)
        program = find_redis(machine=self._machine)
        self._version = program.version
        self._password = kept_secret(self._folder / "password")
        prefix = command_prefix(account, [self._data, program.program], end_signal="TERM")
        end_orphan(self._data / "redis.pid", self._data, signal.SIGTERM, seconds=10)
        if self._dump is not None:
            copied = Path(shutil.copyfile(self._dump, self._data / "dump.rdb"))
            copied.chmod(0o600)
            account.own(copied)
        configuration = self._data / "redis.conf"
        configuration.touch(mode=0o600)
        account.own(configuration)
        self._run(program, prefix, configuration)

    def settings(self) -> dict[str, str]:
        """The settings with which the daemon and the commands find it, by the names that they
        have in the environment."""
        return {
            "REDIS_HOST": self.host,
            "REDIS_PORT": str(self.port),
            "REDIS_PASSWORD": self.password,
        }

    def _run(self, program: RedisProgram, prefix: list[str], configuration: Path) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = free_port()
            configuration.write_text(self._configuration())
            try:
                self._process.start(
                    [*prefix, str(program.program), str(configuration)],
                    cwd=self._data,
                    environment=_ENVIRONMENT,
                    ready=self._is_ready,
                    seconds=_START_SECONDS,
                )
            except EmbeddedServerError as error:
                # Somebody else may take the port between our look and the server's bind.
                if attempt == _PORT_ATTEMPTS or "Address already in use" not in error.detail:
                    raise
            else:
                return

    def _configuration(self) -> str:
        settings = {
            "bind": self.host,
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self._data}"',
            "pidfile": f'"{self._data}/redis.pid"',
            "daemonize": "no",
            "appendonly": "yes" if self._dump is None else "no",
            "appendfsync": "everysec" if self._durable else "no",
            "maxmemory-policy": "noeviction",
            "save": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def flush(self) -> None:
        """Delete every key of every database; raises EmbeddedServerError when it cannot."""
        self._command("FLUSHALL")

    def configure(self, name: str, value: str) -> None:
        """Change a setting until the next start; raises EmbeddedServerError if it is refused."""
        self._command(f"CONFIG SET {name} {value}")

    def _command(self, command: str) -> None:
        answer = self._ask(command)
        if answer != b"+OK":
            raise EmbeddedServerError(f"Redis refused {command}: {answer.decode()}")

    def _is_ready(self) -> bool:
        try:
            return self._ask("PING") == b"+PONG"
        except OSError:
            return False

    def _ask(self, command: str) -> bytes:
        """The one-line answer to a command, after authenticating; OSError without a server."""
        with socket.create_connection((self.host, self.port), _ANSWER_SECONDS) as connection:
            connection.sendall(f"AUTH {self._password}\r\n{command}\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = connection.recv(256)
                if not chunk:
                    raise ConnectionResetError("Redis closed the connection")
                answer += chunk
        return answer.split(b"\r\n")[1]
