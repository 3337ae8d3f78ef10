"""What objects are called by people, for those who have their ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from uuid import UUID

from nizam.document.keys import key_text, natural_key
from nizam.model.registry import resources
from nizam.store.pool import Pool


async def names_of_ids(
    pool: Pool, tenant_id: UUID, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """(type, id) -> the natural key of each of the tenant's objects, in one query for each type.

    Objects that share theirs with others are not among them: no key alone tells those apart.
    """
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for kind, identifier in wanted:
        ids[kind].add(identifier)
    found: dict[tuple[str, str], str] = {}
    for kind, own in ids.items():
        resource = resources()[kind]
        fields = natural_key(resource)
        key = ", ".join(f"trim(body ->> '{it}')" for it in fields)
        objects = f"select {key} from {resource.table} where tenant_id = %(tenant)s"  # noqa: S608
        these = "id = any(%(ids)s::uuid[])"
        if not any(it.columns == fields for it in resource.unique):
            these = f"({key}) in ({objects} and {these})"
        rows = await pool.tenant_query(
            tenant_id,
            f"{objects.replace('select', 'select id::text,', 1)} and {these}",
            {"tenant": tenant_id, "ids": sorted(own)},
        )
        texts = {
            identifier: key_text(resource, dict(zip(fields, values, strict=True)))
            for identifier, *values in rows
        }
        namesakes = Counter(texts.values())
        found |= {(kind, it): text for it, text in texts.items() if namesakes[text] == 1}
    return found
