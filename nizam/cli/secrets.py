"""`nizam secrets`: the keys that encrypt stored secrets, and changing them."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail
from nizam.cli.settings import config_option, loaded_or_fail

_SHOWN_PROBLEMS = 20


@click.group()
def secrets() -> None:
    """The keys that encrypt stored secrets (NIZAM_SECRET_KEYS)."""


@secrets.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(config: Path | None, as_json: bool) -> None:
    """Count the stored secrets by the key that encrypted them.

    Exit codes: 0 all are under the first key, 1 they are not, 3 the database cannot be read.
    """
    from nizam.errors import DatabaseUnavailable
    from nizam.store.secret_rotation import counts
    from nizam.store.system.secret_keys import STORED_KEY_ID

    settings = loaded_or_fail(config).settings
    try:
        found = counts(settings.database.direct_dsn())
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the secrets cannot be read: {error.detail}")
    total = sum(found.values(), Counter[str]())
    configured = [it.id for it in settings.secret_keys]
    first = configured[0] if configured else STORED_KEY_ID
    known = {*configured, STORED_KEY_ID}
    if as_json:
        document = {
            "first_key": first,
            "configured_keys": configured,
            "secrets": dict(total),
            "places": {name: dict(it) for name, it in found.items()},
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for name in sorted({*configured, *total}, key=lambda it: (it != first, it)):
            note = "encrypts" if name == first else "decrypts" if name in known else "UNKNOWN KEY"
            where = ", ".join(f"{place} {it[name]}" for place, it in found.items() if it[name])
            click.echo(f"{name:<16} {note:<12} {total[name]:>8}  {where}".rstrip())
    if total.keys() - {first}:
        sys.exit(CONDITION_DOES_NOT_HOLD)


@secrets.command()
@config_option
@click.option(
    "--forget-stored-key",
    is_flag=True,
    help="Afterwards remove the key that the database itself holds. Only when every instance "
    "runs with NIZAM_SECRET_KEYS.",
)
def rotate(config: Path | None, forget_stored_key: bool) -> None:
    """Encrypt every stored secret with the first of NIZAM_SECRET_KEYS.

    Put the new key before the old one, restart every instance, run this, take the old key away.
    It can be ended and run again, and runs beside the daemon. Exit codes: 0 all secrets are under
    the first key, 1 some cannot be read, 3 the database cannot be reached.
    """
    from nizam.errors import DatabaseUnavailable
    from nizam.store import secret_rotation

    settings = loaded_or_fail(config).settings
    dsn, keys = settings.database.direct_dsn(), settings.secret_keys
    if not keys:
        fail(WRONG_USAGE, "there are no NIZAM_SECRET_KEYS: set one, and restart every instance")

    def progress(place: str, texts: int) -> None:
        click.echo(f"{place}: {texts}", err=True)

    try:
        outcome = secret_rotation.rotate(dsn, keys, lambda: datetime.now(UTC), progress)
        for problem in outcome.problems[:_SHOWN_PROBLEMS]:
            click.echo(problem, err=True)
        click.echo(f"{outcome.rotated} secrets are under the key {keys[0].id} now")
        if outcome.failed:
            fail(CONDITION_DOES_NOT_HOLD, f"{outcome.failed} secrets cannot be read")
        if forget_stored_key:
            if not secret_rotation.forget_stored_key(dsn):
                fail(CONDITION_DOES_NOT_HOLD, "the key in the database is still in use")
            click.echo("the key in the database is removed")
    except DatabaseUnavailable as error:
        fail(CANNOT_REACH, f"the database cannot be reached: {error.detail}; run it again")
