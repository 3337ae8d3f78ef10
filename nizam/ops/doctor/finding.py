"""What a check is and what it finds. Every check is declared once, with why it matters and how to
mend what it finds; `docs/doctor.md` is written from the declarations."""

from __future__ import annotations

import enum
import functools

import attrs


class Area(enum.StrEnum):
    """What a check is about; `--only` takes these."""

    CONFIGURATION = "configuration"
    DATABASE = "database"
    REDIS = "redis"
    NODES = "nodes"
    FREESWITCH = "freeswitch"
    CLOCKS = "clocks"
    CERTIFICATES = "certificates"
    DISK = "disk"
    BACKUPS = "backups"
    PROCESS = "process"
    NAMES = "names"


@functools.total_ordering
class Severity(enum.Enum):
    """How bad it is. A note needs no action; a warning will cost something some day, or opens a
    door; a failure does so now."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"

    @property
    def rank(self) -> int:
        """The worse the higher."""
        return list(Severity).index(self)

    def __lt__(self, other: Severity) -> bool:
        return self.rank < other.rank


@attrs.frozen
class Finding:
    """One check's result about one subject, such as a server; `detail` says what was seen.

    What is ok has neither `why` nor `mend`.
    """

    check: str
    area: Area
    subject: str
    severity: Severity
    detail: str
    why: str | None = None
    mend: str | None = None


@attrs.frozen
class Check:
    """A check: its name `area.what`, what it looks at, why that matters, and how to mend it.

    `worst` is the most severe finding that it makes.
    """

    name: str
    area: Area
    looks_at: str
    why: str
    mend: str
    worst: Severity = Severity.FAILURE

    def ok(self, subject: str, detail: str) -> Finding:
        """It is as it should be."""
        return Finding(self.name, self.area, subject, Severity.OK, detail)

    def wrong(
        self, subject: str, detail: str, severity: Severity | None = None, mend: str | None = None
    ) -> Finding:
        """It is not: as bad as the check's worst unless told, mended as the check says unless
        told."""
        found = self.worst if severity is None else severity
        return Finding(self.name, self.area, subject, found, detail, self.why, mend or self.mend)

    def judge(
        self,
        subject: str,
        problem: str | None,
        fine: str,
        severity: Severity | None = None,
        mend: str | None = None,
    ) -> Finding:
        """Wrong with `problem` when there is one, otherwise ok with `fine`."""
        if problem is None:
            return self.ok(subject, fine)
        return self.wrong(subject, problem, severity, mend)

    def note(self, subject: str, detail: str, mend: str | None = None) -> Finding:
        """It could not be seen, or is worth knowing."""
        return Finding(self.name, self.area, subject, Severity.NOTE, detail, None, mend)


@attrs.frozen
class Declaring:
    """Declares the checks of one area."""

    area: Area

    def __call__(
        self, what: str, looks_at: str, why: str, mend: str, worst: Severity = Severity.FAILURE
    ) -> Check:
        return Check(f"{self.area}.{what}", self.area, looks_at, why, mend, worst)
