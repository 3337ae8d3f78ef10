"""What a request says: its id, its address, its fields, its query and what its body is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

from twisted.web.iweb import IRequest

from nizam.errors import BadRequest, UnsupportedMediaType
from nizam.http.reply import JSON
from nizam.http.route import Route
from nizam.model.identifiers import new_id
from nizam.settings.values import Network

_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")


def request_id_of(request: Any) -> str:
    """The id that the request has for its whole life: the client's, if it is a plain one."""
    kept = getattr(request, "nizam_request_id", None)
    if kept is None:
        given = header(request, "x-request-id")
        kept = given if given and _PLAIN_ID.match(given) else str(new_id())
        request.nizam_request_id = kept
    return str(kept)


def header(request: IRequest, name: str) -> str | None:
    """The last field of this name; None if there is none."""
    values = request.requestHeaders.getRawHeaders(name)
    return None if not values else str(values[-1])


def check_media_type(request: Any, route: Route) -> None:
    """Raise UnsupportedMediaType for a body that says that it is of another type than the route
    takes. One that says nothing is taken for what the route takes."""
    given = header(request, "content-type")
    # Those that take a sound look at what is in it, whatever it is called.
    is_sound = route.takes_file and JSON not in route.media_types
    if given is None or is_sound or not _has_body(request):
        return
    if given.partition(";")[0].strip().lower() not in route.media_types:
        raise UnsupportedMediaType(f"this path takes {', '.join(sorted(route.media_types))}")


def _has_body(request: Any) -> bool:
    content = request.content
    present = content.tell()
    empty = content.seek(0, os.SEEK_END) == 0
    content.seek(present)
    return not empty


def cookie(request: IRequest, name: str) -> str | None:
    """The cookie of this name."""
    value = request.getCookie(name.encode())  # type: ignore[no-untyped-call]
    return None if value is None else str(value.decode("latin-1"))


def all_headers(request: Any) -> dict[str, str]:
    """Every field by its name in small letters."""
    return {
        name.decode("latin-1").lower(): b", ".join(values).decode("utf-8", "replace")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }


def query_of(request: Any) -> tuple[tuple[str, str], ...]:
    """The parameters of the query in their order. Raises BadRequest for what cannot be read."""
    _, _, text = request.uri.partition(b"?")
    if not text:
        return ()
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
        )
    except ValueError:
        raise BadRequest("the query is not URL-encoded UTF-8, or has too many parameters") from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise BadRequest("the query holds a NUL")
    return tuple(pairs)


def remote_address(request: Any, trusted: Sequence[Network]) -> str:
    """The client's address; behind a proxy that is trusted, the one that it names."""
    peer = getattr(request.client, "host", None) or "unknown"
    if not trusted:
        return peer
    hops = [it.strip() for it in (header(request, "x-forwarded-for") or "").split(",")]
    for hop in reversed(hops):
        if not _is_in(peer, trusted) or not hop:
            break
        try:
            peer = str(ip_address(hop))
        except ValueError:
            break
    return peer


def _is_in(address: str, networks: Sequence[Any]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == it.version and parsed in it for it in networks)
