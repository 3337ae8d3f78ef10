"""Lists that are read page by page, as far as they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from nizam.client.errors import UnexpectedAnswer
from nizam.client.transport import Transport

T = TypeVar("T")


class Listing(Generic[T]):
    """A list at `path`. Iterating asks for a page when the one before is used up.

    Each iteration begins anew at the start.
    """

    def __init__(
        self,
        transport: Transport,
        path: Callable[[], str],
        query: Sequence[tuple[str, str]],
        read: Callable[[Mapping[str, Any]], T],
    ) -> None:
        self._transport = transport
        self._path = path
        self._query = tuple(query)
        self._read = read

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[Sequence[T]]:
        """The pages, each when it is asked for."""
        cursor: list[tuple[str, str]] = []
        while True:
            answer = self._transport.request(
                "GET", self._path(), query=(*self._query, *cursor)
            ).json()
            try:
                rows, following = answer["data"], answer["next_cursor"]
                page = [self._read(row) for row in rows]
            except (KeyError, TypeError):
                raise UnexpectedAnswer(f"{self._path()} answered no list") from None
            yield page
            if following is None:
                return
            cursor = [("cursor", following)]

    def first(self) -> T | None:
        """The first one, None if the list is empty."""
        return next(iter(self), None)
