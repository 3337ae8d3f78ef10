"""What comes of a tenant's document: exported, planned, applied."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from nizam.document.plan import Plan
from nizam.store.stored import Stored


@attrs.frozen
class Exported:
    """A tenant's document as JSON, and the revision that it is of."""

    revision: int
    content: bytes


@attrs.frozen
class Planned:
    """A plan, and the revision that it was made against."""

    revision: int
    plan: Plan


@attrs.frozen
class Applied:
    """A plan that was carried out: the revision afterwards, and the objects made or changed, with
    secrets that are new in `revealed`. `report` tells of it as JSON, with these secrets."""

    revision: int
    plan: Plan
    objects: Sequence[Stored]
    report: bytes = attrs.field(repr=False)
