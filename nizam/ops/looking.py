"""Services that look for work again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import psycopg2
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nizam.errors import NizamError


class Due(Protocol):
    """Something that is taken for a while, to be settled."""

    @property
    def id(self) -> Any:
        """What the log calls it."""


D = TypeVar("D", bound=Due)


class Looking(Service, ABC):
    """Looks when it starts, and so many seconds after the beginning of the last look, or at the
    next such moment when that one is not over yet. `what` is what it looks after, for the log,
    such as "recordings"."""

    _log = Logger()

    def __init__(self, clock: Any, seconds: float, what: str) -> None:
        self._seconds = seconds
        self._what = what
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.look()))
        self._loop.clock = clock
        self._looking: Deferred[Any] | None = None

    async def look(self) -> None:
        """Do what is due, once. What goes wrong is logged: the next look goes on."""
        try:
            await self.do_due()
        except (NizamError, psycopg2.Error) as error:
            self._log.warn("the {what} wait: {error}", what=self._what, error=str(error).strip())
        except Exception:
            self._log.failure("while looking after {what}", what=self._what)

    @abstractmethod
    async def do_due(self) -> None:
        """Do what is due, once."""

    async def settle(
        self,
        take: Callable[[], Awaitable[Sequence[D]]],
        one: Callable[[D], Awaitable[None]],
    ) -> None:
        """Do `one` with all that `take` gives, those of a batch at once and a batch after another
        for as long as the service runs. What goes wrong with one is logged, and holds up no other:
        it is due again when what it was taken for is over."""
        while some := await take():
            await DeferredList([Deferred.fromCoroutine(self._attempt(one, it)) for it in some])
            if not self.running:
                return

    async def _attempt(self, one: Callable[[D], Awaitable[None]], it: D) -> None:
        try:
            await one(it)
        except (NizamError, psycopg2.Error) as error:
            self._log.warn(
                "{id} of the {what} is not settled: {error}",
                id=str(it.id),
                what=self._what,
                error=str(error).strip(),
            )
        except Exception:
            self._log.failure("{id} of the {what} is not settled", id=str(it.id), what=self._what)

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._looking = self._loop.start(self._seconds)

    def stopService(self) -> Deferred[Any] | None:  # noqa: N802 - Twisted's name
        """Look no more; the look that is under way ends by itself."""
        super().stopService()  # type: ignore[no-untyped-call]
        looking, self._looking = self._looking, None
        if looking is not None and self._loop.running:
            self._loop.stop()
        return looking
