"""A call's channel on a switch: what plans have set on it comes back with the next question."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

import attrs

from nizam.fsxml.request import XmlRequest, call_request
from nizam.routing.plan import Answer, Export, Plan, Set
from nizam.routing.request import PUBLIC_CONTEXT, CallRequest


@attrs.frozen
class Channel:
    """`first` is the first question of the call, `variables` what plans have set since."""

    first: CallRequest
    variables: Mapping[str, str] = MappingProxyType({})
    answered: bool = False

    def went_through(self, plan: Plan) -> Channel:
        """The channel after the plan."""
        found = dict(self.variables)
        for step in plan:
            if isinstance(step, Set | Export):
                found[step.name] = step.value
        answered = self.answered or any(isinstance(it, Answer) for it in plan)
        return attrs.evolve(self, variables=found, answered=answered)

    def asks(self, destination: str, disposition: str | None = None) -> CallRequest:
        """The next question: the switch was sent to `destination` in the tenant's context."""
        first = self.first
        context = self.variables.get("force_transfer_context") or first.context
        known = {
            "originate_disposition": disposition or first.disposition,
            "nizam_ivr_misses": str(first.ivr_misses) if first.ivr_misses else None,
            "nizam_extension_id": first.caller_extension_id,
            "domain_name": first.own_domain,
            **self.variables,
        }
        if first.caller_extension is not None and first.context != PUBLIC_CONTEXT:
            known |= {"sip_auth_username": first.caller_extension, "sip_authorized": "true"}
        fields = {
            "section": "dialplan",
            "Hunt-Context": context,
            "Hunt-Destination-Number": destination,
            "Unique-ID": first.unique_id,
            "Hunt-Caller-ID-Name": first.caller_name,
            "Hunt-Caller-ID-Number": first.caller_number,
            "Answer-State": "answered" if self.answered else "ringing",
            **{f"variable_{name}": it for name, it in known.items() if it is not None},
        }
        return call_request(XmlRequest(urlencode(fields).encode()))
