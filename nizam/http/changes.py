"""From a request to a unit of work: who asks, by which request, and whether it was asked before."""

from __future__ import annotations

import hashlib

import orjson

from nizam.errors import BadRequest
from nizam.http.reply import Reply
from nizam.http.route import Call
from nizam.store.context import ChangeContext, Idempotency

MAX_KEY = 255
REPLAYED = ("Idempotent-Replayed", "true")


def change_context(call: Call, digest: bytes | None = None) -> ChangeContext:
    """What stands beside the change in the audit log; on a POST, with its Idempotency-Key.

    `digest` is that of a body that the route takes as a file.
    """
    return ChangeContext(
        actor_type=call.principal.kind,
        actor_name=call.principal.email or call.principal.name,
        actor_id=call.principal.id,
        address=call.remote,
        request_id=call.request_id,
        idempotency=_idempotency(call, digest or call.raw_body)
        if call.route.method == "POST"
        else None,
    )


def check_idempotency_key(key: str | None) -> None:
    """Raise BadRequest for a key that is none."""
    if key is not None and (not 1 <= len(key) <= MAX_KEY or not key.isprintable()):
        raise BadRequest(f"an Idempotency-Key has 1 to {MAX_KEY} printable characters")


def _idempotency(call: Call, body: bytes) -> Idempotency | None:
    key = call.header("idempotency-key")
    if key is None:
        return None
    request = hashlib.sha256()
    for part in (call.route.method, call.route.path, *call.path.values()):
        request.update(part.encode() + b"\0")
    for name, value in call.query:
        request.update(f"{name}={value}\0".encode())
    request.update(body)
    return Idempotency(
        owner=str(call.principal.id),
        key=key,
        request_hash=request.digest(),
        save=save_reply,
        restore=restore_reply,
    )


def save_reply(reply: Reply) -> bytes:
    """The answer as it is kept for 24 hours."""
    document = {
        "status": reply.status,
        "headers": reply.headers,
        "content_type": reply.content_type,
        "body": None if reply.body is None else reply.payload().decode(),
    }
    return orjson.dumps(document)


def restore_reply(kept: bytes) -> Reply:
    """The answer again, word for word, marked as a repetition."""
    document = orjson.loads(kept)
    body = document["body"]
    return Reply(
        None if body is None else body.encode(),
        document["status"],
        (*((name, value) for name, value in document["headers"]), REPLAYED),
        document["content_type"],
    )


def asked_by(call: Call) -> str:
    """Whoever asks, as receipts and holds name them."""
    return call.principal.email or call.principal.name or str(call.principal.id)
