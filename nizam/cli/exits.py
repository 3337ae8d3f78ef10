"""How commands end: 0 fine, and these."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

CONDITION_DOES_NOT_HOLD = 1
"""What was asked about is not so, or the API refused it."""
WRONG_USAGE = 2
CANNOT_REACH = 3
"""A server that is needed does not answer."""


def fail(status: int, message: str) -> NoReturn:
    """Say `message` on stderr and end with exit status `status`."""
    click.echo(message, err=True)
    sys.exit(status)
