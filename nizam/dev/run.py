"""Starting and stopping the parts of `nizam dev`, in their order."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.task import deferLater
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile
from twisted.web.client import Agent, PartialDownloadError, ResponseNeverReceived, readBody
from twisted.web.server import Site

from nizam.dev.demo import DOMAIN, USER_EMAIL, Api, prepare_demo, prepare_user, scenery
from nizam.dev.folder import StateFolder
from nizam.dev.guide import Running, guide
from nizam.dev.options import XML_USERNAME, DevOptions, dev_settings
from nizam.dev.receiver import Receiver
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.process import free_port
from nizam.embedded.redis import PrivateRedis
from nizam.errors import NizamError
from nizam.ops.deadline import within
from nizam.ops.logs import observer
from nizam.settings import Settings
from nizam.sim.switch import SimulatedSwitch
from nizam.store.migrate import upgrade
from nizam.store.pool import Pool
from nizam.store.system.api_keys import create_platform_key
from nizam.tap import build_daemon

READY_SECONDS = 30.0
KEY_REQUESTS_PER_MINUTE = 60_000
# With the servers after it this keeps the whole stop within five seconds.
STOP_SECONDS = 3.0
_LOG_BYTES = 10_000_000
_LOG_FILES = 3


class PortInUseError(NizamError):
    """Somebody else listens where we were told to."""

    code = "port_in_use"
    status = 409
    title = "The port is in use"


class NotReadyError(NizamError):
    """The daemon did not become ready in time; the log says why."""

    code = "not_ready"
    status = 503
    title = "The daemon did not become ready"


def run(options: DevOptions, say: Callable[[str], None]) -> None:
    """Run until a signal ends it; `say` shows a person what happens.

    Raises FolderInUseError, PortInUseError, EmbeddedServerError or NotReadyError, after stopping
    what had been started.
    """
    # A shell starts its background jobs with Ctrl-C ignored; here it always means stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = StateFolder(options.state_dir)
    folder.take()
    _check_port(options.host, options.port)
    folder.announce(f"{options.http}, process {os.getpid()}")
    (folder.path / "media").mkdir(exist_ok=True)
    with contextlib.ExitStack() as servers:
        say(f"Starting PostgreSQL and Redis in {folder.path} ...")
        postgres = servers.enter_context(PrivatePostgres(folder.path / "postgres"))
        redis = servers.enter_context(PrivateRedis(folder.path / "redis"))
        servers.callback(folder.dev_json.unlink, missing_ok=True)
        upgrade(postgres.dsn())
        esl_port = free_port()
        settings = dev_settings(options, folder, postgres, redis, esl_port, os.environ)
        _log_to(folder, settings.log_level)

        from twisted.internet import reactor

        system = _System(reactor, options, settings, folder, say)
        system.run_until_signal(postgres.dsn(), redis.url())


class _System:
    """Everything that lives in the reactor."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: DevOptions,
        settings: Settings,
        folder: StateFolder,
        say: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._settings = settings
        self._folder = folder
        self._say = say
        self._agent = Agent(reactor, connectTimeout=2.0)  # type: ignore[no-untyped-call]
        self._daemon: IService | None = None
        self._switch: SimulatedSwitch | None = None
        self._receiver_port: Any = None
        self._error: BaseException | None = None

    def run_until_signal(self, database_dsn: str, redis_url: str) -> None:
        """Run the reactor; raises what kept the system from coming up."""

        async def start() -> None:
            try:
                await self._start(database_dsn, redis_url)
            except Exception as error:
                self._error = error
                self._reactor.stop()

        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop_in_time)
        self._reactor.callWhenRunning(lambda: Deferred.fromCoroutine(start()))
        self._reactor.run()
        if self._error is not None:
            raise self._error

    async def _start(self, database_dsn: str, redis_url: str) -> None:
        receiver = Receiver(self._folder.webhook_secret(), self._reactor.seconds)
        self._receiver_port = self._listen(receiver)
        receiver_url = f"http://127.0.0.1:{self._receiver_port.getHost().port}"
        self._daemon = build_daemon(self._settings, self._reactor)
        self._daemon.privilegedStartService()  # type: ignore[no-untyped-call]
        self._daemon.startService()  # type: ignore[no-untyped-call]
        await self._ready()
        self._say("Preparing the demo tenant ...")
        api_key = await self._administrator_key(database_dsn)
        api = Api(self._agent, self._reactor, self._options.http, api_key)
        tenant_id = await prepare_demo(api, receiver_url, self._folder.webhook_secret())
        await prepare_user(api, tenant_id, self._folder.secret("user_password"))
        if self._options.simulate:
            await self._start_switch()
        running = self._running(api_key, tenant_id, database_dsn, redis_url, receiver_url)
        self._folder.write_dev_json(running.dev_json())
        self._say(guide(running, self._folder.path, simulated=self._options.simulate))

    def _listen(self, receiver: Receiver) -> Any:
        """Listen on the port of the last time if it is free: the webhook's address stays."""
        site = Site(receiver)  # type: ignore[no-untyped-call]
        for port in (int(self._folder.kept("receiver_port") or 0), 0):
            try:
                listening = self._reactor.listenTCP(port, site, interface="127.0.0.1")
            except CannotListenError:
                continue
            self._folder.keep("receiver_port", str(listening.getHost().port))
            return listening
        raise PortInUseError("no port is free for the webhook receiver")

    async def _ready(self) -> None:
        deadline = self._reactor.seconds() + READY_SECONDS
        while self._reactor.seconds() < deadline:
            try:
                asked = self._agent.request(b"GET", f"{self._options.http}/readyz".encode())
                response = await asked.addTimeout(2.0, self._reactor)
                await readBody(response).addTimeout(2.0, self._reactor)
            except (ConnectError, ResponseNeverReceived, PartialDownloadError, TimeoutError):
                pass
            else:
                if response.code == 200:
                    return
            await deferLater(self._reactor, 0.05, lambda: None)
        raise NotReadyError(
            f"it was not ready within {READY_SECONDS:g} s; see {self._folder.path}/nizam.log"
        )

    async def _administrator_key(self, database_dsn: str) -> str:
        """The key that dev.json shows; made at the first start, when nobody could ask for one."""
        kept = self._folder.kept("api_key")
        if kept is not None:
            return kept
        pool = Pool(self._reactor, database_dsn, size=1, name="dev")
        await pool.start()
        try:
            made: str = await create_platform_key(pool, "nizam dev", KEY_REQUESTS_PER_MINUTE)
        finally:
            await pool.stop()
        self._folder.keep("api_key", made)
        return made

    async def _start_switch(self) -> None:
        (node, *_) = self._settings.nodes
        self._switch = SimulatedSwitch(
            self._reactor,
            esl_port=node.esl_port,
            password=node.esl_password.reveal(),
            xml_url=f"{self._options.http}/freeswitch/xml",
            xml_username=XML_USERNAME,
            xml_password=self._folder.secret("xml_password"),
            cdr_url=f"{self._options.http}/freeswitch/cdr",
            cdr_error_folder=self._folder.path / "refused-cdrs",
            media_root=self._folder.path / "media",
            scenery=scenery(),
            calls_per_second=self._options.calls_per_second,
        )
        await self._switch.start()

    def _running(
        self, api_key: str, tenant_id: str, database_dsn: str, redis_url: str, receiver_url: str
    ) -> Running:
        node = self._settings.nodes[0] if self._settings.nodes else None
        return Running(
            http=self._options.http,
            api_key=api_key,
            tenant_id=tenant_id,
            tenant_domain=DOMAIN,
            xml_username=XML_USERNAME,
            xml_password=self._folder.secret("xml_password"),
            database_dsn=database_dsn,
            redis_url=redis_url,
            esl_host=node.esl_host if node else None,
            esl_port=node.esl_port if node else None,
            esl_password=node.esl_password.reveal() if node else None,
            receiver=receiver_url,
            user_email=USER_EMAIL,
            user_password=self._folder.secret("user_password"),
        )

    def _stop_in_time(self) -> Deferred[bool]:
        """Stop everything; what has not finished by the deadline is left to the process's end."""
        stopping = within(self._reactor, STOP_SECONDS, self._stop())
        stopping.addErrback(lambda failure: self._log.failure("while stopping", failure))
        return stopping

    async def _stop(self) -> None:
        self._say("Stopping ...")
        if self._switch is not None:
            await self._switch.stop()
        if self._daemon is not None and self._daemon.running:
            stopped = self._daemon.stopService()  # type: ignore[no-untyped-call]
            if isinstance(stopped, Deferred):
                await stopped
        if self._receiver_port is not None:
            closed = self._receiver_port.stopListening()
            if isinstance(closed, Deferred):
                await closed


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (
                "somebody else listens there"
                if error.errno == errno.EADDRINUSE
                else (error.strerror or str(error))
            )
            raise PortInUseError(
                f"cannot listen on {host} port {port}: {reason}; choose another with --port"
            ) from None


def _log_to(folder: StateFolder, level: str) -> None:
    """Everything as JSON lines to nizam.log in the folder, warnings and worse to stderr too."""
    file = LogFile(  # type: ignore[no-untyped-call]
        "nizam.log", str(folder.path), rotateLength=_LOG_BYTES, maxRotatedFiles=_LOG_FILES
    )
    serious = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    globalLogBeginner.beginLoggingTo(
        [
            observer(cast(Any, file), level),
            FilteringLogObserver(textFileLogObserver(sys.stderr), [serious]),
        ],
        redirectStandardIO=False,
    )
