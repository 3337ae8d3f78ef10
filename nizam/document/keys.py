"""How objects are named in documents: by what people call them, never by ids.

Each resource has a natural key: the fields that tell its objects apart within a tenant, such as a
number or a name. Objects that share one are told apart by a number after it, in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from nizam.model.registry import resources
from nizam.model.resource import Resource


@cache
def _natural_key(name: str) -> tuple[str, ...]:
    it = resources()[name]
    if it.natural_key:
        return it.natural_key
    own = [unique for unique in it.unique if not unique.only_true]
    if own:
        return min(own, key=lambda unique: unique.everywhere).columns
    fields = it.body.model_fields
    if it.dialable and fields["number"].is_required():
        return ("number",)
    return ("name",) if "name" in fields else (it.columns[0].name,)


def natural_key(resource: Resource) -> tuple[str, ...]:
    """The fields that name an object: those declared, else the first that are unique in a tenant,
    else a number that every object has, else the name."""
    return _natural_key(resource.name)


def key_text(resource: Resource, fields: Mapping[str, Any]) -> str:
    """What an object with these fields is called; not yet told apart from its namesakes."""
    values = (fields.get(name) for name in natural_key(resource))
    return "/".join("" if it is None else str(it).strip() for it in values)


def told_apart(texts: Iterable[str]) -> list[str]:
    """`texts` in their order, made distinct: the second `Night` becomes `Night#2`."""
    given = list(texts)
    taken = set(given)
    seen: dict[str, int] = {}
    found: list[str] = []
    for text in given:
        count = seen[text] = seen.get(text, 0) + 1
        name = text
        while count > 1:
            name = f"{text}#{count}"
            if name not in taken:
                taken.add(name)
                break
            count = seen[text] = count + 1
        found.append(name)
    return found
