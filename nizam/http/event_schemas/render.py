"""The types of events as a page: `docs/event-types.md`.

`python -m nizam.http.event_schemas.render`, run in the repository, writes it; a test checks that
it is current.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from nizam.http.event_schemas import PATH, event_schema, told
from nizam.model.registry import resources

PAGE: Final = Path("docs/event-types.md")
WIDTH: Final = 118
_HEAD: Final = f"""\
# The types of events

Written from `nizam/http/event_schemas/` by `python -m nizam.http.event_schemas.render`.
[Events](events.md) says what all of them have in common. A running NIZAM gives the JSON Schema
of each at `GET {PATH}/{{type}}`, and a list of them at `GET {PATH}`;
neither needs a key:

```sh
curl -s $HTTP{PATH}/call.ended
```

Below is what `data` holds. "sometimes" marks members that are not always there.
"""
_CHANGES: Final = """
## Changes of the configuration

{kinds}

| member | is |
|---|---|
| `object` | the object as the API shows it, without its secrets; as it was, in `deleted` |
| `changed` | the names of the fields that have changed, in `updated` |
"""


def page() -> str:
    """The whole page."""
    names = ", ".join(f"`{it}`" for it in resources())
    kinds = "`<resource>.created`, `<resource>.updated` and `<resource>.deleted`, for each of"
    own = [kind for kind in told() if kind.split(".")[0] not in resources() or _is_own(kind)]
    sections = "\n".join("\n".join(_section(kind)) for kind in own)
    return f"{_HEAD}\n{sections}\n{_CHANGES.format(kinds=fill(f'{kinds} {names}.', WIDTH))}"


def _is_own(kind: str) -> bool:
    return kind.rpartition(".")[2] not in ("created", "updated", "deleted")


def _section(kind: str) -> Iterator[str]:
    schema = event_schema(kind)
    data = schema["properties"]["data"]
    yield f"## {kind}\n"
    yield f"{schema['description']}\n"
    if not data["properties"]:
        yield "`data` is empty.\n"
        return
    yield "| member | type | is |"
    yield "|---|---|---|"
    for name, it in data["properties"].items():
        sometimes = "" if name in data["required"] else "sometimes; "
        yield f"| `{name}` | {_type(it)} | {sometimes}{_cell(it['description'])} |"
    yield ""


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "any")
    found = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if schema.get("format"):
        found = found.replace("string", str(schema["format"]))
    words = [it for it in schema.get("enum", ()) if it is not None]
    return f"{found}: {', '.join(f'`{it}`' for it in words)}" if words else found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
