"""Where what operators deploy lies, and the tools that judge it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
DEPLOY = REPOSITORY / "deploy"


def tool(name: str, package: str) -> str:
    """The path of a program that script/test gets where it can. The test is skipped where it is
    not."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        why = f"{name} is not here (on Debian and Ubuntu in the package {package})"
        pytest.skip(why)
    return found
