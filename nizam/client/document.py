"""The document of a tenant and its revisions: the whole configuration at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import attrs

from nizam.client.actions import Document
from nizam.client.errors import UnexpectedAnswer
from nizam.client.history import Documents
from nizam.client.transport import Answer, Transport

LARGE_SECONDS = 240.0
"""How long the answer to a large document is waited for: the server itself gives up before."""

Existing = Literal["replace", "merge", "skip", "refuse"]
"""What becomes of objects that are there: all of it as the document says, single fields as it
says, nothing, or they are an error."""


@attrs.frozen(kw_only=True)
class Exported:
    """A document as it was at one revision, which `etag` names."""

    document: Document = attrs.field(repr=False)
    etag: str


@attrs.frozen(kw_only=True)
class Plan:
    """What would be done, and the revision that it was planned against: apply it with this `etag`
    and nothing else is done. `missing_permissions` are what the client lacks to apply it."""

    revision: int
    etag: str
    summary: Document
    changes: Sequence[Document]
    missing_secrets: Sequence[Document]
    missing_permissions: Sequence[str]


@attrs.frozen(kw_only=True)
class Applied:
    """What was done, and the revision since then. `secrets` are those that were generated, which
    are shown this once; `missing_secrets` somebody has to set."""

    revision: int
    etag: str
    summary: Document
    changes: Sequence[Document]
    missing_secrets: Sequence[Document]
    secrets: Sequence[Document] = attrs.field(repr=False)


@attrs.frozen(eq=False)
class TenantDocument:
    """The whole configuration of a tenant as one document."""

    transport: Transport
    parent: Callable[[], str]

    def get(self) -> Exported:
        """The document; secrets are only marked in it."""
        return self._exported("GET", "")

    def reveal(self) -> Exported:
        """The document with every secret in clear; written to the audit log."""
        return self._exported("POST", "/reveal")

    def plan(
        self,
        document: Mapping[str, Any],
        *,
        prune: bool = False,
        existing: Existing = "replace",
    ) -> Plan:
        """What applying a document would do. With `prune` what it does not list of the types that
        it lists is deleted."""
        query = _options(prune, existing)
        answer = self.transport.request(
            "POST", f"{self._path}/plan", query=query, body=document, seconds=LARGE_SECONDS
        )
        return plan_of(answer)

    def apply(
        self,
        document: Mapping[str, Any],
        *,
        prune: bool = False,
        existing: Existing = "replace",
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> Applied:
        """Make the tenant what a document says: all of it, or nothing. `if_match` is the etag of
        what it was exported from or planned against."""
        answer = self.transport.request(
            "POST",
            f"{self._path}/apply",
            query=_options(prune, existing),
            body=document,
            if_match=if_match,
            idempotency_key=idempotency_key,
            seconds=LARGE_SECONDS,
        )
        return applied_of(answer)

    @property
    def _path(self) -> str:
        return f"{self.parent()}/document"

    def _exported(self, method: str, step: str) -> Exported:
        answer = self.transport.request(method, f"{self._path}{step}", seconds=LARGE_SECONDS)
        return Exported(document=dict(answer.json()), etag=answer.headers["etag"])


@attrs.frozen(eq=False)
class Revisions(Documents):
    """Who changed the configuration, when and how; and the way back."""

    def get(self, revision: int) -> Document:
        """One revision with what it changed, field by field."""
        return self._get(revision)

    def plan(self, revision: int, *, tenant_settings: bool = False) -> Plan:
        """What rolling back would do."""
        return plan_of(self._go_back(revision, "plan", tenant_settings))

    def roll_back(
        self, revision: int, *, tenant_settings: bool = False, if_match: str | None = None
    ) -> Applied:
        """Make every object what it was at a revision, secrets included, as a new revision; with
        `tenant_settings` the tenant's own settings too."""
        return applied_of(self._go_back(revision, "rollback", tenant_settings, if_match))

    def _go_back(
        self, revision: int, step: str, tenant_settings: bool, if_match: str | None = None
    ) -> Answer:
        return self.transport.request(
            "POST",
            self._path(revision, step),
            body={"tenant_settings": tenant_settings},
            if_match=if_match,
            seconds=LARGE_SECONDS,
        )


def plan_of(answer: Answer) -> Plan:
    """The plan that an answer holds."""
    found = _members(answer, Plan)
    return Plan(**found)


def applied_of(answer: Answer) -> Applied:
    """What an answer says was done."""
    found = _members(answer, Applied)
    return Applied(**found)


def _members(answer: Answer, kind: type[Plan | Applied]) -> dict[str, Any]:
    given = {**answer.json(), "etag": answer.headers.get("etag", "")}
    names = [it.name for it in attrs.fields(kind)]
    missing = [it for it in names if it not in given]
    if missing:
        raise UnexpectedAnswer(f"the answer lacks {', '.join(missing)}")
    return {name: given[name] for name in names}


def _options(prune: bool, existing: Existing) -> list[tuple[str, str]]:
    return [("prune", str(prune).lower()), ("existing", existing)]
