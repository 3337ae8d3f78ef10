"""`nizam tenant provision`: a working tenant at once, and what people and phones log in with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.fields import destination
from nizam.cli.input import as_declared, put, read_document, read_text
from nizam.cli.output import json_option, print_json, print_rows

if TYPE_CHECKING:
    from nizam.client.provisioned import Provisioned

_TENANT = ("name", "slug", "domain", "time_zone", "country", "language")
_RANGE = re.compile(r"([0-9]{2,15})(?:-([0-9]{2,15})|\+([0-9]{1,4}))")
_EXAMPLES = """\b
Examples:
  nizam tenant provision --name Globex --slug globex --domain globex.example.test \\
      --range 1001-1020 --did +12025550177=extension:1001 \\
      --admin-email hank@globex.example.test --admin-name "Hank Scorpio" --key-scopes "*"
  nizam tenant provision --file globex.yaml"""


@click.command(epilog=_EXAMPLES)
@click.option("--name", help="The tenant's name.")
@click.option("--slug", help="What it is called in commands and addresses.")
@click.option("--domain", help="Its SIP domain; without one, its slug below the server's suffix.")
@click.option("--time-zone", help="IANA, such as Europe/Berlin.")
@click.option("--country", help="ISO 3166-1 alpha-2, such as DE.")
@click.option("--language", help="Such as en or de-DE.")
@click.option("--status", type=click.Choice(["trial", "active"]), help="active unless told.")
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    metavar="NUMBER=NAME",
    help="One extension; repeatable.",
)
@click.option(
    "--range", "range_", metavar="FIRST-LAST", help="Extensions in a row; FIRST+COUNT does too."
)
@click.option(
    "--did",
    "dids",
    multiple=True,
    metavar="NUMBER=TYPE:WHO",
    help="A public number and where it leads, such as +12025550177=extension:1001; repeatable.",
)
@click.option("--admin-email", help="The address of its administrator.")
@click.option("--admin-name", help="The name of its administrator; the address unless told.")
@click.option("--admin-password", help="A password, or @FILE with it (@- is standard input).")
@click.option("--generate-password", is_flag=True, help="Make a password, and no reset token.")
@click.option("--key-name", help="What its API key is called; its slug unless told.")
@click.option("--key-scopes", multiple=True, help="Make a key with this scope; repeatable.")
@click.option(
    "--file",
    "-f",
    "file",
    help="YAML or JSON with everything that the API takes; - is standard input. Options come on "
    "top of it.",
)
@click.option("--idempotency-key", help="Repeated with this, it gives the first answer again.")
@api_options()
@json_option
def provision(
    access: Access, as_json: bool, file: str | None, idempotency_key: str | None, **given: Any
) -> None:
    """Make a tenant that works: with extensions, numbers, an administrator and a key, at once.

    Every secret is printed this once.
    """
    body = _declared(read_document(file)) if file else {}
    _add(body, given)
    with access.client() as client:
        made = client.tenants.provision(body, idempotency_key=idempotency_key)
    if as_json:
        print_json(made.document)
    else:
        _print(made)


def _add(body: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What the options say, on top of the file."""
    for name in _TENANT:
        if given[name] is not None:
            put(body, f"tenant.{name}", given[name])
    if given["status"] is not None:
        body["status"] = given["status"]
    if given["extensions"]:
        body.setdefault("extensions", []).extend(map(_extension, given["extensions"]))
    if given["range_"] is not None:
        body["extension_range"] = {**body.get("extension_range", {}), **_range(given["range_"])}
    if given["dids"]:
        body.setdefault("dids", []).extend(map(_did, given["dids"]))
    email, name, password = (given[f"admin_{it}"] for it in ("email", "name", "password"))
    if email is not None:
        put(body, "admin.email", email)
        body["admin"].setdefault("name", name or email)
    if name is not None:
        put(body, "admin.name", name)
    if password is not None:
        is_file = password.startswith("@")
        text = read_text(password[1:]).rstrip("\n") if is_file else password
        put(body, "admin.password", text)
    if given["generate_password"]:
        put(body, "admin.generate_password", True)
    if given["key_scopes"]:
        put(body, "api_key.scopes", list(given["key_scopes"]))
        slug = body.get("tenant", {}).get("slug")
        body["api_key"].setdefault("name", given["key_name"] or slug)
    if given["key_name"] is not None:
        put(body, "api_key.name", given["key_name"])


def _extension(text: str) -> dict[str, Any]:
    number, _, name = text.partition("=")
    return {"number": number, "display_name": name or f"Extension {number}"}


def _did(text: str) -> dict[str, Any]:
    number, equals, where = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NUMBER=TYPE:WHO", param_hint="--did")
    return {"number": number, "destination": destination(where)}


def _range(text: str) -> dict[str, Any]:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no range such as 1001-1020", param_hint="--range")
    first, last, count = found.groups()
    if last is not None and int(last) < int(first):
        raise click.BadParameter(f"{text!r} ends before it begins", param_hint="--range")
    return {"first": first, "count": int(count) if count else int(last) - int(first) + 1}


def _declared(document: dict[str, Any]) -> dict[str, Any]:
    """The document with texts where people write numbers and mean texts: `number: 1001`."""
    from nizam.model.provision import Provision
    from nizam.model.registry import resources

    schema = Provision.model_json_schema()
    found: dict[str, Any] = as_declared(document, schema, schema["$defs"])
    for it in resources().values():
        listed = found.get(it.table)
        if it.scope == "tenant" and isinstance(listed, list):
            own = it.body.model_json_schema()
            found[it.table] = [as_declared(each, own, own.get("$defs", {})) for each in listed]
    return found


def _print(made: Provisioned) -> None:
    tenant = made.tenant
    click.echo(f"Tenant      {tenant.body.name} ({tenant.body.slug}), {tenant.body.status}")
    click.echo(f"Id          {tenant.id}")
    click.echo(f"SIP domain  {tenant.body.domain}")
    for it in made.registrars:
        click.echo(f"Register    {it.transport} {it.host}:{it.port}")
    if made.admin is not None:
        click.echo(f"Admin       {made.admin.body.email}")
        for name, text in made.admin.secrets.items():
            click.echo(f"  {name.replace('_', ' '):<14} {text}")
    if made.api_key is not None:
        click.echo(f"API key     {made.api_key.secrets['key']}")
    if made.phones:
        click.echo()
        rows = [
            {"user": it.user, "password": it.password, "name": it.display_name}
            for it in made.phones
        ]
        print_rows(rows, ("user", "password", "name"), as_json=False)
    click.echo("# secrets are shown this once; --json also has those of other objects", err=True)
