"""Finds the declarations: each module of this package that has a `RESOURCE` declares one.

Adding a resource is adding its file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import nizam.model
from nizam.model.resource import Resource


@cache
def resources() -> Mapping[str, Resource]:
    """All resources by name, in alphabetical order."""
    found: dict[str, Resource] = {}
    for module_info in pkgutil.iter_modules(nizam.model.__path__):
        module = importlib.import_module(f"nizam.model.{module_info.name}")
        declared = getattr(module, "RESOURCE", None)
        if isinstance(declared, Resource):
            found[declared.name] = declared
    return MappingProxyType(dict(sorted(found.items())))


def resource(name: str) -> Resource:
    """The resource called `name`; KeyError if there is none."""
    return resources()[name]
