"""The tree of everything that is served over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from nizam.errors import NotFound
from nizam.http.api import Api
from nizam.http.direct import DirectResource
from nizam.http.front import Front
from nizam.http.route import Route

_SHORTEST_ID = 32
_PARAMETER = re.compile(r"\{(\w+)\}")


def build_root(
    api: Api, reactor: Any, mounted: Mapping[str, IResource], routes: Sequence[Route] | None = None
) -> Resource:
    """The root of the tree: the API's routes in Klein, `mounted` beside them.

    `mounted` holds the ready-made resources by their whole path: what FreeSWITCH asks, health,
    metrics. They are outside the API: no key, no rate limit, no access log of its own.
    """
    served = api.routes() if routes is None else routes
    front = Front(api, reactor)
    table = _table(tuple((it.operation, it.method, it.path) for it in served))
    app = table(front, {it.operation: front.endpoint(it) for it in served}).app
    front.find_methods = lambda path: frozenset(
        app.url_map.bind("localhost").allowed_methods(path_info=path)
    )
    limits = {it.path: it.body_limit for it in served if it.body_limit is not None}
    return _Root(app.resource(), mounted, front, limits)


@cache
def _table(rules: tuple[tuple[str, str, str], ...]) -> Any:
    """Klein's table of operations by method and path, made once: each rule is compiled.

    It is called with the front and the endpoints by operation; its `app` leads to them.
    """
    # Klein imports the reactor, which must be chosen by then.
    from klein import Klein

    class Table:
        app = Klein()

        def __init__(self, front: Front, endpoints: Mapping[str, Callable[..., Any]]) -> None:
            self.front = front
            self.endpoints = endpoints

        def unmatched(self, request: Any, failure: Failure) -> Deferred[None]:
            return self.front.unmatched(request, failure)

    def leading_to(operation: str) -> Callable[..., Any]:
        def called(table: Table, request: Any, **path: str) -> Any:
            return table.endpoints[operation](request, **path)

        return called

    Table.app.url_map.merge_slashes = False
    for operation, method, path in rules:
        Table.app.route(
            _PARAMETER.sub(_converter, path),
            methods=[method],
            endpoint=operation,
            strict_slashes=True,
        )(leading_to(operation))
    Table.app.handle_errors(Exception)(Table.unmatched)
    return Table


def _converter(found: re.Match[str]) -> str:
    """How Klein finds a parameter: an id is long, so that words such as `import` in its place are
    paths of their own, with methods of their own."""
    name = found[1]
    return f"<string(minlength={_SHORTEST_ID}):{name}>" if name.endswith("id") else f"<{name}>"


class _Root(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        klein: Any,
        mounted: Mapping[str, IResource],
        front: Front,
        body_limits: Mapping[str, int],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._klein = klein
        self._mounted: dict[bytes, Any] = {path.encode(): it for path, it in mounted.items()}
        self.direct = {
            path: it for path, it in self._mounted.items() if isinstance(it, DirectResource)
        }
        self._front = front
        self._security_headers = [
            (name.encode(), value.encode()) for name, value in front.security_headers
        ]
        self._body_limits = [
            (re.compile(_PARAMETER.sub("[^/]+", path).encode()), limit)
            for path, limit in body_limits.items()
        ]

    def body_limit(self, path: bytes) -> int | None:
        """The largest body in bytes that a route takes, if it says so itself."""
        bare = path.partition(b"?")[0]
        return max((it for form, it in self._body_limits if form.fullmatch(bare)), default=None)

    def render(self, request: Any) -> Any:
        """Dispatch by the whole path; what is not mounted is Klein's."""
        there = self._mounted.get(request.path)
        if there is not None:
            if not isinstance(there, DirectResource):
                for name, value in self._security_headers:
                    request.setHeader(name, value)
            return there.render(request)
        if request.method == b"OPTIONS":
            self._front.options(request)
            return NOT_DONE_YET
        try:
            request.path.decode("ascii")
            b"/".join(request.postpath).decode("utf-8")
        except UnicodeDecodeError:
            self._front.refuse(request, NotFound())
            return NOT_DONE_YET
        return self._klein.render(request)
