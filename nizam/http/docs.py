"""The reference at /docs: the OpenAPI document as one page, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from nizam.errors import NizamError

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto }
h3 code { font-size: 1rem } .verb { font-weight: 700 }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0;
vertical-align: top } nav a { margin-right: 1rem }
"""

_INTRODUCTION = """
<p>JSON over HTTP. Sign in with <code>Authorization: Bearer nzm_...</code>. Ids are UUIDv7, times
RFC 3339 in UTC.</p>
<p>Lists take <code>limit</code> (1-200), <code>cursor</code>, <code>sort</code>
(<code>-field</code> for descending), <code>q</code> and filters by field:
<code>enabled=true</code>,
<code>created_at[gte]=2026-01-01T00:00:00Z</code>. They answer
<code>{"data": [...], "next_cursor": ..., "has_more": ...}</code>.</p>
<p>An <code>Idempotency-Key</code> on a POST makes it safe to send again. <code>ETag</code> and
<code>If-Match</code> keep two writers apart. Errors are
<code>application/problem+json</code> with a stable <code>code</code>; quote the
<code>request_id</code> when you ask for help.</p>
"""


def page(document: dict[str, Any]) -> bytes:
    """The page, as UTF-8."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    navigation = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in sorted(by_tag))
    sections = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(parts)}'
        for tag, parts in sorted(by_tag.items())
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>NIZAM API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>NIZAM API {escape(document['info']['version'])}"
        f'</h1>{_INTRODUCTION}<p><a href="/api/v1/openapi.json">openapi.json</a></p>'
        f"<nav>{navigation}</nav>{sections}{_problems()}</body></html>"
    ).encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h3 id="{escape(operation["operationId"])}"><code><span class="verb">{method.upper()}'
        f"</span> {escape(path)}</code></h3><p>{escape(operation['summary'])} "
        f"{escape(operation.get('description', '')).replace('`', '')}</p>"
    ]
    queries = [it for it in operation["parameters"] if it["in"] == "query"]
    if queries:
        rows = "".join(
            f"<tr><td><code>{escape(it['name'])}</code></td><td>{escape(it['description'])}</td></tr>"
            for it in queries
        )
        parts.append(f"<table>{rows}</table>")
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" in media:
            text = json.dumps(media["example"], indent=2, ensure_ascii=False)
            parts.append(f"<pre>{escape(text)}</pre>")
            break
    return "".join(parts)


def _problems() -> str:
    rows = "".join(
        f'<tr id="{escape(it.code)}"><td><code>{escape(it.code)}</code></td><td>{it.status}</td>'
        f"<td>{escape(it.title)}</td></tr>"
        for it in sorted(set(_subclasses(NizamError)), key=lambda it: (it.status, it.code))
        if "code" in vars(it)
    )
    return f'<h2 id="problems">Problems</h2><table>{rows}</table>'


def _subclasses(kind: type[NizamError]) -> Iterable[type[NizamError]]:
    for it in kind.__subclasses__():
        yield it
        yield from _subclasses(it)
