"""The base of every resource's body."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen part of a body. Unknown fields are errors at the API's edge."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=False, ser_json_inf_nan="null"
    )


class Body(Value):
    """What a client may write of a resource; id, times and version are added by the store."""

    enabled: bool = True
    """Whether it has an effect; false switches it off and keeps it."""
