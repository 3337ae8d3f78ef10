"""The commands that every resource has: list, get, create, update, replace, delete."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from nizam.cli.access import Access, api_options
from nizam.cli.fields import FieldOption, Fields
from nizam.cli.output import json_option, print_json, print_object, print_rows

if TYPE_CHECKING:
    from nizam.client import Object
    from nizam.model.resource import Resource

ACRONYMS = {
    "acl": "ACL",
    "acls": "ACLs",
    "api": "API",
    "did": "DID",
    "dids": "DIDs",
    "ivr": "IVR",
    "ivrs": "IVRs",
    "sip": "SIP",
}
NAMES = {"api_key": "key", "switch_node": "node"}
"""What commands are called that are not called as their resource."""


def filter_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --filter; it is given as `filters`."""
    return click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="FIELD[OP]=VALUE",
        help="Only those, such as enabled=true or created_at[gte]=2026-01-31; "
        "repeatable. OP: gte, lte, gt, lt, in, prefix.",
    )(function)


def command_name(resource: Resource) -> str:
    """The name of the resource's group of commands."""
    return NAMES.get(resource.name, resource.name).replace("_", "-")


def group(name: str) -> click.Group:
    """The commands of the resource called `name`; those that only it has are added to them."""
    from nizam.model.registry import resource

    return Commands(resource(name)).group()


class Commands:
    """Builds the commands of one resource."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.fields = Fields(resource)
        self.words = in_words(resource.name)
        self.many = in_words(resource.table)
        self.in_tenant = resource.scope == "tenant"

    def group(self) -> click.Group:
        """All of them."""
        found = click.Group(
            command_name(self.resource),
            help=f"{self.many[0].upper()}{self.many[1:]}: what there is, and changing it.",
            epilog=self._examples(),
        )
        for make in (
            self._list,
            self._get,
            self._create,
            self._update,
            self._replace,
            self._delete,
        ):
            found.add_command(make())
        if any(not it.one_way for it in self.resource.secrets):
            found.add_command(self._reveal())
        return found

    @contextlib.contextmanager
    def collection(self, access: Access) -> Iterator[tuple[Any, Any]]:
        """The collection that the commands work on, and whose it is."""
        opened: Any = access.in_tenant() if self.in_tenant else access.client()
        with opened as owner:
            yield getattr(owner, self.resource.table), owner

    def command(self, name: str, text: str, *, what: bool = True) -> Callable[..., click.Command]:
        """Turns a function into a command with the options of every command here."""

        def make(function: Callable[..., Any]) -> click.Command:
            function = api_options(tenant=self.in_tenant)(json_option(function))
            if what:
                metavar = "|".join(it.upper() for it in ("id", *self._keys()))
                function = click.argument("what", metavar=metavar)(function)
            return click.command(name, help=text)(function)

        return make

    def _list(self) -> click.Command:
        @self.command("list", f"List {self.many}.", what=False)
        @filter_option
        @click.option("--search", "-q", help="Only those with this text.")
        @click.option("--sort", help="A field; with - before it, descending.")
        @click.option("--limit", type=click.IntRange(1), help="At most so many.")
        def run(
            access: Access,
            as_json: bool,
            filters: tuple[str, ...],
            search: str | None,
            sort: str | None,
            limit: int | None,
        ) -> None:
            page = min(limit or 200, 200)
            chosen = dict(parsed_filter(it) for it in filters)
            with self.collection(access) as (collection, _):
                found = collection.list(q=search, sort=sort, page_size=page, **chosen)
                rows = [it.document() for it in islice(found, limit)]
            print_rows(rows, self._columns(), as_json=as_json)

        return run

    def _get(self) -> click.Command:
        @self.command("get", f"Show one {self.words}.")
        def run(access: Access, as_json: bool, what: str) -> None:
            with self.collection(access) as (collection, _):
                print_object(collection.find(what).document(), as_json=as_json)

        return run

    def _create(self) -> click.Command:
        @self.command("create", f"Make one {self.words}.", what=False)
        def run(access: Access, as_json: bool, **given: Any) -> None:
            with self.collection(access) as (collection, owner):
                made = collection.create(self.fields.document(given, owner))
                print_made(made, as_json=as_json)

        return self._with_fields(run)

    def _update(self) -> click.Command:
        @self.command("update", f"Change fields of one {self.words}; the others stay.")
        def run(access: Access, as_json: bool, what: str, **given: Any) -> None:
            with self.collection(access) as (collection, owner):
                patch = self.fields.document(given, owner)
                if not patch:
                    raise click.UsageError("nothing to change: give a field, --set or --file")
                print_made(collection.update(collection.find(what).id, patch), as_json=as_json)

        return self._with_fields(run)

    def _replace(self) -> click.Command:
        @self.command("replace", f"Put a whole body in the place of one {self.words}.")
        def run(access: Access, as_json: bool, what: str, **given: Any) -> None:
            with self.collection(access) as (collection, owner):
                body = self.fields.document(given, owner)
                print_made(collection.replace(collection.find(what), body), as_json=as_json)

        return self._with_fields(run)

    def _delete(self) -> click.Command:
        @self.command("delete", f"Delete one {self.words}.")
        @click.option("--yes", "-y", is_flag=True, help="Do not ask.")
        def run(access: Access, as_json: bool, what: str, yes: bool) -> None:
            with self.collection(access) as (collection, _):
                it = collection.find(what)
                if not yes and sys.stdin.isatty():
                    click.confirm(f"Delete the {self.words} {what}?", abort=True, err=True)
                collection.delete(it)
                if as_json:
                    print_json({"deleted": str(it.id)})

        return run

    def _reveal(self) -> click.Command:
        @self.command("reveal", f"Show the secrets of one {self.words}; this is audited.")
        def run(access: Access, as_json: bool, what: str) -> None:
            with self.collection(access) as (collection, _):
                secrets = collection.reveal(collection.find(what).id)
            print_object(dict(secrets), as_json=as_json)

        return run

    def _with_fields(self, command: click.Command) -> click.Command:
        command.params[:0] = [
            *(it.option() for it in self.fields.options()),
            click.Option(
                ["--set", "assignments"],
                multiple=True,
                metavar="FIELD=VALUE",
                help="Any field by its path, such as voicemail.pin=4711 or "
                "members=[...] as JSON; null clears it; repeatable.",
            ),
            click.Option(
                ["--file", "-f", "file"],
                help="A YAML or JSON file with fields; - is standard input.",
            ),
        ]
        return command

    def _given(self, field: FieldOption) -> str | None:
        """The option with the value of the declaration's example; None for what takes a file."""
        value = self.resource.example[field.path[0]]
        if field.destination and isinstance(value, dict):
            return f"{field.flag} {value['type']}:{value.get('number', '1001')}"
        if field.many and len(field.path) == 1:
            return " ".join(f"{field.flag} {quoted(it)}" for it in value)
        if isinstance(value, bool):
            return field.flag if value else f"--no-{field.flag[2:]}"
        if len(field.path) > 1 or not isinstance(value, str | int):
            return None
        return f"{field.flag} {'@file' if field.secret else quoted(value)}"

    def _columns(self) -> list[str]:
        keys = self._keys()
        columns = [it.name for it in self.resource.columns]
        return [*keys, *(it for it in columns if it not in keys), "id"]

    def _keys(self) -> tuple[str, ...]:
        from nizam.client.collection import keys_of

        return keys_of(self.resource)

    def _examples(self) -> str:
        name = command_name(self.resource)
        where = " --tenant acme" if self.in_tenant else ""
        example = self.resource.example
        given = [self._given(it) for it in self.fields.options() if it.path[0] in example]
        whole = len(given) == len(example) and all(given)
        fields = " ".join(filter(None, given)) if whole else "--file body.yaml"
        key = next((str(example[it]) for it in self._keys() if it in example), "ID")
        lines = [
            f"nizam {name} list{where} --json",
            f"nizam {name} create{where} {fields}",
            f"nizam {name} update {quoted(key)}{where} --no-enabled",
        ]
        return "\b\nExamples:\n" + "\n".join(f"  {it}" for it in lines)


def in_words(name: str) -> str:
    """`sip_profile` as people write it: SIP profile."""
    return " ".join(ACRONYMS.get(it, it) for it in name.split("_"))


def quoted(value: object) -> str:
    """A value as a shell takes it."""
    import shlex

    return shlex.quote(str(value))


def parsed_filter(text: str) -> tuple[str, str]:
    """`field[gte]=value` as an argument of Collection.list."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not FIELD=VALUE", param_hint="--filter")
    field, bracket, operator = name.partition("[")
    return (f"{field}__{operator.removesuffix(']')}" if bracket else field), value


def print_made(it: Object[Any], *, as_json: bool) -> None:
    """An object with the secrets that this answer alone shows."""
    print_object({**it.document(), **it.secrets}, as_json=as_json)
    if it.secrets and not as_json:
        click.echo(f"# shown this once: {', '.join(sorted(it.secrets))}", err=True)
