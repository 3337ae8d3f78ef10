"""What callers have pressed, kept out of what is stored of their calls: it may be a PIN."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from nizam.routing.flow_state import VARIABLE
from nizam.routing.plan import Plan, SayDigits, Set, Speak, Step

HIDDEN = "hidden"
_PRESSED = re.compile(r"\A[0-9*#]{3,}\Z")


def without_pressed(plan: Plan, variables: Mapping[str, str]) -> Plan:
    """The plan without the digits that the variables of a call flow held, where it passes them on:
    to further variables, or to the caller's ear. One digit or two are no secret."""
    pressed = [it for it in variables.values() if _PRESSED.match(it)]
    return tuple(_without(step, pressed) for step in plan) if pressed else plan


def _without(step: Step, pressed: list[str]) -> Step:
    if isinstance(step, Set) and step.name.startswith(VARIABLE) and _has(step.value, pressed):
        return attrs.evolve(step, value=HIDDEN)
    if isinstance(step, SayDigits) and _has(step.digits, pressed):
        return attrs.evolve(step, digits=HIDDEN)
    if isinstance(step, Speak) and _has(step.text, pressed):
        return attrs.evolve(step, text=HIDDEN)
    return step


def _has(text: str, pressed: list[str]) -> bool:
    return any(it in text for it in pressed)
