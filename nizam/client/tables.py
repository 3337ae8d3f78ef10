"""Lists as files, and files as objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Literal

import attrs

from nizam.client.errors import UnexpectedAnswer
from nizam.client.parameters import query_of
from nizam.client.transport import Transport

Format = Literal["csv", "ndjson"]
OnExisting = Literal["refuse", "update", "skip"]
IMPORT_SECONDS = 60.0
"""How long an import may take; the server answers within 30 s, or that it did not finish."""

_CSV = "text/csv"
_ACCEPT: Mapping[Format, str] = {"csv": _CSV, "ndjson": "application/x-ndjson"}


@attrs.frozen(kw_only=True)
class Imported:
    """What an import has done, or would do in a dry run. `generated` has the secrets that were
    made for new objects, each with the `row`, `number` and `id` that they belong to."""

    dry_run: bool
    revision: int
    rows: int
    created: int
    updated: int
    unchanged: int
    skipped: int
    generated: Sequence[Mapping[str, Any]] = attrs.field(repr=False)


class Exports:
    """What a list has that can be had as a file."""

    __slots__ = ()
    transport: Transport

    def _path(self) -> str:
        """The path of the list."""
        raise NotImplementedError

    def export(
        self,
        form: Format = "csv",
        *,
        q: str | None = None,
        sort: str | None = None,
        after_row: str | None = None,
        **filters: Any,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The whole list as a file, in pieces that are read as they come:

            with acme.cdrs.export("ndjson", result="answered") as pieces:
                file.writelines(pieces)

        Filters are those of `list`. Raises CannotReach, also amid the pieces if it is cut off.
        `after_row` goes on after the last whole row that came then: the value that the rows are
        sorted by, a comma, and its id; a CSV file has no header then.
        """
        return self.transport.stream(
            f"{self._path()}/export",
            query=query_of({"q": q, "sort": sort, "after_row": after_row, **filters}),
            accept=_ACCEPT[form],
        )


class Imports(Exports):
    """What a list has whose objects can be made from a file, too."""

    __slots__ = ()

    def import_csv(
        self,
        file: BinaryIO | bytes,
        *,
        dry_run: bool = False,
        on_existing: OnExisting = "refuse",
        idempotency_key: str | None = None,
    ) -> Imported:
        """Make and change what the rows of a CSV file say: all of it, or nothing.

        Raises ApiError, whose `errors` have the `row` and `column` of everything that is wrong.
        """
        content = file if isinstance(file, bytes) else file.read()
        answer = self.transport.request(
            "POST",
            f"{self._path()}/import",
            query=query_of({"dry_run": dry_run, "on_existing": on_existing}),
            content=(_CSV, content),
            idempotency_key=idempotency_key,
            seconds=IMPORT_SECONDS,
        ).json()
        try:
            return Imported(**{it.name: answer[it.name] for it in attrs.fields(Imported)})
        except (KeyError, TypeError):
            raise UnexpectedAnswer("the answer is not that of an import") from None
