"""What has to be done so that a tenant becomes what a document says.

Objects are matched by their keys. What a document lists is made or changed; what it does not list
stays, unless the plan prunes: then, of the types that the document lists, the rest is deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import attrs
import orjson
from pydantic import ValidationError

from nizam.document.form import FORMAT, default_of, pick, tenant_fields
from nizam.document.keys import key_text, natural_key, told_apart
from nizam.document.links import slots
from nizam.errors import FieldError
from nizam.model.pointer import pointer
from nizam.model.registry import resources
from nizam.model.resource import Reference, Resource, with_fields
from nizam.model.validation import field_errors
from nizam.slices import Sliced

MOST_ERRORS = 1000
"""After so many a plan is given up."""

Operation = Literal["create", "update", "delete"]
Treatment = Literal["replace", "merge", "skip", "refuse"]
"""What an object that is there already becomes: what the document says alone, or what it says of
single fields; or it stays as it is; or it is an error that it is there."""


class Known(Protocol):
    """An object that is there: its body as JSON values, its secrets encrypted."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def version(self) -> int:
        """How often it was changed, and made."""

    @property
    def created_at(self) -> datetime:
        """When it was made."""

    @property
    def body(self) -> Mapping[str, Any]:
        """Its fields."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """Its secrets, encrypted."""


@attrs.frozen(kw_only=True)
class Change:
    """One object that is made, changed or deleted.

    `path` points to it in the document. `body` is what is stored of it afterwards. Its secrets are
    `sealed`, as they are stored, or else the present ones with those of `given`, in clear, in
    their place and without those of `cleared`. `missing` are those that the document only marks
    and nobody can make. An object that comes back has been `created_at` its first making.
    """

    operation: Operation
    resource: Resource
    id: UUID
    key: str
    path: str = ""
    before: Known | None = None
    body: Mapping[str, Any] = attrs.field(factory=dict)
    version: int = 1
    created_at: datetime | None = None
    given: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    cleared: tuple[str, ...] = ()
    sealed: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    missing: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()


Present = Mapping[str, Sequence[Known]]
"""Resource name -> the tenant's objects in the order in which they were made."""


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that is to be done. `names` says what each object is called, before and after."""

    changes: tuple[Change, ...]
    unchanged: int
    errors: tuple[FieldError, ...] = ()
    names: Mapping[tuple[str, str], str] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class Planner:
    """Makes plans. `reveal` decrypts a stored secret: (resource, id, field, text). `tenant` is None
    for one that is only being made: documents say nothing of its own settings then."""

    present: Present
    tenant: Known | None
    reveal: Callable[[str, UUID, str, str], str]
    new_id: Callable[[], UUID]
    prune: bool = False
    treatment: Treatment = "replace"

    def plan(self, document: Mapping[str, Any]) -> Sliced[Plan]:
        """The plan for a document, JSON values as its reader gave them; `errors` names every
        field of the document that is wrong by itself or refers to what is not there, at least the
        first thousand."""
        errors = _outside(document)
        work = _Work(self, (yield from names_of(self.present)))
        for it in document_resources():
            listed = document.get(it.table)
            elements = listed if isinstance(listed, list) else []
            yield from work.name(it, elements, listed=isinstance(listed, list))
        changes: list[Change] = []
        for it in document_resources():
            listed = document.get(it.table)
            for index, element in enumerate(listed if isinstance(listed, list) else ()):
                if len(errors) >= MOST_ERRORS:
                    break
                if isinstance(element, dict):
                    change = work.change(it, index, element, errors)
                    changes += [] if change is None else [change]
                yield
        changes += self._of_tenant(document.get("tenant"), errors)
        return Plan(
            changes=(*work.deletes, *changes),
            unchanged=work.unchanged,
            errors=tuple(errors),
            names=work.called,
        )

    def _of_tenant(self, given: Any, errors: list[FieldError]) -> list[Change]:
        if not isinstance(given, dict) or self.tenant is None:
            return []
        it = resources()["tenant"]
        wrong = [name for name in given if name not in tenant_fields()]
        errors += [
            FieldError(pointer(("tenant", name)), "unknown_field", "is no setting of documents")
            for name in wrong
        ]
        kept = {
            name: value for name, value in self.tenant.body.items() if name not in tenant_fields()
        }
        fields = {name: value for name, value in kept.items() if name not in it.read_only}
        fields |= {name: value for name, value in given.items() if name not in wrong}
        try:
            body = it.body.model_validate_json(orjson.dumps(fields), strict=True)
        except ValidationError as error:
            errors += field_errors(error, "/tenant")
            return []
        values = it.derived(it.public(body) | {name: kept.get(name) for name in it.read_only})
        if wrong or values == self.tenant.body:
            return []
        return [
            Change(
                operation="update",
                resource=it,
                id=self.tenant.id,
                key=str(self.tenant.body["slug"]),
                path="/tenant",
                before=self.tenant,
                body=values,
                version=self.tenant.version + 1,
            )
        ]


def document_resources() -> tuple[Resource, ...]:
    """The resources that documents hold: all that belong to tenants."""
    return tuple(it for it in resources().values() if it.scope == "tenant")


def names_of(present: Present) -> Sliced[dict[tuple[str, str], str]]:
    """(type, id) -> what each object is called."""
    found: dict[tuple[str, str], str] = {}
    for it in document_resources():
        objects = present.get(it.name, ())
        texts = []
        for each in objects:
            texts.append(key_text(it, each.body))
            yield
        for each, name in zip(objects, told_apart(texts), strict=True):
            found[it.name, str(each.id)] = name
            yield
    return found


def _outside(document: Mapping[str, Any]) -> list[FieldError]:
    """What is wrong around the objects."""
    tables = {it.table for it in document_resources()}
    errors: list[FieldError] = []
    for name, value in document.items():
        path = pointer((name,))
        if name == "format":
            if value != FORMAT or isinstance(value, bool):
                errors.append(FieldError(path, "format", f"must be {FORMAT}"))
        elif name == "tenant":
            if not isinstance(value, dict):
                errors.append(FieldError(path, "dict_type", "must be an object"))
        elif name not in tables:
            errors.append(FieldError(path, "unknown_field", "is no part of a document"))
        elif not isinstance(value, list):
            errors.append(FieldError(path, "list_type", "must be a list"))
        else:
            errors += [
                FieldError(pointer((name, index)), "dict_type", "must be an object")
                for index, it in enumerate(value)
                if not isinstance(it, dict)
            ]
    return errors


class _Work:
    """The names of everything, and what has been found out so far."""

    def __init__(self, planner: Planner, called: dict[tuple[str, str], str]) -> None:
        self._planner = planner
        self.called = called
        self._ids: defaultdict[str, dict[str, UUID]] = defaultdict(dict)
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._matched: dict[tuple[str, int], tuple[str, Known | None, UUID]] = {}
        self.deletes: list[Change] = []
        self.unchanged = 0

    def name(self, it: Resource, elements: Iterable[Any], *, listed: bool) -> Sliced[None]:
        """Match the elements of a list with the objects that are there."""
        yield
        present: dict[str, Known] = {}
        for known in self._planner.present.get(it.name, ()):
            present[self.called[it.name, str(known.id)]] = known
            yield
        given = [(index, each) for index, each in enumerate(elements) if isinstance(each, dict)]
        texts = []
        for _, each in given:
            texts.append(_text(it, each))
            yield
        texts = told_apart(texts)
        for (index, _), name in zip(given, texts, strict=True):
            match = present.pop(name, None)
            identifier = self._planner.new_id() if match is None else match.id
            self._matched[it.name, index] = (name, match, identifier)
            self._ids[it.name][name] = identifier
            self.called[it.name, str(identifier)] = name
            yield
        for name, known in present.items():
            if listed and self._planner.prune:
                self.deletes.append(
                    Change(operation="delete", resource=it, id=known.id, key=name, before=known)
                )
            else:
                self._ids[it.name][name] = known.id
        self._known[it.name] = {str(each) for each in self._ids[it.name].values()}

    def change(
        self, it: Resource, index: int, element: dict[str, Any], errors: list[FieldError]
    ) -> Change | None:
        """What has to be done about one element; None if nothing."""
        place: tuple[str | int, ...] = (it.table, index)
        name, known, identifier = self._matched[it.name, index]
        if known is not None and self._planner.treatment == "refuse":
            field = natural_key(it)[0]
            message = f"there is already a {it.name.replace('_', ' ')} {name}"
            errors.append(FieldError(pointer((*place, field)), "taken", message))
            return None
        if known is not None and self._planner.treatment == "skip":
            return None
        found = [
            FieldError(pointer((*place, field)), "read_only", "is written by NIZAM alone")
            for field in sorted(it.kept)
            if field in element
        ]
        fields = orjson.loads(orjson.dumps(element))
        found += self._resolve(it, fields, place)
        marked = [each.field for each in it.secrets if _is_mark(pick(fields, each.field))]
        fields = with_fields(fields, dict.fromkeys(marked))
        if known is not None and self._planner.treatment == "merge":
            fields = _merged(
                {key: value for key, value in known.body.items() if key not in it.kept}, fields
            )
        try:
            body = it.body.model_validate_json(orjson.dumps(fields), strict=True)
        except ValidationError as error:
            found += [
                each
                for each in field_errors(error, pointer(place))
                # What does not refer to anything is no UUID either.
                if not any(each.path == other.path for other in found)
            ]
        if found:
            errors += found
            return None
        values = it.public(body)
        for field in it.kept:
            values[field] = default_of(it.body, field) if known is None else known.body.get(field)
        if known is not None:
            # What NIZAM writes is not taken away by a document that does not say it: a flow stays
            # published.
            values |= {
                each: known.body.get(each) for each in it.in_documents if each not in element
            }
        values = it.derived(values)
        if it.derive is not None:
            body = it.body.model_validate(values)
        given = {
            each.field: text
            for each in it.secrets
            if (text := each.of(body)) is not None
            and not self._is_present(it, known, each.field, text)
        }
        cleared = _cleared(it, element, known)
        if known is not None and values == known.body and not given and not cleared:
            self.unchanged += 1
            return None
        return Change(
            operation="create" if known is None else "update",
            resource=it,
            id=identifier,
            key=name,
            path=pointer(place),
            before=known,
            body=values,
            version=1 if known is None else known.version + 1,
            given=given,
            cleared=cleared,
            missing=_missing(it, marked, known),
            references=tuple(it.references(body)),
        )

    def _resolve(
        self, it: Resource, fields: dict[str, Any], place: tuple[str | int, ...]
    ) -> list[FieldError]:
        """Put ids in the place of names; what is wrong with those."""
        errors: list[FieldError] = []
        for slot in slots(it.body, fields):
            named = self._ids[slot.type].get(slot.value)
            if named is not None:
                slot.put(str(named))
            elif slot.value.lower() not in self._known[slot.type]:
                words = slot.type.replace("_", " ")
                errors.append(
                    FieldError(
                        pointer((*place, *slot.path)),
                        "not_found",
                        f"neither the document nor the tenant has a {words} called {slot.value!r}",
                    )
                )
        return errors

    def _is_present(self, it: Resource, known: Known | None, field: str, text: str) -> bool:
        if known is None or field not in known.secrets:
            return False
        return self._planner.reveal(it.name, known.id, field, known.secrets[field]) == text


def _text(it: Resource, element: Mapping[str, Any]) -> str:
    key = {
        name: element[name] if name in element else default_of(it.body, name)
        for name in natural_key(it)
    }
    return key_text(it, key)


def _is_mark(value: Any) -> bool:
    return isinstance(value, dict) and value.get("secret") is True and len(value) == 1


def _missing(it: Resource, marked: Iterable[str], known: Known | None) -> tuple[str, ...]:
    kept = {} if known is None else known.secrets
    made = {each.field for each in it.secrets if each.generate is not None}
    return tuple(field for field in marked if field not in kept and field not in made)


def _cleared(it: Resource, element: Mapping[str, Any], known: Known | None) -> tuple[str, ...]:
    """The secrets that the document sets to null: one that there must be stays as it is, so that
    applying again changes nothing."""
    kept = {} if known is None else known.secrets
    return tuple(
        secret.field
        for secret in it.secrets
        if secret.generate is None and secret.field in kept and secret.is_cleared_by(element)
    )


def _merged(target: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(target)
    for name, value in patch.items():
        present = merged.get(name)
        both = isinstance(value, dict) and isinstance(present, dict)
        merged[name] = _merged(present, value) if both and present is not None else value
    return merged
