"""Options for the fields of a resource, made from its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
import click

from nizam.cli.input import alternatives, as_declared, put, read_document, read_text, value_of

if TYPE_CHECKING:
    from nizam.model.resource import Resource

Schema = Mapping[str, Any]
_TYPES: Mapping[str, Any] = {"integer": click.INT, "number": click.FLOAT, "string": click.STRING}
_SHOWN = ("minimum", "maximum", "pattern", "format", "maxLength")


TENANT = ("tenant_id",)
_TAKEN = frozenset({"url", "tenant", "api_key", "state_dir", "json", "file", "set", "help"})
"""Options that all commands have."""


@attrs.frozen
class FieldOption:
    """One field that has an option; `path` has its steps, those of fields within fields too."""

    path: tuple[str, ...]
    schema: Schema
    resource: str
    many: bool = False
    destination: bool = False
    sound: bool = False
    secret: bool = False

    @property
    def parameter(self) -> str:
        """What click calls it."""
        return "field_" + "_".join(self.path)

    @property
    def flag(self) -> str:
        """--caller-id-external-name, or --webhook-url where --url is something else."""
        if self.path == TENANT:
            return "--tenant"
        taken = len(self.path) == 1 and self.path[0] in _TAKEN
        steps = (self.resource, *self.path) if taken else self.path
        return "--" + "-".join(steps).replace("_", "-")

    def option(self) -> click.Option:
        """The option; None means that it was not given."""
        kind = self.schema.get("type")
        choices = self.schema.get("enum")
        flags = f"{self.flag}/--no-{self.flag[2:]}" if kind == "boolean" else self.flag
        return click.Option(
            [flags, self.parameter],
            default=None,
            multiple=self.many,
            type=None if kind == "boolean" else self._type(kind, choices),
            metavar="TYPE:WHO" if self.destination else None,
            help=self._help(),
        )

    def _type(self, kind: Any, choices: Any) -> Any:
        if self.destination or not choices:
            return _TYPES.get(str(kind), click.STRING)
        return click.Choice([str(it) for it in choices])

    def _help(self) -> str:
        if self.destination:
            return "Such as extension:1001, external:+12025550100, hangup:USER_BUSY."
        if self.sound:
            return "A path as FreeSWITCH reads it, or prompt:NAME."
        if self.path == TENANT:
            return "The tenant's slug or id; without one, the platform."
        if self.secret:
            return "The value, or @FILE with it (@- is standard input)."
        limits = [f"{name} {self.schema[name]}" for name in _SHOWN if name in self.schema]
        more = ["repeatable"] if self.many else []
        default = self.schema.get("default")
        if default not in (None, "", []) and not isinstance(default, dict):
            more.append(
                f"default {default if not isinstance(default, bool) else str(default).lower()}"
            )
        return "; ".join([*limits, *more])


class Fields:
    """The fields of a resource that a client can write."""

    def __init__(self, resource: Resource) -> None:
        self._name = resource.name
        self._schema = resource.body.model_json_schema()
        self._definitions: Schema = self._schema.get("$defs", {})
        self._secret = {it.field for it in resource.secrets}
        self._read_only = set(resource.read_only)

    def options(self) -> list[FieldOption]:
        """Those that have an option of their own: all but lists of objects and the like."""
        return list(self._options((), self._schema))

    def document(self, given: Mapping[str, Any], owner: Any) -> dict[str, Any]:
        """The body that a command was given by --file, options and --set, in that order.

        `owner` is the client, or the tenant's, that what is named is looked up with.
        """
        document: dict[str, Any] = {}
        if given.get("file"):
            document = as_declared(read_document(given["file"]), self._schema, self._definitions)
        for it in self.options():
            value = given[it.parameter]
            if value is None or value == ():
                continue
            if it.destination:
                value = destination(value)
            elif it.sound:
                value = sound(value)
            elif it.path == TENANT:
                value = str(owner.tenant_id(value))
            elif it.secret and value.startswith("@"):
                value = read_text(value[1:]).rstrip("\n")
            put(document, ".".join(it.path), list(value) if it.many else value)
        for assignment in given["assignments"]:
            path, equals, text = assignment.partition("=")
            if not equals:
                raise click.BadParameter(f"{assignment!r} is not FIELD=VALUE", param_hint="--set")
            put(document, path, value_of(text, self.schema(path)))
        fields: dict[str, Any] = with_ids(document, owner)
        return fields

    def schema(self, path: str) -> Schema:
        """The JSON Schema of the field at a dotted path; an empty one for what is not known."""
        schema: Schema = self._schema
        for step in path.split("."):
            found = [self._resolved(it).get("properties", {}) for it in alternatives(schema)]
            schema = next((it[step] for it in found if step in it), {})
        return schema

    def _options(self, path: tuple[str, ...], schema: Schema) -> Iterator[FieldOption]:
        for name, field in schema["properties"].items():
            here = (*path, name)
            if not path and name in self._read_only:
                continue
            given = [it for it in alternatives(field) if it.get("type") != "null"]
            if any(it.get("$ref", "").endswith("/PromptSound") for it in given):
                yield FieldOption(here, {"type": "string"}, self._name, sound=True)
                continue
            if len(given) != 1:
                continue
            it = {**field, **self._resolved(given[0])}
            if given[0].get("$ref", "").endswith("/Destination"):
                yield FieldOption(here, it, self._name, destination=True)
            elif it.get("type") in ("string", "integer", "number", "boolean"):
                yield FieldOption(here, it, self._name, secret=".".join(here) in self._secret)
            elif it.get("type") == "array":
                # Of items that can be texts or objects the option takes the texts.
                simple = [
                    item
                    for side in alternatives(it.get("items", {}))
                    if (item := self._resolved(side)).get("type") in _TYPES
                ]
                if simple:
                    yield FieldOption(here, simple[0], self._name, many=True)
            elif "properties" in it and not path:
                yield from self._options(here, it)

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        found: Schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        return found


def sound(text: str) -> str | dict[str, str]:
    """A sound from its path, or from `prompt:NAME`."""
    from nizam.model.destination import PROMPT

    return {"prompt_id": text.removeprefix(PROMPT)} if text.startswith(PROMPT) else text


def destination(text: str) -> dict[str, Any]:
    """A destination from TYPE:WHO, with a number or name for an id; BadParameter for none."""
    from nizam.model.destination import destination_of

    try:
        return destination_of(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from None


def with_ids(value: Any, owner: Any) -> Any:
    """`value` with ids where people have written numbers or names.

    Those are the `id` of a destination, and fields such as `gateway_id`.
    """
    if isinstance(value, list):
        return [with_ids(it, owner) for it in value]
    if not isinstance(value, dict):
        return value
    found = {name: with_ids(it, owner) for name, it in value.items()}
    if value.keys() == {"type", "id"} and isinstance(found["id"], str):
        return {**found, "id": _id_of(str(found["type"]), found["id"], owner)}
    for name, it in found.items():
        if name.endswith("_id") and isinstance(it, str):
            found[name] = _id_of(name.removesuffix("_id"), it, owner)
    return found


def _id_of(kind: str, name: str, owner: Any) -> str:
    from uuid import UUID

    from nizam.client import Collection
    from nizam.model.registry import resources

    try:
        return str(UUID(name))
    except ValueError:
        named = "extension" if kind == "voicemail" else kind
        tables = [it.table for it in resources().values() if named in (it.name, it.destination_as)]
        collection = getattr(owner, tables[0], None) if tables else None
        if not isinstance(collection, Collection):
            return name
        return str(collection.find(name).id)
