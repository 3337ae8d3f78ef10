"""What a call was given: the answer to one dialplan question, with all that led to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs

from nizam.fsxml.dialplan import render
from nizam.routing.decision import Decision
from nizam.routing.explain import explained
from nizam.routing.pressed import without_pressed
from nizam.routing.request import CallRequest
from nizam.routing.snapshot import TenantView


@attrs.frozen
class Served:
    """The answer `xml` to the question `call`, as decided `at` (aware); `view` is the tenant."""

    call: CallRequest
    decision: Decision
    at: datetime
    xml: bytes
    view: TenantView | None

    def document(self) -> dict[str, Any]:
        """The question, and why it was answered so, as the API shows it; what the caller has
        pressed in a call flow is not in it."""
        call = self.call
        question = {
            "from": call.caller_extension or call.caller_number,
            "to": call.destination,
            "context": call.context,
            "disposition": call.disposition,
        }
        if self.view is None:
            return question
        plan = without_pressed(self.decision.plan, call.flow.variables)
        decision, xml = self.decision, self.xml
        if plan != decision.plan:
            decision = attrs.evolve(decision, plan=plan)
            xml = render(decision, call.context, digits_hidden=call.digits_hidden)
        return question | explained(decision, self.view, xml).document()
