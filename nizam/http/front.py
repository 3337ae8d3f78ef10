"""What every request goes through before and after its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import attrs
from structlog.contextvars import bound_contextvars
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nizam.errors import (
    BadRequest,
    MethodNotAllowed,
    NizamError,
    NotFound,
    PayloadTooLarge,
    TimeoutExceeded,
    Unauthenticated,
)
from nizam.http.api import Api
from nizam.http.auth import SAFE_METHODS, Credentials
from nizam.http.changes import check_idempotency_key
from nizam.http.cookies import cookie_name
from nizam.http.cors import Cors
from nizam.http.elsewhere import served_elsewhere
from nizam.http.limits import Meter, Usages
from nizam.http.principal import (
    NOBODY,
    Principal,
    require,
    require_platform,
    require_somewhere,
    require_tenant,
    require_user,
)
from nizam.http.problems import problem
from nizam.http.reply import Reply
from nizam.http.requests import (
    all_headers,
    check_media_type,
    cookie,
    header,
    query_of,
    remote_address,
    request_id_of,
)
from nizam.http.route import REQUEST_SECONDS, Call, Route, as_uuid
from nizam.http.security_headers import security_headers
from nizam.http.stream import Stream, send
from nizam.metrics import HTTP_REQUEST_SECONDS
from nizam.model.registry import resource
from nizam.store.positions import Asking, asked_by_somebody

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NO_PATH = "there is no such path"


@attrs.define
class _Progress:
    """What is known of a request so far, for its log line."""

    route: str
    principal: Principal = NOBODY
    headers: tuple[tuple[str, str], ...] = ()
    asking: Asking = attrs.field(factory=Asking)


class Front:
    """Between Klein and the handlers: ids, keys, limits, scopes, tenancy, problems, the log."""

    _log = Logger()

    def __init__(self, api: Api, reactor: Any) -> None:
        self._api = api
        self._reactor = reactor
        self._cors = Cors(api.settings.cors_origins)
        self.security_headers = security_headers(api.settings.app_url)
        self._trusted_proxies = api.settings.http.trusted_proxies
        self._cookie_name = cookie_name(secure=api.settings.production)
        self.find_methods: Callable[[str], frozenset[str]] = lambda path: frozenset()

    def endpoint(self, route: Route) -> Callable[..., Deferred[None]]:
        """The function that Klein calls for `route`."""

        def called(request: Any, **path: str) -> Deferred[None]:
            return self._serve(
                request,
                route.path,
                lambda it: self._answer(request, route, path, it),
                route.seconds,
            )

        called.__name__ = route.operation
        return called

    def unmatched(self, request: Any, failure: Failure) -> Deferred[None]:
        """Answer for a path or method that no route has."""

        async def refuse(progress: _Progress) -> Reply:
            raise self._error_of(request, failure)

        return self._serve(request, "unmatched", refuse)

    def refuse(self, request: Any, error: NizamError) -> None:
        """Answer `error` to a request that does not reach Klein."""

        async def refused(progress: _Progress) -> Reply:
            raise error

        self._serve(request, "unmatched", refused).addCallback(lambda _: request.finish())

    def options(self, request: Any) -> None:
        """Answer OPTIONS: what may be done there, and whether a browser may (CORS preflight)."""

        async def answer(progress: _Progress) -> Reply:
            methods = self.find_methods(request.path.decode("latin-1"))
            if not methods:
                raise NotFound
            allowed = ", ".join(sorted(methods | {"OPTIONS"}))
            origin = header(request, "origin")
            return Reply(None, 204, (("Allow", allowed), *self._cors.preflight(origin, allowed)))

        self._serve(request, "OPTIONS", answer).addCallback(lambda _: request.finish())

    def _serve(
        self,
        request: Any,
        route: str,
        answer: Callable[[_Progress], Awaitable[Reply]],
        seconds: float = REQUEST_SECONDS,
    ) -> Deferred[None]:
        """Run `answer` to its end even if the client goes away: half a change helps nobody."""
        done: Deferred[None] = Deferred()
        gone: list[object] = []
        request.notifyFinish().addBoth(gone.append)

        async def serve() -> None:
            began = self._reactor.seconds()
            request_id = request_id_of(request)
            with bound_contextvars(request_id=request_id), asked_by_somebody() as asking:
                progress = _Progress(route, asking=asking)
                reply = await self._reply(request, request_id, answer, progress, seconds)
                answered = self._reactor.seconds()
                if not gone:
                    await self._write(request, request_id, reply, progress)
                else:
                    _let_go(reply)
                # How long a client stays is not how long it had to wait.
                ended = answered if reply.lasting is not None else self._reactor.seconds()
                taken = ended - began
                method = request.method.decode("ascii", "replace")
                HTTP_REQUEST_SECONDS.labels(
                    progress.route, method if method in _METHODS else "other", str(reply.status)
                ).observe(taken)
                self._log.info(
                    "{method} {path} {status}",
                    method=method,
                    path=request.path.decode("ascii", "replace"),
                    route=progress.route,
                    status=reply.status,
                    duration_ms=round(taken * 1000, 3),
                    remote=remote_address(request, self._trusted_proxies),
                    actor=progress.principal.actor,
                    **({} if reply.lasting is None else {"open_seconds": self._since(answered)}),
                )

        def finish(result: object) -> None:
            if isinstance(result, Failure):
                self._log.failure("an answer could not be written", result)
            if not done.called:
                done.callback(None)

        Deferred.fromCoroutine(serve()).addBoth(finish)
        return done

    def _since(self, moment: float) -> float:
        return round(float(self._reactor.seconds()) - moment, 3)

    async def _reply(
        self,
        request: Any,
        request_id: str,
        answer: Callable[[_Progress], Awaitable[Reply]],
        progress: _Progress,
        seconds: float,
    ) -> Reply:
        try:
            return await answer_within(self._reactor, answer(progress), seconds)
        except NizamError as error:
            if error.status >= 500:
                self._log.warn("{code}: {detail}", code=error.code, detail=error.detail)
            return problem(error, request_id, instance=request.path.decode("ascii", "replace"))
        except Exception as error:
            self._log.failure("a request failed in a way that was not foreseen")
            debug = self._api.settings.debug and not self._api.settings.production
            return problem(error, request_id, debug=debug)

    async def _answer(
        self, request: Any, route: Route, path: Mapping[str, str], progress: _Progress
    ) -> Reply:
        remote = remote_address(request, self._trusted_proxies)
        try:
            principal = await self._principal(request, route, remote)
        except Unauthenticated:
            usages = await self._count(NOBODY, remote, route)
            progress.headers = usages.headers()
            raise
        progress.principal = principal
        progress.headers = (await self._count(principal, remote, route)).headers()
        tenant_id = await self._tenant(route, path, principal)
        owners = {tenant_id or principal.home, None if principal is NOBODY else principal.id}
        progress.asking.owners = frozenset(it for it in owners if it is not None)
        self._require_permission(route, principal, tenant_id)
        if request.too_large:
            raise PayloadTooLarge("the body is larger than this path takes")
        if request.content.closed:
            raise BadRequest("the client went away before the request was carried out")
        check_media_type(request, route)
        if route.method == "POST":
            check_idempotency_key(header(request, "idempotency-key"))
        call = Call(
            route=route,
            request_id=request_id_of(request),
            principal=principal,
            path=path,
            query=query_of(request),
            headers=all_headers(request),
            raw_body=b"" if route.takes_file else request.content.read(),
            upload=request.content if route.takes_file else None,
            is_head=request.method == b"HEAD",
            remote=remote,
            tenant_id=tenant_id,
        )
        if route.method == "GET":
            return await route.handler(call)
        return await self._api.store.changing(progress.asking.owners, route.handler(call))

    async def _count(self, principal: Principal, remote: str, route: Route) -> Usages:
        """Count the request: by its key and its tenant, or by its address when nobody signed it."""
        settings, limiter = self._api.settings, self._api.limiter
        if principal is NOBODY:
            meter = Meter(f"ip:{remote}", settings.api_rate_limit, route.cost)
            return await limiter.take(remote, meter)
        if route.own_limit is not None:
            name = f"{principal.kind}:{principal.id}:{route.operation}"
            most = max(route.own_limit, principal.rate_limit_per_minute or 0)
            meter = Meter(name, most, policy=route.operation)
            return await limiter.take(str(principal.id), meter)
        limit = principal.rate_limit_per_minute or settings.api_rate_limit
        own = Meter(f"{principal.kind}:{principal.id}", limit, route.cost)
        if principal.home is None:
            return await limiter.take(str(principal.id), own)
        tenant = Meter("all", settings.api_tenant_rate_limit, route.cost, "tenant")
        return await limiter.take(str(principal.home), own, tenant)

    async def _principal(self, request: Any, route: Route, remote: str) -> Principal:
        if route.access == "public":
            return NOBODY
        given = Credentials(
            authorization=header(request, "authorization"),
            session=cookie(request, self._cookie_name),
            csrf_token=header(request, "x-csrf-token"),
            safe=request.method.decode("ascii", "replace") in SAFE_METHODS,
            ticket=dict(query_of(request)).get("ticket") if route.takes_ticket else None,
        )
        return await self._api.authenticator.identify(given, remote)

    def _require_permission(
        self, route: Route, principal: Principal, tenant_id: UUID | None
    ) -> None:
        if route.access == "user":
            require_user(principal)
        if route.permission is None:
            return
        if route.access == "members":
            require_somewhere(principal, route.permission)
        else:
            require(principal, route.permission, None if route.access == "platform" else tenant_id)

    async def _tenant(self, route: Route, path: Mapping[str, str], principal: Principal) -> Any:
        if route.access == "platform":
            if "tenant_id" in path:
                require_tenant(principal, as_uuid(path["tenant_id"]))
            require_platform(principal)
        if "tenant_id" not in path:
            return None
        tenant_id = as_uuid(path["tenant_id"])
        if route.access != "public":
            require_tenant(principal, tenant_id)
        if route.access == "tenant":
            await self._require_tenant_exists(tenant_id)
        return tenant_id

    async def _require_tenant_exists(self, tenant_id: UUID) -> None:
        """Raise NotFound unless there is such a tenant; memory lags behind a change by moments."""
        if self._api.snapshot.tenant(tenant_id) is None:
            await self._api.store.get(resource("tenant"), None, tenant_id)

    def _error_of(self, request: Any, failure: Failure) -> BaseException:
        error: BaseException = failure.value or NotFound()
        methods = getattr(error, "valid_methods", None)
        if methods:
            allowed = ", ".join(sorted({*methods, "OPTIONS"}))
            return MethodNotAllowed(f"allowed: {allowed}", headers=(("Allow", allowed),))
        if hasattr(error, "get_response"):
            # All else that Klein raises by itself: no such path, or one with a slash too many.
            path = request.path.decode("latin-1")
            return NotFound(served_elsewhere(path, self._api.settings.roles) or _NO_PATH)
        return error

    async def _write(
        self, request: Any, request_id: str, reply: Reply, progress: _Progress
    ) -> None:
        if reply.lasting is not None and reply.lasting.switches:
            await reply.lasting.serve(request, request_id)
            return
        payload = reply.payload()
        # twisted.web knows no phrase for 422 and 429.
        request.setResponseCode(reply.status, HTTPStatus(reply.status).phrase.encode())
        headers = [
            *self.security_headers,
            *progress.headers,
            *self._cors.simple(header(request, "origin")),
            ("X-Request-Id", request_id),
            *reply.headers,
        ]
        for name, value in headers:
            request.setHeader(name.encode(), value.encode("latin-1", "replace"))
        if reply.status not in (204, 304):
            request.setHeader(b"Content-Type", reply.content_type.encode())
            if reply.lasting is not None:
                if request.method != b"HEAD":
                    await reply.lasting.serve(request, request_id)
                return
            stream = reply.body if isinstance(reply.body, Stream) else None
            length = len(payload) if stream is None else stream.length
            if length is not None:
                request.setHeader(b"Content-Length", b"%d" % length)
            if stream is None or request.method == b"HEAD":
                request.write(payload)
            if stream is None:
                return
            if request.method == b"HEAD":
                stream.close()
            else:
                await send(request, stream, self._reactor)


def _let_go(reply: Reply) -> None:
    """Close what nobody will be given."""
    if isinstance(reply.body, Stream):
        reply.body.close()


async def answer_within(reactor: Any, work: Awaitable[Reply], seconds: float) -> Reply:
    """The result of `work`; TimeoutExceeded after `seconds`, while `work` goes on to its end."""
    result: Deferred[Reply] = Deferred()

    async def run() -> Reply:
        return await work

    def over() -> None:
        late.append(True)
        result.errback(TimeoutExceeded(f"not finished within {seconds:g} s"))

    def settle(outcome: Any) -> None:
        if timer.active():
            timer.cancel()
        if not late:
            result.callback(outcome) if not isinstance(outcome, Failure) else result.errback(
                outcome
            )
        elif isinstance(outcome, Failure):
            Logger().failure("a request that had timed out failed", outcome)
        else:
            _let_go(outcome)

    late: list[bool] = []
    timer = reactor.callLater(seconds, over)
    Deferred.fromCoroutine(run()).addBoth(settle)
    return await result
