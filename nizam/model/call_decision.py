"""How a call was routed, as it is kept: one for each dialplan question of the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs


@attrs.frozen(kw_only=True)
class CallDecision:
    """What a call was given at one question.

    `question` is the same when the question comes again; `revision` that of the tenant's
    configuration; `document` gives the question, the trace in words, the plan and the XML that was
    served, when it is stored.
    """

    decided_at: datetime
    channel_id: str
    question: str
    tenant_id: UUID
    call_id: UUID
    node: str
    revision: int | None
    document: Callable[[], Mapping[str, Any]]
