"""The query of a request that is no list, read by a model as bodies are."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import attrs
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from nizam.errors import FieldError, ValidationFailed
from nizam.http.route import Call
from nizam.model.validation import field_errors

Q = TypeVar("Q", bound="Query")


def _yes_or_no(value: Any) -> Any:
    if value not in ("true", "false"):
        raise PydanticCustomError("invalid_value", "takes true or false", {})
    return value


YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no)]
"""true or false, written so."""


class Query(BaseModel):
    """What a query may say: every parameter with its default. This one takes none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_query(call: Call, model: type[Q]) -> Q:
    """What the query says. ValidationFailed naming every parameter that is wrong."""
    names = [name for name, _ in call.query]
    errors = [
        FieldError(name, "duplicate", "stands twice")
        for name in sorted({it for it in names if names.count(it) > 1})
    ]
    found: Q | None = None
    try:
        found = model.model_validate_strings(dict(call.query))
    except ValidationError as error:
        errors += [_of_parameter(it, model) for it in field_errors(error)]
    if errors or found is None:
        wrong = ", ".join(dict.fromkeys(it.path for it in errors))
        raise ValidationFailed(f"wrong parameters: {wrong}", errors=errors)
    return found


def _of_parameter(error: FieldError, model: type[Query]) -> FieldError:
    """The error under the parameter's name, which is no JSON Pointer."""
    name = error.path.removeprefix("/")
    if error.code != "unknown_field":
        return attrs.evolve(error, path=name)
    takes = " and ".join(model.model_fields) or "none"
    return FieldError(name, "unknown_parameter", f"takes {takes}")
