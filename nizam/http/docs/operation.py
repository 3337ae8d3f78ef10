"""One operation as a section of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from nizam.http.docs.fields import Schemas, field_table, kind
from nizam.http.docs.html import as_json, block, code, paragraphs, prose, table, tag
from nizam.http.docs.python import python_example
from nizam.http.openapi.walk import name_of

Operation = Mapping[str, Any]
_COMMON = frozenset({"400", "408", "414", "429", "431", "500", "503", "504"})


def section(method: str, path: str, operation: Operation, document: Mapping[str, Any]) -> str:
    """The section: what it does on one side, how it is asked for on the other."""
    name = operation["operationId"]
    heading = tag(
        "h2",
        tag("a", escape(operation["summary"].rstrip(".")), href=f"#{name}"),
        id=name,
    )
    line = tag("p", badge(method), " ", code(path), class_="path")
    said = [heading, line, paragraphs(_description(operation)), _needs(operation)]
    said += [_parameters(operation, document), _body(operation, document)]
    said += [_answers(operation, document)]
    shown = "".join(_examples(method, path, operation))
    return tag(
        "section",
        tag("div", *said, class_="said"),
        tag("div", shown, class_="shown"),
        class_="operation",
    )


def badge(method: str) -> str:
    """The method, in its colour."""
    return tag("span", method, class_=f"method {method.lower()}")


def _description(operation: Operation) -> str:
    return str(operation["description"]).partition("\n\nNeeds the scope")[0]


def _needs(operation: Operation) -> str:
    if operation.get("security") == []:
        return tag("p", "Needs no credentials.", class_="needs")
    scope = operation.get("x-permission")
    if scope is None:
        return tag("p", prose("Needs [credentials](/docs#authentication)."), class_="needs")
    return tag("p", prose(f"Needs the scope `{scope}`."), class_="needs")


def _parameters(operation: Operation, document: Mapping[str, Any]) -> str:
    schemas: Schemas = document["components"]["schemas"]
    shown = [it for it in operation["parameters"] if it["name"] != "X-Request-Id"]
    if not shown:
        return ""
    rows = [
        (
            code(it["name"])
            + (" " + tag("span", "required", class_="required") if it.get("required") else ""),
            f"{kind(it['schema'], schemas)} in the {it['in']}",
            prose(it["description"]) + _default(it["schema"]),
        )
        for it in shown
    ]
    return tag("h3", "Parameters") + table(("Name", "Type", "What it is"), rows)


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return ""
    return tag("span", f"default {code(str(schema['default']))}", class_="limits")


def _body(operation: Operation, document: Mapping[str, Any]) -> str:
    body = operation.get("requestBody")
    if body is None:
        return ""
    schemas: Schemas = document["components"]["schemas"]
    parts = [tag("h3", "Body")]
    if not body["required"]:
        parts.append(tag("p", "May be left out."))
    seen: list[Any] = []
    for media_type, media in body["content"].items():
        if media["schema"] in seen:
            continue
        seen.append(media["schema"])
        parts.append(tag("p", code(media_type), class_="media"))
        parts.append(_body_fields(media["schema"], operation, schemas))
    return "".join(parts)


def _body_fields(schema: Mapping[str, Any], operation: Operation, schemas: Schemas) -> str:
    name = name_of(schema) or ""
    verb, _, resource = operation["operationId"].partition("_")
    if verb == "change" and name.endswith("Patch"):
        return tag(
            "p",
            prose(
                f"Any of the fields that [creation](#create_{resource}) takes. null gives a field "
                "its default back; objects are merged, lists are replaced."
            ),
        )
    if verb == "replace" and name.endswith("Input"):
        return tag("p", prose(f"The fields that [creation](#create_{resource}) takes."))
    return field_table(schema, schemas, of_request=True)


def _answers(operation: Operation, document: Mapping[str, Any]) -> str:
    components = document["components"]
    rows = []
    details = ""
    for status, it in operation["responses"].items():
        answer = components["responses"][it["$ref"].rpartition("/")[2]] if "$ref" in it else it
        if "$ref" not in it:
            rows.append((code(status), prose(answer["description"]) + _headers(answer)))
            details += _content(answer, components["schemas"])
        elif status not in _COMMON:
            codes = answer["content"]["application/problem+json"]["examples"]
            links = ", ".join(tag("a", code(name), href=f"/docs#{name}") for name in sorted(codes))
            rows.append((code(status), links))
    note = tag("p", prose("And those that [any request](/docs#errors) can have."), class_="note")
    return tag("h3", "Answers") + table(("Status", "What it means"), rows) + note + details


def _headers(answer: Mapping[str, Any]) -> str:
    own = [name for name in answer.get("headers", {}) if "RateLimit" not in name]
    own = [name for name in own if name != "X-Request-Id"]
    if not own:
        return ""
    return tag("span", f"with {', '.join(map(code, own))}", class_="limits")


def _content(answer: Mapping[str, Any], schemas: Schemas) -> str:
    parts = ""
    for media_type, media in answer.get("content", {}).items():
        fields = field_table(media["schema"], schemas, of_request=False)
        words = f"The answer’s fields ({media_type})"
        parts += tag("details", tag("summary", escape(words)), fields)
    return parts


# -- examples --------------------------------------------------------------------------------------


def _examples(method: str, path: str, operation: Operation) -> Iterator[str]:
    body = operation.get("requestBody")
    media_type, example = None, None
    if body is not None:
        media_type, media = next(iter(body["content"].items()))
        example = media.get("example")
    yield block(_curl(method, path, media_type, example, operation), "curl")
    python = python_example(operation["operationId"], method, path, example)
    if python is not None:
        yield block(python, "Python")
    for status, it in operation["responses"].items():
        for shown, content in it.get("content", {}).items():
            if "example" in content and shown.endswith("json"):
                yield block(as_json(content["example"]), f"{status} {shown}")


def _curl(
    method: str, path: str, media_type: str | None, example: Any, operation: Operation
) -> str:
    target = path.replace("{tenant_id}", "$TENANT").replace("{id}", "$ID")
    target = target.replace("{", "$").replace("}", "").replace("$call_id", "$CALL")
    lines = [f'curl {"" if method == "GET" else f"-X {method} "}"$URL{target}"']
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $KEY"')
    if media_type is not None:
        lines.append(f"-H 'Content-Type: {media_type}'")
        if isinstance(example, dict | list):
            quoted = as_json(example).replace("'", "'\\''")
            lines.append(f"-d '{quoted}'")
        else:
            lines.append("--data-binary @file")
    return " \\\n  ".join(lines)
