"""All pages of the reference, made once from the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import attrs

from nizam.http.docs.fields import TYPES, field_table
from nizam.http.docs.guide import SECTIONS, guide
from nizam.http.docs.html import as_json, block, paragraphs, prose, tag
from nizam.http.docs.operation import badge, section
from nizam.http.openapi.walk import name_of

Document = Mapping[str, Any]
_TYPES_PAGE = TYPES.rpartition("/")[2]


@attrs.frozen
class DocumentationSite:
    """The pages by the last segment of their path, the first one under the empty name, and what
    the search looks through."""

    pages: Mapping[str, bytes]
    index: bytes


@attrs.frozen
class Entry:
    """An operation, and where it is described."""

    method: str
    path: str
    operation: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The anchor on its page."""
        return str(self.operation["operationId"])


@cache
def asset(name: str) -> bytes:
    """A file that stands beside this one."""
    return files(__package__).joinpath(name).read_bytes()


def build(document: Document) -> DocumentationSite:
    """All pages. Takes as long as a thread should, and the reactor should not."""
    by_tag = {it["name"]: _entries(document, it["name"]) for it in document["tags"]}
    pages = {"": _page(document, by_tag, "", "The NIZAM API", guide())}
    for it in document["tags"]:
        content = _of_tag(document, it, by_tag[it["name"]])
        pages[it["name"]] = _page(document, by_tag, it["name"], it["x-title"], content)
    pages[_TYPES_PAGE] = _page(document, by_tag, _TYPES_PAGE, "Types", _types(document))
    return DocumentationSite(pages, json.dumps(_index(document, by_tag)).encode())


def _entries(document: Document, name: str) -> list[Entry]:
    found = [
        Entry(method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] == [name]
    ]
    return sorted(found, key=lambda it: (it.path.count("/"), it.path, _METHODS.index(it.method)))


_METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")


# -- content ---------------------------------------------------------------------------------------


def _of_tag(document: Document, described: Mapping[str, Any], entries: Iterable[Entry]) -> str:
    title = tag("h1", escape(described["x-title"]))
    about = paragraphs(described["description"])
    listed = tag(
        "ul",
        *(
            tag("li", badge(it.method), " ", tag("a", escape(it.path), href=f"#{it.name}"))
            for it in entries
        ),
        class_="paths",
    )
    sections = "".join(section(it.method, it.path, it.operation, document) for it in entries)
    return title + about + listed + _object(document, entries) + sections


def _object(document: Document, entries: Iterable[Entry]) -> str:
    """The object that the operations are about: what creation answers."""
    schemas = document["components"]["schemas"]
    for it in entries:
        made = it.operation["responses"].get("201", {}).get("content", {})
        for media in made.values():
            name = name_of(media["schema"])
            if it.name.startswith("create_") and name is not None:
                heading = tag("h2", tag("a", f"The object {escape(name)}", href="#object"))
                fields = field_table(media["schema"], schemas, of_request=False)
                shown = block(as_json(media["example"]), name)
                said = tag("div", heading, fields, class_="said")
                return tag(
                    "section",
                    said,
                    tag("div", shown, class_="shown"),
                    id="object",
                    class_="operation",
                )
    return ""


def _types(document: Document) -> str:
    """The unions, which fields of several objects have."""
    schemas = document["components"]["schemas"]
    parts = [
        tag("h1", "Types"),
        tag("p", "What fields hold that can be one of several things, told apart by its type."),
    ]
    for name, it in schemas.items():
        if "oneOf" not in it or "properties" in it:
            continue
        parts.append(tag("h2", tag("a", escape(name), href=f"#{name}"), id=name))
        parts.append(paragraphs(it.get("description", "")))
        for member in _members(it):
            target = name_of(member)
            about = schemas[target].get("description", "") if target is not None else ""
            title = target or str(member.get("type", ""))
            parts.append(tag("h3", escape(title)) + tag("p", prose(about)))
            parts.append(field_table(member, schemas, of_request=name.endswith("Input")))
    return "".join(parts)


def _members(union: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for it in union["oneOf"]:
        if "oneOf" in it:
            yield from _members(it)
        else:
            yield it


# -- around it -------------------------------------------------------------------------------------


def _page(
    document: Document, by_tag: Mapping[str, list[Entry]], here: str, title: str, content: str
) -> bytes:
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · NIZAM</title>"
        '<link rel="stylesheet" href="/docs/style.css">'
        '<script src="/docs/search.js" defer></script>'
    )
    version = escape(document["info"]["version"])
    top = tag(
        "header",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag("a", "NIZAM", tag("span", f" API {version}", class_="version"), href="/docs"),
        tag("div", id="search"),
        tag("a", "openapi.json", href="/api/v1/openapi.json", class_="raw"),
    )
    main = tag("main", content, id="content", tabindex="-1")
    body = tag("body", top, tag("div", _navigation(document, by_tag, here), main, class_="below"))
    return f'<!doctype html><html lang="en"><head>{head}</head>{body}</html>'.encode()


def _navigation(document: Document, by_tag: Mapping[str, list[Entry]], here: str) -> str:
    guides = "".join(
        tag("li", tag("a", escape(title), href=f"/docs#{anchor}")) for anchor, title, *_ in SECTIONS
    )
    guides += tag("li", tag("a", "Problem codes", href="/docs#problems"))
    parts = [tag("h2", "Guide"), tag("ul", guides)]
    group = None
    items = ""
    for it in [*document["tags"], {"name": _TYPES_PAGE, "x-title": "Types", "x-group": group}]:
        if it["x-group"] != group and it["name"] != _TYPES_PAGE:
            parts += [tag("ul", items)] if items else []
            group, items = it["x-group"], ""
            parts.append(tag("h2", escape(group)))
        items += _item(it, by_tag.get(it["name"], ()), here)
    parts.append(tag("ul", items))
    listing = tag("nav", *parts, aria_label="Contents")
    return tag("details", tag("summary", "Contents"), listing, class_="contents", open="")


def _item(described: Mapping[str, Any], entries: Iterable[Entry], here: str) -> str:
    name = described["name"]
    current = "page" if name == here else None
    link = tag("a", escape(described["x-title"]), href=f"/docs/{name}", aria_current=current)
    if current is None:
        return tag("li", link)
    inside = "".join(
        tag(
            "li",
            tag("a", escape(it.operation["summary"].rstrip(".")), href=f"#{it.name}"),
        )
        for it in entries
    )
    return tag("li", link, tag("ul", inside) if inside else "")


def _index(document: Document, by_tag: Mapping[str, list[Entry]]) -> list[dict[str, str]]:
    """What can be found: title, place, and the words that find it."""
    schemas = document["components"]["schemas"]
    found = [
        {"title": title, "url": f"/docs#{anchor}", "words": f"{title} {text}"}
        for anchor, title, text, _ in SECTIONS
    ]
    for name, entries in by_tag.items():
        for it in entries:
            fields = " ".join(_field_names(it.operation, schemas))
            words = f"{it.method} {it.path} {it.operation['summary']} {it.name} {fields}"
            url = f"/docs/{name}#{it.name}"
            title = f"{it.operation['summary'].rstrip('.')} · {it.method} {it.path}"
            found.append({"title": title, "url": url, "words": words})
    return found


def _field_names(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterable[str]:
    for media in operation.get("requestBody", {}).get("content", {}).values():
        name = name_of(media["schema"])
        schema = schemas[name] if name else media["schema"]
        yield from schema.get("properties", {})
