"""The plan of a rollback: from what a tenant is to what it was at one of its revisions. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from nizam.document.form import default_of, tenant_fields
from nizam.document.keys import key_text
from nizam.document.plan import Change, Plan, names_of
from nizam.errors import FieldError
from nizam.model.pointer import pointer
from nizam.model.registry import resources
from nizam.model.validation import field_errors
from nizam.slices import Sliced
from nizam.store.bulk import Everything
from nizam.store.revisions import Version
from nizam.store.stored import Stored


def way_back(everything: Everything, former: Iterable[Version], with_tenant: bool) -> Sliced[Plan]:
    """The plan that makes all objects what they were; with `with_tenant` the tenant's own settings
    too, except its quotas. Its `errors` name what cannot be as it was."""
    present = {
        (it.resource.name, it.id): it for objects in everything.present.values() for it in objects
    }
    names = yield from names_of(everything.present)
    wanted = [it for it in former if it.body is not None and it.resource in resources()]
    staying: set[tuple[str, str]] = set()
    for it in wanted:
        staying.add((it.resource, str(it.id)))
        yield
    changes: list[Change] = []
    errors: list[FieldError] = []
    unchanged = 0
    for it in wanted:
        if it.resource == "tenant":
            if with_tenant:
                changes += _former_tenant(everything.tenant, it)
            continue
        known = present.pop((it.resource, it.id), None)
        change = _former(it, known, staying, names, errors)
        unchanged += change is None
        changes += [] if change is None else [change]
        yield
    deletes: list[Change] = []
    for (name, identifier), known in present.items():
        key = names[name, str(identifier)]
        deletes.append(
            Change(
                operation="delete", resource=known.resource, id=identifier, key=key, before=known
            )
        )
        yield
    return Plan(
        changes=(*deletes, *changes), unchanged=unchanged, errors=tuple(errors), names=names
    )


def _former(
    it: Version,
    known: Stored | None,
    staying: set[tuple[str, str]],
    names: dict[tuple[str, str], str],
    errors: list[FieldError],
) -> Change | None:
    """What makes the object what it was; None if it still is."""
    resource = resources()[it.resource]
    values = dict(it.body or {})
    for field in resource.kept:
        values[field] = default_of(resource.body, field) if known is None else known.body.get(field)
    values = resource.derived(values)
    if known is not None and values == known.body and dict(it.secrets) == dict(known.secrets):
        return None
    key = key_text(resource, values)
    names.setdefault((it.resource, str(it.id)), key)
    path = pointer((resource.table, key))
    try:
        body = resource.body.model_validate(values)
    except ValidationError as error:
        errors += field_errors(error, path)
        return None
    references = tuple(resource.references(body))
    errors += [
        FieldError(f"{path}{each.path}", "not_found", f"the {each.type} is not there any more")
        for each in references
        if resources()[each.type].scope == "tenant" and (each.type, str(each.id)) not in staying
    ]
    return Change(
        operation="create" if known is None else "update",
        resource=resource,
        id=it.id,
        key=key,
        path=path,
        before=known,
        body=values,
        version=(it.latest if known is None else known.version) + 1,
        created_at=it.created_at,
        sealed=it.secrets,
        references=references,
    )


def _former_tenant(tenant: Stored, it: Version) -> list[Change]:
    own = {name: (it.body or {})[name] for name in tenant_fields() if name in (it.body or {})}
    values = {**tenant.body, **own, "quotas": tenant.body["quotas"]}
    if values == tenant.body:
        return []
    return [
        Change(
            operation="update",
            resource=tenant.resource,
            id=tenant.id,
            key=str(tenant.body["slug"]),
            path="/tenant",
            before=tenant,
            body=values,
            version=tenant.version + 1,
        )
    ]
