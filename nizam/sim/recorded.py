"""What learn.py learned from recordings (recorded.json): variables and source lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from nizam.sim.learn import DIAL_STRING, DIRECTORY

__all__ = ["DIAL_STRING", "DIRECTORY", "calling", "stage", "statistics"]


@lru_cache(maxsize=1)
def _recorded() -> Mapping[str, Any]:
    text = files("nizam.sim").joinpath("recorded.json").read_text("utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@lru_cache(maxsize=256)
def calling(key: str) -> tuple[str, str, str]:
    """Source file, function and line of FreeSWITCH that fire an event.

    `key` is the event's name, or the subclass of a CUSTOM event; behind a space what it tells of
    (VM-Action, Action) where that matters. What was never recorded is said to come from
    switch_event.c.
    """
    file, function, line = _recorded()["calling"].get(key, ("switch_event.c", key, "1"))
    return file, function, line


@lru_cache(maxsize=64)
def _templates(role: str, name: str) -> tuple[tuple[str, str, bool], ...]:
    rows = _recorded()["legs"][role].get(name, ())
    return tuple((variable, value, "{" in value) for variable, value in rows)


def stage(role: str, name: str, fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables that a leg of `role` gains at the stage `name`, in order, filled in.

    Roles: internal, external, user, gateway, originate. Stages: create, media, progress, answer,
    established. The names DIRECTORY and DIAL_STRING are places for what others set.
    """
    for variable, value, is_template in _templates(role, name):
        yield variable, value.format_map(fields) if is_template else value


def statistics() -> Iterator[tuple[str, str]]:
    """The RTP statistics that a leg with media has when it ends."""
    yield from _recorded()["statistics"]
