"""Requests over HTTP: credentials, deadlines, and trying again what may be tried again."""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, BinaryIO

import attrs
import httpx
import orjson
import tenacity

from nizam import __version__
from nizam.client.errors import (
    ApiError,
    CannotReach,
    ClientError,
    LoginLocked,
    NotFound,
    UnexpectedAnswer,
    error_from,
)

ATTEMPT_SECONDS = 30.0
TOTAL_SECONDS = 120.0
RETRIES = 4
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
_PIECE = 64 * 1024

Query = Sequence[tuple[str, str]]


@attrs.frozen
class Answer:
    """What was answered, whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body; UnexpectedAnswer if it is not JSON."""
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError:
            start = self.content[:80].decode(errors="replace")
            raise UnexpectedAnswer(f"the answer is no JSON: {start!r}") from None


@attrs.frozen(kw_only=True)
class Transport:
    """One server, as one holder of credentials asks it.

    `attempt_seconds` is the longest wait within an attempt, `total_seconds` the time for all
    attempts and the pauses between them; `retries` is the number of attempts after the first.
    `trust` is what certificates are checked by, as httpx takes it.

    An attempt is made again after: 429 and a connection that never came about (nothing was done);
    every other lack of an answer and 502, 503 and 504, if repeating the request changes nothing
    that doing it once would not - GET, DELETE, POST with an Idempotency-Key (which each POST is
    given), PUT and PATCH without If-Match. The pauses grow exponentially with jitter; Retry-After
    is honoured, and a wait beyond `total_seconds` is not begun.
    """

    http: httpx.Client = attrs.field(repr=False)
    attempt_seconds: float = ATTEMPT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    retries: int = RETRIES
    sleep: Callable[[float], None] = attrs.field(default=time.sleep, repr=False)
    trust: Any = attrs.field(default=True, repr=False)

    @classmethod
    def to(
        cls, url: str, api_key: str | None, *, verify: bool | str = True, **options: Any
    ) -> Transport:
        """The transport to the server at `url`; `verify` may name a file of certificates."""
        headers = {"User-Agent": f"nizam-client/{__version__}"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        trust = _trust(verify)
        http = httpx.Client(base_url=url.rstrip("/"), headers=headers, verify=trust)
        return cls(http=http, trust=trust, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Any = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        repeatable: bool = True,
        content: tuple[str, bytes] | None = None,
        seconds: float = 0.0,
    ) -> Answer:
        """The answer to one request; `body` is sent as JSON, `content` as it is, with its media
        type. What takes longer than other requests is waited for so many `seconds`, in each
        attempt and in all.

        Raises ApiError for a refusal and CannotReach without an answer.
        """
        fields: dict[str, str] = {}
        if body is not None:
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            content = kind, orjson.dumps(body, default=_plain)
        if content is not None:
            fields["Content-Type"] = content[0]
        if method == "POST" and repeatable:
            fields["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        if if_match is not None:
            fields["If-Match"] = if_match
        # A POST is known by its Idempotency-Key before anybody looks at its ETag.
        repeatable = repeatable and (if_match is None or method in ("DELETE", "POST"))
        patient = attrs.evolve(
            self,
            attempt_seconds=max(self.attempt_seconds, seconds),
            total_seconds=max(self.total_seconds, seconds),
        )
        payload = None if content is None else content[1]
        send = partial(patient._attempt, method, path, query, fields, payload)
        return patient._repeatedly(send, repeatable=repeatable, gone_is_done=method == "DELETE")

    def upload(
        self,
        method: str,
        path: str,
        file: BinaryIO,
        *,
        kind: str,
        query: Query = (),
        idempotency_key: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """The answer to a request with the rest of `file`, of this media type, as its body.

        It is read piece by piece, and once more for each attempt. Raises what `request` raises.
        """
        start = file.tell()
        length = file.seek(0, 2) - start
        fields = {"Content-Type": kind, "Content-Length": str(length)}
        if method == "POST":
            fields["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        if if_match is not None:
            fields["If-Match"] = if_match

        def send(end: float) -> Answer:
            file.seek(start)
            return self._attempt(
                method, path, query, fields, iter(partial(file.read, _PIECE), b""), end
            )

        repeatable = if_match is None or method == "POST"
        return self._repeatedly(send, repeatable=repeatable, gone_is_done=False)

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    @contextlib.contextmanager
    def stream(self, path: str, *, query: Query = (), accept: str) -> Iterator[Iterator[bytes]]:
        """The body of an answer to GET, in pieces as they come; it may take as long as it likes.

        Until it begins it is tried again as every GET, and raises as `request`. Amid the pieces
        CannotReach says that the rest did not come.
        """
        begun: list[httpx.Response] = []

        def begin(end: float) -> Answer:
            left = max(end - time.monotonic(), 0.001)
            request = self.http.build_request(
                "GET",
                path,
                params=list(query),
                headers={"Accept": accept},
                timeout=min(self.attempt_seconds, left),
            )
            with told():
                response = self.http.send(request, stream=True)
                if response.status_code >= 300:
                    with contextlib.closing(response):
                        raise refusal(response.status_code, response.headers, response.read())
            begun.append(response)
            return Answer(response.status_code, response.headers, b"")

        def pieces(response: httpx.Response) -> Iterator[bytes]:
            with told():
                yield from response.iter_bytes()

        self._repeatedly(begin, repeatable=True, gone_is_done=False)
        with contextlib.closing(begun[0]) as response:
            yield pieces(response)

    def _repeatedly(
        self, send: Callable[[float], Answer], *, repeatable: bool, gone_is_done: bool
    ) -> Answer:
        end = time.monotonic() + self.total_seconds
        doubtful = False

        def once() -> Answer:
            nonlocal doubtful
            try:
                return send(end)
            except NotFound:
                # The attempt before, which was not answered, has deleted it.
                if gone_is_done and doubtful:
                    return Answer(204, {}, b"")
                raise
            except ClientError as error:
                doubtful = doubtful or not _harmless(error)
                raise

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(partial(_worth_repeating, repeatable)),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.retries + 1),
                tenacity.stop_before_delay(self.total_seconds),
            ),
            wait=_pause,
            sleep=self.sleep,
            reraise=True,
        )
        return attempts(once)

    def _attempt(
        self,
        method: str,
        path: str,
        query: Query,
        headers: Mapping[str, str],
        content: bytes | Iterator[bytes] | None,
        end: float,
    ) -> Answer:
        left = max(end - time.monotonic(), 0.001)
        request = self.http.build_request(
            method,
            path,
            params=list(query),
            headers=headers,
            content=content,
            timeout=min(self.attempt_seconds, left),
        )
        with told():
            response = self.http.send(request, stream=True)
            try:
                pieces = []
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if time.monotonic() > end:
                        raise CannotReach("the answer took too long", maybe_executed=True)
            finally:
                response.close()
        found = b"".join(pieces)
        if response.status_code >= 300:
            raise refusal(response.status_code, response.headers, found)
        return Answer(response.status_code, response.headers, found)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors of the connection as CannotReach."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise CannotReach(f"no connection: {error}", maybe_executed=False) from error
    except httpx.TransportError as error:
        what = str(error) or type(error).__name__
        raise CannotReach(f"no answer: {what}", maybe_executed=True) from error


def refusal(status: int, headers: Mapping[str, str], content: bytes) -> ClientError:
    """The error for an answer that is no success."""
    if status < 400:
        return UnexpectedAnswer(f"answered {status}, which leads elsewhere")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    return error_from(
        status,
        document,
        request_id=headers.get("x-request-id"),
        retry_after=_seconds(headers.get("retry-after")),
    )


def _harmless(error: BaseException) -> bool:
    """Whether the request has certainly not been carried out."""
    if isinstance(error, CannotReach):
        return not error.maybe_executed
    return isinstance(error, ApiError) and error.status < 500


def _worth_repeating(repeatable: bool, error: BaseException) -> bool:
    if isinstance(error, CannotReach):
        return repeatable or _harmless(error)
    if not isinstance(error, ApiError):
        return False
    if error.status == 429:
        # A locked account stays locked: whoever waits is told at once.
        return not isinstance(error, LoginLocked)
    # A proxy before the server has no codes of ours.
    by_a_proxy = type(error) is ApiError and error.status in (502, 503, 504)
    return repeatable and (error.retryable or by_a_proxy)


def _pause(state: tenacity.RetryCallState) -> float:
    longest = min(
        LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * float(2 ** (state.attempt_number - 1))
    )
    pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads clients, hides nothing
    error = state.outcome.exception() if state.outcome is not None else None
    wanted = error.retry_after if isinstance(error, ApiError) else None
    return pause if wanted is None else max(wanted, 0.0) + pause


def _seconds(header: str | None) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds from now."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max((moment.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 0.0)


def _trust(verify: bool | str) -> Any:
    if isinstance(verify, bool):
        return verify
    import ssl

    return ssl.create_default_context(cafile=verify)


def _plain(value: object) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
