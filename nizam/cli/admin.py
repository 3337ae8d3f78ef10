"""`nizam admin`: the first administrators, made on the database before anybody can sign in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD
from nizam.cli.settings import config_option, loaded_or_fail

if TYPE_CHECKING:
    from nizam.settings import Settings


@click.group()
def admin() -> None:
    """The first administrators, made on the database itself."""


@admin.command()
@config_option
@click.option("--email", help="Make a user with this address who administers the platform.")
@click.option("--name", help="The user's name.  [default: the address]")
@click.option("--key", "key_name", help="Make an API key of the platform with this name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bootstrap(
    config: Path | None, email: str | None, name: str | None, key_name: str | None, as_json: bool
) -> None:
    """Make a platform administrator, an API key that may do everything, or both.

    The generated password and the key are printed this once and kept nowhere. Works on the
    database of the settings; the server need not run. Exit codes: 0 made, 1 refused (such as an
    address that a user has already), 2 wrong usage, 3 the database or Redis cannot be reached.
    """
    if email is None and key_name is None:
        raise click.UsageError("say what to make: --email, --key or both")
    settings = loaded_or_fail(config).settings

    from twisted.internet import task
    from twisted.internet.defer import Deferred

    def main(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_run(reactor, settings, email, name, key_name, as_json))

    task.react(main)


async def _run(
    reactor: Any,
    settings: Settings,
    email: str | None,
    name: str | None,
    key_name: str | None,
    as_json: bool,
) -> None:
    from psycopg2.errors import UndefinedTable
    from pydantic import ValidationError

    from nizam.errors import DatabaseUnavailable, KeyValueUnavailable, NizamError

    try:
        made = await _make(reactor, settings, email, name, key_name)
    except (DatabaseUnavailable, KeyValueUnavailable) as error:
        click.echo(f"cannot be reached: {error.detail}", err=True)
        raise SystemExit(CANNOT_REACH) from None
    except UndefinedTable:
        click.echo("the database is not migrated: nizam migrate", err=True)
        raise SystemExit(CONDITION_DOES_NOT_HOLD) from None
    except NizamError as error:
        click.echo(error.detail, err=True)
        raise SystemExit(CONDITION_DOES_NOT_HOLD) from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in error.errors())
        click.echo("\n".join(problems), err=True)
        raise SystemExit(CONDITION_DOES_NOT_HOLD) from None
    if as_json:
        click.echo(json.dumps(made))
    else:
        for label, value in made.items():
            click.echo(f"{label:<9} {value}")


async def _make(
    reactor: Any, settings: Settings, email: str | None, name: str | None, key_name: str | None
) -> dict[str, str]:
    """What was made, as it is printed."""
    from nizam.http.passwords import Passwords
    from nizam.kv.make import key_value_of
    from nizam.model.api_key import ApiKey
    from nizam.model.registry import resource
    from nizam.model.user import Membership, User
    from nizam.store.context import ChangeContext
    from nizam.store.pool import Pool
    from nizam.store.secrets import SecretBox, generate
    from nizam.store.store import Store
    from nizam.store.stored import Stored
    from nizam.store.system.secret_keys import stored_key

    def itself(stored: Stored) -> Stored:
        return stored

    key_value = key_value_of(reactor, settings.redis)
    pool = Pool(reactor, settings.database.direct_dsn(), 1, "admin")
    context = ChangeContext(actor_type="system", actor_name="nizam admin bootstrap")
    made: dict[str, str] = {}
    await pool.start()
    try:
        keys = settings.secret_keys
        if not keys:
            await key_value.start()
            keys = (await stored_key(pool, key_value),)
        environment = "live" if settings.production else "test"
        store = Store(pool, SecretBox(keys), environment=environment)
        if email is not None:
            password = generate("password")
            user = User(
                email=email,
                name=name or email,
                password=password,
                memberships=(Membership(role="platform_admin"),),
            )
            hashed = await Passwords(reactor).hash(password)
            body = user.model_copy(update={"password": hashed})
            stored = await store.create(resource("user"), None, body, context, itself)
            made |= {"user": str(stored.id), "email": user.email, "password": password}
        if key_name is not None:
            key = ApiKey(name=key_name, scopes=("*",))
            stored = await store.create(resource("api_key"), None, key, context, itself)
            made |= {"key_id": str(stored.id), "key": stored.revealed["key"]}
    finally:
        await key_value.stop()
        await pool.stop()
    return made
