"""Resources in words, for summaries and headings."""

from __future__ import annotations

from nizam.model.resource import Resource

_CAPITALS = frozenset({"acl", "api", "did", "ivr", "sip"})
_UNCOUNTED = frozenset({"music_on_hold"})


def words(name: str) -> str:
    """A name in snake_case or kebab-case in words: SIP profile."""
    parts = name.replace("-", "_").split("_")
    return " ".join(_word(it) for it in parts)


def article(resource: Resource) -> str:
    """One of them: a ring group, an extension."""
    name = words(resource.name)
    if resource.name in _UNCOUNTED:
        return name
    return f"{'an' if name[0] in 'aeioAI' else 'a'} {name}"


def plural(resource: Resource) -> str:
    """All of them: ring groups."""
    return words(resource.path)


def _word(part: str) -> str:
    one = part.removesuffix("s")
    return one.upper() + part[len(one) :] if one in _CAPITALS else part
