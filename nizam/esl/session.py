"""One event-socket connection as a conversation, without I/O.

Bytes from FreeSWITCH go into `Session.receive`, typed outputs come out. The session
authenticates, subscribes, hands each reply to the command that it answers (FreeSWITCH answers
strictly in order), finds the background job that a BACKGROUND_JOB event ends, and gives out the
other events. Whoever does the I/O chooses what a *ticket* is: a value given with each command
and handed back with its answer.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

import attrs

from nizam.esl import frames
from nizam.esl.commands import Command
from nizam.esl.errors import EslPeerError, EslUsageError
from nizam.esl.event import SwitchEvent, decode_json, decode_plain
from nizam.esl.frames import Frame, FrameDecoder

__all__ = [
    "Disconnecting",
    "JobFinished",
    "Output",
    "Ready",
    "Refusal",
    "Refused",
    "Replied",
    "Reply",
    "Session",
    "SwitchEvent",
    "Write",
]

T = TypeVar("T")


class Refusal(enum.Enum):
    """Why FreeSWITCH does not want us. None of these passes by itself: someone has to act."""

    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    ACCESS_DENIED = "access_denied"
    SUBSCRIPTION_DENIED = "subscription_denied"


@attrs.frozen
class Reply:
    """The answer to one command: its text, and the other headers of a command/reply."""

    text: str
    headers: Mapping[str, str]

    @property
    def is_error(self) -> bool:
        """Whether the text starts as FreeSWITCH's refusals do: -ERR or -USAGE."""
        return self.text.startswith(("-ERR", "-USAGE"))


@attrs.frozen
class Write:
    """Send these bytes now."""

    data: bytes


@attrs.frozen
class Ready:
    """Authenticated and subscribed; commands may be sent. `headers` came with the
    authentication (Allowed-Events, Allowed-API of a directory user)."""

    headers: Mapping[str, str]


@attrs.frozen
class Refused:
    """FreeSWITCH will close, and would refuse the next attempt too."""

    refusal: Refusal
    detail: str


@attrs.frozen
class Replied(Generic[T]):
    """The command sent with `ticket` was answered."""

    ticket: T
    reply: Reply


@attrs.frozen
class JobFinished(Generic[T]):
    """The background job sent with `ticket` ended; `reply` is what its command printed."""

    ticket: T
    reply: Reply


@attrs.frozen
class Disconnecting:
    """FreeSWITCH announced that it closes the connection."""

    detail: str


Output = SwitchEvent | Write | Ready | Refused | Replied[T] | JobFinished[T] | Disconnecting


class _Phase(enum.Enum):
    GREETING = enum.auto()
    AUTHENTICATING = enum.auto()
    SUBSCRIBING = enum.auto()
    READY = enum.auto()
    REFUSED = enum.auto()


_NO_HEADERS: Final[Mapping[str, str]] = {}


class Session(Generic[T]):
    """The conversation on one connection, from the greeting on.

    `authentication` is what to say to the greeting, `commands.auth` or `commands.userauth`;
    `setup` are commands sent right after it, all of which have to succeed; `decoder` may bring
    limits of its own.
    """

    def __init__(
        self,
        authentication: Command,
        setup: Sequence[Command] = (),
        decoder: FrameDecoder | None = None,
    ) -> None:
        self._authentication = authentication
        self._setup = tuple(setup)
        self._setup_replies_due = len(self._setup)
        self._decoder = decoder or FrameDecoder()
        self._phase = _Phase.GREETING
        self._error: EslPeerError | None = None
        self._ready = Ready(_NO_HEADERS)
        self._unanswered: deque[tuple[Command, T]] = deque()
        self._jobs: dict[str, T] = {}
        self._handlers: Final[Mapping[str, Callable[[Frame], Iterator[Output[T]]]]] = {
            frames.AUTH_REQUEST: self._auth_requested,
            frames.COMMAND_REPLY: self._command_replied,
            frames.API_RESPONSE: self._api_responded,
            frames.EVENT_PLAIN: self._plain_event_fired,
            frames.EVENT_XML: self._ignored,
            frames.LOG_DATA: self._ignored,
            frames.DISCONNECT_NOTICE: self._disconnect_announced,
            frames.RUDE_REJECTION: self._rudely_rejected,
        }

    @property
    def unanswered(self) -> int:
        """How many answers are due: replies to commands, and ends of background jobs."""
        return len(self._unanswered) + len(self._jobs)

    def send(self, command: Command, ticket: T) -> bytes:
        """The bytes that send `command`, whose answer will carry `ticket`.

        Raises EslUsageError before the session is ready, and for a job uuid in use.
        """
        if self._phase is not _Phase.READY:
            raise EslUsageError("a command before the session is ready")
        if command.job_uuid is not None:
            if command.job_uuid in self._jobs:
                raise EslUsageError("a job uuid that is in use")
            # Registered at once: the job may end before the reply that accepts it is read.
            self._jobs[command.job_uuid] = ticket
        self._unanswered.append((command, ticket))
        return command.encode()

    def abandon_job(self, job_uuid: str) -> None:
        """Nobody waits for this job any more; its event is then an event like others."""
        self._jobs.pop(job_uuid, None)

    def receive(self, data: bytes) -> Iterator[Output[T]]:
        """Everything that follows from these bytes, in order; iterate to the end.

        Raises EslPeerError when FreeSWITCH breaks the protocol; the session is then over.
        """
        if self._error is not None:
            raise self._error
        jobs = self._jobs
        self._decoder.receive_data(data)
        try:
            for item in self._decoder.read(decode_json):
                if isinstance(item, SwitchEvent):
                    # Events are nearly all there is: they come first and cost least.
                    if jobs and item.name == "BACKGROUND_JOB":
                        yield from self._event_fired(item)
                    else:
                        yield item
                else:
                    yield from self._handlers[item.content_type](item)
        except EslPeerError as error:
            self._error = error
            raise

    def connection_lost(self) -> list[T]:
        """The tickets of all commands and jobs that will never be answered, each once."""
        # A bgapi waits for its job; that it also waits for a reply must not count twice.
        tickets = [ticket for command, ticket in self._unanswered if command.job_uuid is None]
        tickets += self._jobs.values()
        self._unanswered.clear()
        self._jobs.clear()
        return tickets

    def _auth_requested(self, _frame: Frame) -> Iterator[Output[T]]:
        if self._phase is not _Phase.GREETING:
            raise EslPeerError("a second request to authenticate")
        self._phase = _Phase.AUTHENTICATING
        yield Write(self._authentication.encode())

    def _command_replied(self, frame: Frame) -> Iterator[Output[T]]:
        headers = dict(frame.headers)
        text = headers.pop("Reply-Text", None)
        if text is None:
            raise EslPeerError("a command/reply without Reply-Text")
        reply = Reply(text, headers)
        match self._phase:
            case _Phase.READY:
                yield from self._answered(reply, from_api=False)
            case _Phase.AUTHENTICATING:
                yield from self._authenticated(reply)
            case _Phase.SUBSCRIBING:
                yield from self._subscribed(reply)
            case _Phase.REFUSED:
                return
            case _:
                raise EslPeerError("a reply before the request to authenticate")

    def _authenticated(self, reply: Reply) -> Iterator[Output[T]]:
        if not reply.text.startswith("+OK"):
            self._phase = _Phase.REFUSED
            yield Refused(Refusal.WRONG_PASSWORD, reply.text)
            return
        self._ready = Ready(reply.headers)
        self._phase = _Phase.SUBSCRIBING
        if self._setup:
            yield Write(b"".join(command.encode() for command in self._setup))
        else:
            yield from self._become_ready()

    def _subscribed(self, reply: Reply) -> Iterator[Output[T]]:
        if reply.is_error:
            self._phase = _Phase.REFUSED
            yield Refused(Refusal.SUBSCRIPTION_DENIED, reply.text)
            return
        self._setup_replies_due -= 1
        if not self._setup_replies_due:
            yield from self._become_ready()

    def _become_ready(self) -> Iterator[Output[T]]:
        self._phase = _Phase.READY
        yield self._ready

    def _api_responded(self, frame: Frame) -> Iterator[Output[T]]:
        reply = Reply(frame.body.decode("utf-8", "replace"), frame.headers)
        yield from self._answered(reply, from_api=True)

    def _answered(self, reply: Reply, *, from_api: bool) -> Iterator[Output[T]]:
        if not self._unanswered:
            raise EslPeerError("a reply to no command")
        command, ticket = self._unanswered[0]
        if from_api and not command.api_response:
            raise EslPeerError(f"an api/response to {command}")
        self._unanswered.popleft()
        if command.job_uuid is None:
            yield Replied(ticket, reply)
        elif reply.is_error and command.job_uuid in self._jobs:
            del self._jobs[command.job_uuid]
            yield Replied(ticket, reply)

    def _plain_event_fired(self, frame: Frame) -> Iterator[Output[T]]:
        return self._event_fired(decode_plain(frame.body))

    def _event_fired(self, event: SwitchEvent) -> Iterator[Output[T]]:
        job_uuid = event.get("Job-UUID") if event.name == "BACKGROUND_JOB" else None
        if job_uuid in self._jobs:
            yield JobFinished(self._jobs.pop(job_uuid), Reply(event.body or "", _NO_HEADERS))
        else:
            yield event

    def _disconnect_announced(self, frame: Frame) -> Iterator[Output[T]]:
        # With `linger` the call is over but the connection stays for its last events.
        if frame.headers.get("Content-Disposition") != "linger":
            yield Disconnecting(frame.body.decode("utf-8", "replace").strip())

    def _rudely_rejected(self, frame: Frame) -> Iterator[Output[T]]:
        self._phase = _Phase.REFUSED
        yield Refused(Refusal.ACCESS_DENIED, frame.body.decode("utf-8", "replace").strip())

    def _ignored(self, _frame: Frame) -> Iterator[Output[T]]:
        """Log lines and XML events come only to connections that asked for them."""
        return iter(())
