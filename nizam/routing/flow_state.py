"""The channel variables in which a call remembers where it is, from one question to the next."""

from __future__ import annotations

from typing import Final

HOPS: Final = "nizam_hops"
"""How often the call has come back with a re-entry token."""
MAX_HOPS: Final = 100
"""Re-entries of one call after which it is taken for a loop and ended."""

VARIABLE: Final = "nizam_flow_"
"""Stands before the name of a call flow's variable."""
FLOW_NEXT: Final = "nizam_callflow_next"
"""The token that a flow has sent the call to: only with it the flow goes on."""
FLOW_TO: Final = "nizam_callflow_to"
"""What was dialled when the flow began."""
