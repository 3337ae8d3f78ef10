"""Changes that are dialled, made as the API makes them: validated, audited, with their events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import attrs
import orjson
from twisted.logger import Logger

from nizam.errors import NizamError
from nizam.http.body import merge_patch, validate
from nizam.http.deciding import Ran
from nizam.model.base import Body
from nizam.model.registry import resource
from nizam.model.resource import Resource
from nizam.routing.decision import Decision
from nizam.routing.facts import Command
from nizam.routing.request import CallRequest
from nizam.store.context import ChangeContext, Idempotency
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

SECONDS: Final = 0.7
"""How long the changes may wait for earlier ones, and how long they may take themselves; FreeSWITCH
gives the question up after 2 s."""

_Done = list[dict[str, Any]]


@attrs.frozen
class StoreCommander:
    """Runs the commands of a decision in one transaction.

    The question's id is kept with the change, so that the same question again, be it at another
    instance, changes nothing and is told what was done.
    """

    _store: Store
    _log: Logger = attrs.field(factory=lambda: Logger(namespace="nizam.routing"))

    async def run(self, tenant_id: UUID, call: CallRequest, decision: Decision) -> Ran:
        """See Commander.run."""

        async def work(unit: UnitOfWork) -> _Done:
            for it in decision.commands:
                declared = resource(it.resource)
                await unit.update(declared, it.id, _patched(declared, it))
            return [attrs.asdict(it) for it in decision.commands]

        context = _context(call, decision)
        try:
            done = await self._store.write(tenant_id, context, work, deadline=SECONDS)
        except NizamError as error:
            return Ran(failed=error.detail)
        except Exception:
            self._log.failure("a dialled change could not be made")
            return Ran(failed="an unexpected fault of NIZAM's")
        commands = (Command(it["resource"], UUID(str(it["id"])), it["changes"]) for it in done)
        return Ran(tuple(commands))


def _patched(declared: Resource, command: Command) -> Callable[[Stored], Body]:
    def change(present: Stored) -> Body:
        own = declared.read_only
        kept = {name: it for name, it in present.body.items() if name not in own}
        return validate(declared.body, merge_patch(kept, dict(command.changes)))

    return change


def _context(call: CallRequest, decision: Decision) -> ChangeContext:
    caller = decision.caller
    return ChangeContext(
        actor_type="extension",
        actor_name="" if caller is None else f"extension {caller.body.number}",
        actor_id=None if caller is None else caller.id,
        address=None,
        request_id=call.unique_id,
        idempotency=_once(call, decision),
    )


def _once(call: CallRequest, decision: Decision) -> Idempotency | None:
    core, _, sequence = call.question_id.partition(" ")
    if not core or not sequence:
        return None
    return Idempotency(
        owner=f"question {decision.tenant_id}",
        key=call.question_id[:255],
        # What is asked for can differ the second time: a switch that was set is to be cleared.
        request_hash=hashlib.sha256(call.question_id.encode()).digest(),
        save=orjson.dumps,
        restore=orjson.loads,
    )
