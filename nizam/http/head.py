"""The head of a request: what two servers could read differently is refused.

RFC 9112, sections 3.2 and 6; RFC 9110, section 10.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from twisted.web.http_headers import Headers

from nizam.errors import BadRequest, ExpectationFailed

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*\Z")


def read_head(method: bytes, target: bytes, version: bytes, headers: Headers) -> bytes:
    """The path that is asked for, with its query.

    Raises BadRequest for what is ambiguous, ExpectationFailed for an expectation that is not
    `100-continue`.
    """
    hosts = headers.getRawHeaders(b"Host", [])
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        raise BadRequest("exactly one Host is needed")
    if any(_HOST.match(it) is None for it in hosts):
        raise BadRequest("the Host is no host")
    encodings = headers.getRawHeaders(b"Transfer-Encoding", [])
    if encodings and (version != b"HTTP/1.1" or [it.lower() for it in encodings] != [b"chunked"]):
        raise BadRequest("the only Transfer-Encoding is chunked, once, in HTTP/1.1")
    if any(it.lower() != b"100-continue" for it in headers.getRawHeaders(b"Expect", [])):
        raise ExpectationFailed()
    return _path(method, target, hosts)


def _path(method: bytes, target: bytes, hosts: Sequence[bytes]) -> bytes:
    if not target.isascii() or b"#" in target or b"\x7f" in target:
        raise BadRequest("the target holds characters that no URL has")
    if target[:7].lower() == b"http://" or target[:8].lower() == b"https://":
        # RFC 9112, section 3.2.2: a server accepts the form that is meant for proxies.
        try:
            parts = urlsplit(target)
        except ValueError:
            raise BadRequest("the target is no URL") from None
        if not parts.netloc or any(parts.netloc.lower() != it.lower() for it in hosts):
            raise BadRequest("the target and the Host differ")
        query = b"?" + parts.query if parts.query else b""
        return (parts.path or b"/") + query
    if target[:1] != b"/" and (method, target) != (b"OPTIONS", b"*"):
        raise BadRequest("the target is no path")
    return target
