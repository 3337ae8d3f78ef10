"""`nizam export`, `nizam plan`, `nizam apply`: a tenant's whole configuration as one document."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD
from nizam.cli.input import as_declared, read_document
from nizam.cli.output import json_option, print_json, print_rows, to_json, to_yaml
from nizam.cli.plan_text import plan_lines, summary_line

if TYPE_CHECKING:
    from nizam.client.document import Applied, Existing, Plan

_FILE = click.argument("file", metavar="FILE", default="-")
_EXISTING = ("replace", "merge", "skip", "refuse")
Function = Callable[..., Any]


def _options(function: Function) -> Function:
    for option in (
        click.option(
            "--existing",
            type=click.Choice(_EXISTING),
            default="replace",
            show_default=True,
            help="What becomes of objects that are there: all of it as the file says, the fields "
            "that it gives, nothing, or they are an error.",
        ),
        click.option(
            "--prune",
            is_flag=True,
            help="Of the types that the file lists, delete what it does not list.",
        ),
        _FILE,
    ):
        function = option(function)
    return function


@click.command(
    epilog="\b\nExamples:\n"
    "  nizam export --tenant acme > acme.yaml\n"
    "  nizam export --tenant acme --reveal --output acme.yaml"
)
@click.option("--reveal", is_flag=True, help="With every secret in clear; this is audited.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write; nobody else can read it.",
)
@api_options(tenant=True)
@json_option
def export(access: Access, as_json: bool, reveal: bool, output: Path | None) -> None:
    """Print the whole configuration of a tenant as YAML, or as JSON."""
    with access.in_tenant() as tenant, waiting("exporting"):
        found = (tenant.document.reveal() if reveal else tenant.document.get()).document
    text = to_json(found) + "\n" if as_json else to_yaml(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


@click.command(
    epilog="\b\nExamples:\n"
    "  nizam plan --tenant acme acme.yaml\n"
    "  nizam plan --tenant acme --prune --exit-code acme.yaml"
)
@_options
@click.option("--exit-code", is_flag=True, help="End with status 1 if something would change.")
@api_options(tenant=True)
@json_option
def plan(
    access: Access, as_json: bool, file: str, prune: bool, existing: Existing, exit_code: bool
) -> None:
    """Show what applying a document would change; FILE is YAML or JSON, - is standard input."""
    document = _read(file)
    with access.in_tenant() as tenant, waiting("planning"):
        found = tenant.document.plan(document, prune=prune, existing=existing)
    print_plan(found, as_json=as_json)
    if exit_code and found.changes:
        sys.exit(CONDITION_DOES_NOT_HOLD)


@click.command(
    epilog="\b\nExamples:\n"
    "  nizam apply --tenant acme acme.yaml\n"
    "  nizam apply --tenant acme --prune --yes acme.yaml\n"
    "  nizam export --tenant acme | nizam apply --tenant copy-of-acme"
)
@_options
@click.option("--yes", "-y", is_flag=True, help="Do not show the changes and ask first.")
@click.option(
    "--revision", type=click.IntRange(1), help="Only if the tenant is still at this revision."
)
@api_options(tenant=True)
@json_option
def apply(
    access: Access,
    as_json: bool,
    file: str,
    prune: bool,
    existing: Existing,
    yes: bool,
    revision: int | None,
) -> None:
    """Make a tenant what a document says: all of it, or nothing.

    FILE is YAML or JSON, - is standard input. On a terminal the changes are shown first.
    """
    document = _read(file)
    tag = None if revision is None else f'"{revision}"'
    with access.in_tenant() as tenant:
        if not yes and somebody_can_answer():
            with waiting("planning"):
                proposed = tenant.document.plan(document, prune=prune, existing=existing)
            tag = tag or confirmed(proposed)
        with waiting("applying"):
            done = tenant.document.apply(document, prune=prune, existing=existing, if_match=tag)
    print_applied(done, as_json=as_json)


def somebody_can_answer() -> bool:
    """Whether there is a terminal to ask on."""
    return sys.stdin.isatty()


def confirmed(proposed: Plan) -> str:
    """Show a plan and ask; the ETag with which just this is done."""
    for line in (*plan_lines(proposed.changes), summary_line(proposed.summary)):
        click.echo(line, err=True, color=color())
    if proposed.changes:
        click.confirm("Do this?", abort=True, err=True)
    return proposed.etag


def print_plan(found: Plan, *, as_json: bool) -> None:
    """A plan, as a diff for people."""
    if as_json:
        print_json(_members(found))
        return
    for line in (*plan_lines(found.changes), summary_line(found.summary)):
        click.echo(line, color=color())
    _warn_of_secrets(found.missing_secrets)
    if found.missing_permissions:
        missing = ", ".join(found.missing_permissions)
        click.echo(f"# to apply this you lack: {missing}", err=True)


def print_applied(done: Applied, *, as_json: bool) -> None:
    """What was done, with the secrets that this answer alone shows."""
    if as_json:
        print_json(_members(done))
        return
    click.echo(f"{summary_line(done.summary, done=True)}; revision {done.revision}")
    secrets = [
        {"type": it["type"], "key": it["key"], "field": field, "secret": text}
        for it in done.secrets
        for field, text in it["secrets"].items()
    ]
    if secrets:
        print_rows(secrets, ("type", "key", "field", "secret"), as_json=False)
        click.echo("# secrets are shown this once", err=True)
    _warn_of_secrets(done.missing_secrets)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal that something goes on."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{what} ..."):
        yield


def color() -> bool | None:
    """Whether there are colours: where there is a terminal, unless NO_COLOR is set."""
    return False if os.environ.get("NO_COLOR") else None


def _warn_of_secrets(missing: Any) -> None:
    for it in missing:
        click.echo(f"# {it['type']} {it['key']} lacks its {it['field']}: set it", err=True)


def _members(value: Plan | Applied) -> dict[str, Any]:
    import attrs

    return {
        it.name: getattr(value, it.name) for it in attrs.fields(type(value)) if it.name != "etag"
    }


def _read(file: str) -> Mapping[str, Any]:
    """The document in a file, with the numbers in it as the texts that they stand for."""
    from nizam.model.registry import resources

    document = read_document(file)
    schemas = {
        it.table: it.body.model_json_schema() for it in resources().values() if it.scope == "tenant"
    }
    schemas["tenant"] = resources()["tenant"].body.model_json_schema()
    found: dict[str, Any] = {}
    for name, value in document.items():
        schema = schemas.get(name)
        if schema is not None:
            wanted = schema if name == "tenant" else {"type": "array", "items": schema}
            value = as_declared(value, wanted, schema.get("$defs", {}))
        found[name] = value
    return found


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error}", param_hint="--output") from None
