"""How calls were routed, into PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from nizam.model.call_decision import CallDecision
from nizam.store.system.events import Database, json_argument

_COLUMNS: Final = "decided_at, channel_id, question, tenant_id, call_id, node, revision, document"
_INSERT: Final = f"""
insert into call_decisions ({_COLUMNS})
select {_COLUMNS} from jsonb_to_recordset(%(decisions)s::jsonb) as it(
    decided_at timestamptz, channel_id text, question text, tenant_id uuid, call_id uuid,
    node text, revision bigint, document jsonb)
on conflict do nothing
"""  # noqa: S608 - no values from outside


async def write_call_decisions(database: Database, decisions: Iterable[CallDecision]) -> None:
    """Store those that are not there yet. One statement; raises what the pool raises."""
    rows = [decision_row(it) for it in decisions]
    if rows:
        await database.query(_INSERT + " returning 1", {"decisions": json_argument(rows)})


def decision_row(decision: CallDecision) -> dict[str, Any]:
    """The decision as JSON data, its document included."""
    return {
        "decided_at": decision.decided_at,
        "channel_id": decision.channel_id,
        "question": decision.question,
        "tenant_id": decision.tenant_id,
        "call_id": decision.call_id,
        "node": decision.node,
        "revision": decision.revision,
        "document": dict(decision.document()),
    }
