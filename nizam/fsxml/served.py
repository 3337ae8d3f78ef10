"""What a call was given: the answer to one dialplan question, with all that led to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs

from nizam.routing.decide import Decision
from nizam.routing.explain import explained
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
        """The question, and why it was answered so, as the API shows it."""
        call = self.call
        question = {
            "from": call.caller_extension or call.caller_number,
            "to": call.destination,
            "context": call.context,
            "disposition": call.disposition,
        }
        if self.view is None:
            return question
        return question | explained(self.decision, self.view, self.xml).document()
