"""webhook.disabled and webhook.test: what webhooks are told of themselves."""

from __future__ import annotations

from typing import Final

from nizam.http.event_schemas.parts import Told, Types, data
from nizam.http.schema_parts import identifier, text

WEBHOOKS: Final[Types] = {
    "webhook.disabled": Told(
        "A webhook was disabled: its endpoint does not want it, or has not worked for long.",
        data({"webhook_id": identifier("The webhook."), "reason": text("Why, in words.")}),
    ),
    "webhook.test": Told(
        "Somebody has asked for this event, to try a webhook; it goes to that one alone.",
        data({"webhook_id": identifier("The webhook.")}),
    ),
}
