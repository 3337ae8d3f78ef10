"""What a request to provision a tenant says, read whole, so that everything wrong with it is told.

The lists of objects are those of a tenant document: planned as for a tenant that has nothing yet,
so that they can name each other by number or name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import attrs
import orjson
from pydantic import BaseModel, ValidationError

from nizam.document.checks import check_together
from nizam.document.plan import Change, Planner, document_resources
from nizam.errors import FieldError
from nizam.model.provision import MOST_OBJECTS, Administrator, ExtensionRange, Provision
from nizam.model.resource import Resource
from nizam.model.tenant import Tenant
from nizam.model.validation import field_errors
from nizam.slices import Sliced

M = TypeVar("M", bound=BaseModel)

_EXTENSION = re.compile(r"/extensions/(\d+)")
_OWN_FIELDS = {"/number": "/first", "/display_name": "/display_name"}


@attrs.frozen(kw_only=True)
class Wanted:
    """What is asked for. `changes` make the objects. With `errors` it cannot be had, and
    `provision` is None if it could not even be read; then `tenant` and `admin` are what is right
    of it."""

    provision: Provision | None
    tenant: Tenant | None
    admin: Administrator | None
    changes: Sequence[Change]
    errors: Sequence[FieldError]


@cache
def provisioned() -> tuple[Resource, ...]:
    """The resources of which a new tenant can be given objects: those that documents hold, but
    what every tenant is given anyway."""
    return tuple(it for it in document_resources() if not it.defaults)


def read_provision(
    given: Mapping[str, Any], new_id: Callable[[], UUID], domain_suffix: str | None
) -> Sliced[Wanted]:
    """What the JSON object `given` asks for; a tenant without a domain has its slug's below
    `domain_suffix`."""
    tables = {it.table for it in provisioned()}
    lists = {name: value for name, value in given.items() if name in tables}
    rest = {name: value for name, value in given.items() if name not in tables}
    tenant = rest.get("tenant")
    errors: list[FieldError] = []
    if isinstance(tenant, dict):
        if "status" in tenant:
            errors.append(FieldError("/tenant/status", "read_only", "stands beside the tenant"))
        own = {name: value for name, value in tenant.items() if name != "status"}
        if "domain" not in own and domain_suffix and isinstance(own.get("slug"), str):
            own["domain"] = f"{own['slug']}.{domain_suffix}"
        rest["tenant"] = own
    provision, wrong = _validated(Provision, rest)
    errors += wrong
    # What is right is still looked at, so that all that is wrong is said at once.
    spread, _ = _validated(ExtensionRange, rest.get("extension_range"))
    described, _ = _validated(Tenant, rest.get("tenant"))
    admin, _ = _validated(Administrator, rest.get("admin"))
    count = sum(len(it) for it in lists.values() if isinstance(it, list))
    if count + (0 if spread is None else spread.count) > MOST_OBJECTS:
        message = f"makes more than {MOST_OBJECTS} objects: apply a document to the tenant"
        errors.append(FieldError("", "too_long", message))
        return Wanted(
            provision=None, tenant=described, admin=admin, changes=(), errors=tuple(errors)
        )
    listed = lists.get("extensions", [])
    if spread is not None and isinstance(listed, list):
        lists["extensions"] = [*listed, *spread.bodies()]
    planner = Planner(present={}, tenant=None, reveal=_nothing_to_reveal, new_id=new_id)
    plan = yield from planner.plan(lists)
    quotas = {} if described is None else dict(described.quotas)
    together = yield from check_together({}, plan.changes, quotas, ())
    found = [*plan.errors, *together, *_only_marked(plan.changes)]
    if spread is None and rest.get("extension_range") is not None:
        # Whatever refers to one of its numbers is not what is wrong.
        found = [it for it in found if it.code != "not_found"]
    number = len(listed) if isinstance(listed, list) else 0
    told = [_as_given(it, number) for it in found]
    errors += {(it.path, it.code): it for it in told}.values()
    return Wanted(
        provision=provision,
        tenant=described,
        admin=admin,
        changes=plan.changes,
        errors=tuple(errors),
    )


def _validated(model: type[M], value: Any) -> tuple[M | None, list[FieldError]]:
    try:
        return model.model_validate_json(orjson.dumps(value), strict=True), []
    except ValidationError as error:
        return None, field_errors(error)


def _as_given(error: FieldError, listed: int) -> FieldError:
    """The error of an extension that a range has made points to the range."""

    def is_listed(found: re.Match[str]) -> bool:
        return int(found[1]) < listed

    message = _EXTENSION.sub(
        lambda it: it[0] if is_listed(it) else "/extension_range", error.message
    )
    found = _EXTENSION.match(error.path)
    if found is None or is_listed(found):
        return attrs.evolve(error, message=message)
    field = error.path[found.end() :]
    path = f"/extension_range{_OWN_FIELDS.get(field, f'/fields{field}')}"
    return attrs.evolve(error, path=path, message=message)


def _only_marked(changes: Sequence[Change]) -> list[FieldError]:
    """Secrets that exported documents only mark: here nobody has them."""
    return [
        FieldError(f"{it.path}/{field.replace('.', '/')}", "missing", "is marked, and not given")
        for it in changes
        for field in it.missing
    ]


def _nothing_to_reveal(resource: str, identifier: UUID, field: str, text: str) -> str:
    raise AssertionError("a tenant that is being made has no secrets yet")
