"""Nobody is shown or told anything of another tenant."""

from __future__ import annotations

from nizam.sim.truth import CallTruth
from tests.chaos.history import Arrival, History, Operation, Sample


def check(history: History) -> list[str]:
    """Everything that is wrong. What clients write begins with their tenant's id."""
    setting, stored = history.setting, history.stored
    owners = {it.call_id: owner(it, setting.tenants) for it in history.calls}
    found = []
    for arrival in history.of(Arrival):
        tenant_id, _ = setting.endpoints[arrival.endpoint]
        theirs = owners.get(arrival.call_id or "", tenant_id)
        if arrival.tenant_id != tenant_id or theirs != tenant_id:
            found.append(f"{arrival.endpoint} was told {arrival.event_id} of {theirs}")
    for sample in history.of(Sample):
        for call_id in sample.shown:
            if owners.get(call_id, sample.tenant_id) != sample.tenant_id:
                found.append(f"{sample.tenant_id} was shown call {call_id}")
    for it in history.of(Operation):
        if it.outcome == "done" and it.value and not it.value.startswith(it.tenant_id):
            found.append(f"{it.tenant_id} was shown {it.value!r} as {it.object}")
    for kind, rows in (("summary", stored.summaries), ("leg", stored.legs)):
        for call_id, them in rows.items():
            for row in them:
                if call_id in owners and row["tenant_id"] not in (owners[call_id], None):
                    found.append(f"a {kind} of call {call_id} belongs to {row['tenant_id']}")
    for call_id, rows_of_call in stored.events.items():
        for row in rows_of_call:
            if call_id in owners and row["tenant_id"] not in (owners[call_id], None):
                found.append(f"{row['type']} of call {call_id} belongs to {row['tenant_id']}")
    return found


def owner(call: CallTruth, tenants: object) -> str | None:
    """The tenant of a call: that of the phone, or of the DID that was dialled."""
    assert isinstance(tenants, dict)
    found: str | None = tenants.get(call.domain) or tenants.get(call.dialled.lstrip("+"))
    return found
