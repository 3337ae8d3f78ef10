"""Looks at the files of messages where the media root is: whether each is there, and whole; then
its owner is told of the message by email."""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import Logger

from nizam import metrics
from nizam.errors import MediaUnavailable
from nizam.media.library import MediaLibrary
from nizam.media.patience import PATIENCE_ATTEMPTS, wait_after, wait_for_missing
from nizam.media.wav import WavFacts
from nizam.ops.looking import Looking
from nizam.store.pool import Pool, Transaction
from nizam.store.system import voicemail as stored
from nizam.store.system.voicemail import Message

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 4
LEASE_SECONDS: Final = 120.0
"""When another instance takes what this one has not settled."""
DEADLINE_SECONDS: Final = 5.0
_ELSEWHERE: Final = "the switch keeps it outside of the media root"


class MessageFiles(Looking):
    """Settles what is known of the files of messages. Any number of instances may do so."""

    _log = Logger(namespace="nizam.voicemail")

    def __init__(self, reactor: Any, pool: Pool, library: MediaLibrary) -> None:
        super().__init__(reactor, LOOK_SECONDS, "messages")
        self._pool = pool
        self._library = library

    async def do_due(self) -> None:
        """Do what is due, once."""
        await self.settle(
            lambda: stored.take_messages(
                self._pool, ("checking", "missing"), AT_ONCE, LEASE_SECONDS
            ),
            self._check,
        )

    async def _check(self, it: Message) -> None:
        if it.file is None:
            await self._settle_missing(it, _ELSEWHERE, None)
            return
        try:
            facts = await self._library.examine(it.file)
        except MediaUnavailable as error:
            await self._wait(it, error.detail)
            return
        patient = it.attempt_count < PATIENCE_ATTEMPTS
        if facts is None:
            await self._missing(it, patient=patient)
        elif facts.problem is not None and patient:
            await self._wait(it, facts.problem)
        else:
            await self._found(it, facts)

    async def _found(self, it: Message, facts: WavFacts) -> None:
        async def work(transaction: Transaction) -> bool:
            if not await stored.note_found(transaction, it, facts):
                return False
            await stored.mail_of(transaction, it.id)
            return True

        if await self._pool.transaction(work, DEADLINE_SECONDS):
            outcome = "available" if facts.problem is None else "damaged"
            metrics.VOICEMAIL_TOTAL.labels(outcome).inc()

    async def _settle_missing(self, it: Message, problem: str, wait: float | None) -> None:
        async def work(transaction: Transaction) -> None:
            await stored.note_missing(transaction, it, problem, wait)
            # Its owner is told of it all the same.
            await stored.mail_of(transaction, it.id)

        await self._pool.transaction(work, DEADLINE_SECONDS)

    async def _missing(self, it: Message, *, patient: bool) -> None:
        problem = "the file is not in the media root"
        if patient:
            await self._wait(it, problem)
            return
        await self._settle_missing(it, problem, wait_for_missing(it.attempt_count))
        if it.state != "missing":
            metrics.VOICEMAIL_TOTAL.labels("missing").inc()
            self._log.error(
                "the message {path} of node {node} is missing", path=it.path, node=it.node
            )

    async def _wait(self, it: Message, problem: str) -> None:
        await stored.put_off(self._pool, it, problem, wait_after(it.attempt_count))
