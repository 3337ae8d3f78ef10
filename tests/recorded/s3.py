"""A small object storage on loopback that checks what it is sent as Amazon S3 does: the signature
(AWS Signature Version 4), Content-MD5 and x-amz-checksum-sha256."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import unquote

from twisted.web.resource import Resource
from twisted.web.server import Site

ACCESS_KEY, SECRET, REGION, BUCKET = "AKIATEST", "s3cr3t/of+tests", "eu-test-1", "recordings"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([\w-]+)/s3/aws4_request), "
    r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})\Z"
)


class ObjectServer(Resource):
    """Holds `objects` by their keys. `broken` names what goes wrong: refuse every request (`down`),
    keep only half of what is put (`lossy`), or keep other bytes of the same length, of which it
    says no checksum (`corrupt`)."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.objects: dict[str, bytes] = {}
        self.broken: str | None = None
        self.requests: list[str] = []
        self._port = reactor.listenTCP(0, Site(self), interface="127.0.0.1")  # type: ignore[no-untyped-call]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port.getHost().port}"

    async def stop(self) -> None:
        """Listen no more."""
        await self._port.stopListening()

    def render(self, request: Any) -> bytes:
        """One request, answered at once."""
        self.requests.append(request.method.decode())
        # Nothing is left of it when the test ends.
        request.setHeader("connection", "close")
        body: bytes = request.content.read()
        if self.broken == "down":
            return _error(request, 503, "ServiceUnavailable")
        if not _is_signed(request, body):
            return _error(request, 403, "SignatureDoesNotMatch")
        bucket, _, key = unquote(request.path.decode().lstrip("/")).partition("/")
        if bucket != BUCKET:
            return _error(request, 404, "NoSuchBucket")
        handler: Any = getattr(self, f"_{request.method.decode().lower()}")
        answered: bytes = handler(request, key, body)
        return answered

    def _put(self, request: Any, key: str, body: bytes) -> bytes:
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324 - as S3 has it
        sha256 = base64.b64encode(hashlib.sha256(body).digest()).decode()
        if request.getHeader("content-md5") not in (None, md5):
            return _error(request, 400, "BadDigest")
        if request.getHeader("x-amz-checksum-sha256") not in (None, sha256):
            return _error(request, 400, "BadDigest")
        if self.broken == "lossy":
            body = body[: len(body) // 2]
        elif self.broken == "corrupt":
            body = bytes(len(body))
        self.objects[key] = body
        return b""

    def _head(self, request: Any, key: str, body: bytes) -> bytes:
        return self._get(request, key, body)

    def _get(self, request: Any, key: str, body: bytes) -> bytes:
        if not key:
            return self._list(request)
        found = self.objects.get(key)
        if found is None:
            return _error(request, 404, "NoSuchKey")
        if self.broken != "corrupt":
            digest = hashlib.sha256(found).digest()
            request.setHeader("x-amz-checksum-sha256", base64.b64encode(digest).decode())
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.getHeader("range") or "")
        if wanted:
            request.setResponseCode(206)
            found = found[int(wanted[1]) : int(wanted[2]) + 1]
        request.setHeader("content-length", str(len(found)))
        return b"" if request.method == b"HEAD" else found

    def _list(self, request: Any) -> bytes:
        prefix = request.args.get(b"prefix", [b""])[0].decode()
        keys = [it for it in sorted(self.objects) if it.startswith(prefix)]
        contents = "".join(f"<Contents><Key>{it}</Key></Contents>" for it in keys)
        request.setHeader("content-type", "application/xml")
        return f"<ListBucketResult>{contents}</ListBucketResult>".encode()

    def _delete(self, request: Any, key: str, body: bytes) -> bytes:
        self.objects.pop(key, None)
        request.setResponseCode(204)
        return b""


def _error(request: Any, status: int, code: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", "application/xml")
    if request.method == b"HEAD":
        return b""
    return f"<Error><Code>{code}</Code><Message>{code} by the test</Message></Error>".encode()


def _is_signed(request: Any, body: bytes) -> bool:
    """Whether the request is signed with SECRET (AWS Signature Version 4)."""
    found = _AUTHORIZATION.match(request.getHeader("authorization") or "")
    if found is None or (found[1], found[3]) != (ACCESS_KEY, REGION):
        return False
    content = request.getHeader("x-amz-content-sha256")
    if content not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        return False
    target, _, query = request.uri.decode().partition("?")
    fields = sorted(it if "=" in it else f"{it}=" for it in query.split("&")) if query else []
    lines = [f"{it}:{(request.getHeader(it) or '').strip()}\n" for it in found[4].split(";")]
    canonical = "\n".join(
        [request.method.decode(), target, "&".join(fields), "".join(lines), found[4], content]
    )
    date = request.getHeader("x-amz-date")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{date}\n{found[2]}\n{digest}"
    key = f"AWS4{SECRET}".encode()
    for step in found[2].split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), found[5])
