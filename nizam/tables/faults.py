"""What is wrong with a table, by row and column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

from nizam.errors import FieldError
from nizam.model.pointer import pointer

_NO_DESTINATION = "is no destination such as extension:1001, external:+12025550100 or hangup"


@attrs.frozen
class CellError(FieldError):
    """One wrong cell, or a wrong row where `column` is None, or a wrong table where `row` is, too.

    Rows are counted as spreadsheets do: the header is row 1.
    """

    row: int | None
    column: str | None


def cell_error(row: int | None, column: str | None, code: str, message: str) -> CellError:
    """The error of a cell; its path is `/ROW/COLUMN`."""
    path = pointer(it for it in (row, column) if it is not None)
    return CellError(path, code, message, row, column)


@attrs.frozen
class Places:
    """Where the objects of a document stood in the table that it was made from: object 5 of
    `list_name` in row `rows[5]`. `columns` are the names in the header."""

    list_name: str
    rows: Sequence[int]
    columns: Sequence[str]

    def row(self, path: str) -> int | None:
        """The row that a JSON Pointer into the document leads to; None for none."""
        _, name, *steps = [*path.split("/"), ""]
        known = name == self.list_name and bool(steps) and steps[0].isdecimal()
        return self.rows[int(steps[0])] if known else None

    def in_table(self, it: FieldError) -> CellError:
        """An error of the document as one of the table."""
        if isinstance(it, CellError):
            return it
        row = self.row(it.path)
        steps = it.path.split("/")[3:]
        column = self._column(steps)
        message = it.message
        inside = [] if column is None else steps[len(column.split(".")) :]
        if inside == ["type"] or (it.code == "model_type" and not inside):
            message = _NO_DESTINATION
        return cell_error(row, column, it.code, self._in_words(message))

    def _column(self, steps: Sequence[str]) -> str | None:
        for length in range(len(steps), 0, -1):
            name = ".".join(steps[:length])
            if name in self.columns:
                return name
        return ".".join(steps) or None

    def _in_words(self, message: str) -> str:
        """`message` with the rows in the place of pointers to objects of the document."""
        found = re.compile(rf"/{self.list_name}/(\d+)\b")
        return found.sub(lambda it: f"row {self.rows[int(it[1])]}", message)
