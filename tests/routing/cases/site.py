"""The switch of the cases: every tenant of `tenants/` on it, each made from its document.

Documents are what `nizam export` writes, read as `nizam apply` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import attrs
import orjson

from nizam.cli.input import as_declared, parse_yaml
from nizam.document.checks import check_together
from nizam.document.plan import Change, Planner, document_resources
from nizam.errors import FieldError
from nizam.model.registry import resource
from nizam.model.resource import Resource
from nizam.routing.rows import Row
from nizam.routing.snapshot import Snapshot
from nizam.slices import at_once
from tests.document.tenants import Kept
from tests.routing.tenants import MEDIA_ROOT

HERE = Path(__file__).parent
SPACE = UUID("01937a5e-0000-7000-8000-0000000000ca")
SUFFIX = "example.test"

Document = Mapping[str, Any]
Node = tuple[str, str]


class CannotBeSaved(Exception):
    """The document is one that the API would refuse; `errors` say why."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("\n".join(f"{it.path} {it.message}" for it in errors))
        self.errors = errors


def read_yaml(path: Path) -> Any:
    """The YAML in a file as the command line reads it: +1202 and 0049 are texts."""
    return parse_yaml(path.read_text(), path.name)


def declared(document: Document) -> dict[str, Any]:
    """The document with numbers as texts where the fields take texts, as `nizam apply` does."""
    found = dict(document)
    for it in document_resources():
        listed = found.get(it.table)
        if isinstance(listed, list):
            schema = _schema(it.name)
            found[it.table] = as_declared(
                listed, {"type": "array", "items": schema}, schema.get("$defs", {})
            )
    return found


@cache
def _schema(name: str) -> dict[str, Any]:
    return resource(name).body.model_json_schema(by_alias=True)


def tenant_id(slug: str) -> UUID:
    """The id of a tenant."""
    return uuid5(SPACE, slug)


def domain(slug: str) -> str:
    """The SIP domain of a tenant."""
    return f"{slug}.{SUFFIX}"


@attrs.define
class Site:
    """One tenant as documents make it. Its ids are the same in every run."""

    slug: str
    body: dict[str, Any]
    objects: dict[str, list[Kept]] = attrs.field(factory=dict)
    _made: int = 0

    def copy(self) -> Site:
        """A tenant that can be changed without changing this one."""
        objects = {name: list(it) for name, it in self.objects.items()}
        return Site(self.slug, dict(self.body), objects, self._made)

    def save(self, document: Document, *, checked: bool = True) -> None:
        """Apply the document, merging it with what is there; CannotBeSaved if that is refused.

        Without `checked` what must hold between objects is not looked at, as for data that is
        older than a check.
        """
        planner = Planner(
            present=self.objects,
            tenant=Kept(id=tenant_id(self.slug), body=self.body),
            reveal=lambda kind, identifier, field, text: text.removeprefix("sealed:"),
            new_id=self._new_id,
            treatment="merge",
        )
        plan = at_once(planner.plan(declared(document)))
        errors = list(plan.errors)
        if checked:
            quotas: Mapping[str, int] = self.body["quotas"]
            errors += at_once(check_together(self.objects, plan.changes, quotas, self._edges()))
        if errors:
            raise CannotBeSaved(errors)
        for it in plan.changes:
            self._carry_out(it)

    def _new_id(self) -> UUID:
        self._made += 1
        return uuid5(SPACE, f"{self.slug}/{self._made}")

    def _edges(self) -> list[tuple[Node, Node]]:
        found: list[tuple[Node, Node]] = []
        for name, objects in self.objects.items():
            it = resource(name)
            for each in objects:
                onwards = it.references(it.body.model_validate(each.body))
                start = (name, str(each.id))
                found += [(start, (to.type, str(to.id))) for to in onwards if to.by_itself]
        return found

    def _carry_out(self, it: Change) -> None:
        if it.resource.name == "tenant":
            self.body = dict(it.body)
            return
        own = self.objects.setdefault(it.resource.name, [])
        place = next((n for n, each in enumerate(own) if each.id == it.id), len(own))
        before = {} if it.before is None else dict(it.before.secrets)
        kept = {name: text for name, text in before.items() if name not in it.cleared}
        secrets = kept | {name: f"sealed:{text}" for name, text in it.given.items()}
        own[place : place + 1] = [Kept(id=it.id, body=it.body, version=it.version, secrets=secrets)]

    def rows(self) -> list[Row]:
        """What the snapshot is given."""
        mine = tenant_id(self.slug)
        rows = [Row("tenant", mine, None, 1, orjson.dumps(self.body))]
        rows += [
            Row(name, it.id, mine, it.version, orjson.dumps(it.body), orjson.dumps(it.secrets))
            for name, objects in self.objects.items()
            for it in objects
        ]
        return rows


@cache
def tenants() -> Mapping[str, Site]:
    """The tenants of `tenants/` by their slugs, as their documents say."""
    return {path.stem: _from_file(path) for path in sorted((HERE / "tenants").glob("*.yaml"))}


def new_site(slug: str) -> Site:
    """An active tenant with what every tenant is given and nothing else."""
    it: Resource = resource("tenant")
    fields = {"name": slug.title(), "slug": slug, "domain": domain(slug)}
    made = Site(slug, it.public(it.body.model_validate(fields)) | {"status": "active"})
    made.save(
        {
            each.table: [given.model_dump(mode="json") for given in each.defaults]
            for each in document_resources()
            if each.defaults
        }
    )
    return made


def _from_file(path: Path) -> Site:
    made = new_site(path.stem)
    made.save(read_yaml(path))
    return made


def switch(*changed: Site) -> Snapshot:
    """A snapshot of all tenants, some of them changed."""
    snapshot = Snapshot(MEDIA_ROOT)
    for slug, it in {**tenants(), **{each.slug: each for each in changed}}.items():
        for row in it.rows():
            snapshot.put(row)
        snapshot.set_revision(tenant_id(slug), 1)
    return snapshot
