"""Where calls can be sent: one file for each type of destination, named for it.

A file has `plan(routing, destination)`, which returns the steps. Adding a type is adding a file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from nizam.model.destination import Destination
from nizam.routing.context import Routing
from nizam.routing.plan import Plan

Planner = Callable[[Routing, Destination], Plan]


@cache
def planners() -> Mapping[str, Planner]:
    """Destination type -> what plans it, for every file of this package."""
    found: dict[str, Planner] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        found[module_info.name] = module.plan
    return MappingProxyType(found)
