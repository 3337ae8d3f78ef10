"""Sessions of browsers and bearer tokens of programs, kept in Redis.

A record is found by the SHA-256 of the text that the client holds; the text itself is kept
nowhere. It ends when it has not been used for its idle time, when its life is over, or when it
is revoked; Redis forgets it by itself.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, cast
from uuid import UUID

import attrs

from nizam.kv.interface import IKeyValue
from nizam.model.identifiers import new_id

Kind = Literal["session", "token"]
SESSION_IDLE_SECONDS: Final = 2 * 3600
SESSION_SECONDS: Final = 12 * 3600
TOKEN_IDLE_SECONDS: Final = 7 * 24 * 3600
TOKEN_SECONDS: Final = 24 * 3600
MAX_TOKEN_SECONDS: Final = 30 * 24 * 3600
MAX_SIGN_INS: Final = 100
"""Of one user; one more ends the oldest."""

_PREFIXES: Mapping[Kind, str] = {"session": "nzs_", "token": "nzt_"}
_IDLE: Mapping[Kind, int] = {"session": SESSION_IDLE_SECONDS, "token": TOKEN_IDLE_SECONDS}
_FORM = re.compile(r"(nzs|nzt)_[A-Za-z0-9_-]{43}\Z")


@attrs.frozen(kw_only=True)
class SignInRecord:
    """One session or token. `credential` is the fingerprint of the password it was begun with."""

    id: UUID
    kind: Kind
    user_id: UUID
    digest: str = attrs.field(repr=False)
    credential: bytes = attrs.field(repr=False)
    name: str
    user_agent: str
    created_at: datetime
    created_from: str
    last_used_at: datetime
    last_used_from: str
    expires_at: datetime


def is_session(text: str) -> bool:
    """Whether `text` has the form of a session's secret."""
    return bool(_FORM.match(text)) and text.startswith(_PREFIXES["session"])


def is_token(text: str) -> bool:
    """Whether `text` has the form of a bearer token."""
    return bool(_FORM.match(text)) and text.startswith(_PREFIXES["token"])


def csrf_token(session: str) -> str:
    """What a page of the session sends as X-CSRF-Token: other sites' pages cannot know it,
    because the cookie that it is made from is readable to no script."""
    return hashlib.sha256(f"csrf:{session}".encode()).hexdigest()


class SignIns:
    """The records of every user. Each method raises KeyValueUnavailable while Redis is away."""

    def __init__(self, key_value: IKeyValue, now: Callable[[], datetime]) -> None:
        self._key_value = key_value
        self._now = now

    async def begin(
        self,
        kind: Kind,
        user_id: UUID,
        credential: bytes,
        *,
        name: str,
        address: str,
        user_agent: str,
        expires_at: datetime,
    ) -> tuple[str, SignInRecord]:
        """Start a session or token that lives until `expires_at` at most; its text and record."""
        await self._make_room(user_id)
        text = _PREFIXES[kind] + secrets.token_urlsafe(32)
        now = self._now()
        record = SignInRecord(
            id=new_id(),
            kind=kind,
            user_id=user_id,
            digest=_digest(text),
            credential=credential,
            name=name,
            user_agent=user_agent[:200],
            created_at=now,
            created_from=address,
            last_used_at=now,
            last_used_from=address,
            expires_at=expires_at,
        )
        index = _index_key(user_id)
        await self._key_value.hset(index, {str(record.id): record.digest})
        await self._key_value.expire(index, MAX_TOKEN_SECONDS)
        await self._write("begin", record, *_fields(record))
        return text, record

    async def find(self, text: str) -> SignInRecord | None:
        """The record of the session or token with this text, if it still holds."""
        return await self._read(_digest(text))

    async def of_digest(self, digest: str) -> SignInRecord | None:
        """The record by the SHA-256 of its text, if it still holds."""
        return await self._read(digest)

    async def touch(self, record: SignInRecord, address: str) -> None:
        """Note that it was used now: it lives on for its idle time, within its life."""
        moment = str(self._now().timestamp())
        await self._write("change", record, "last_used_at", moment, "last_used_from", address)

    async def rebind(self, record: SignInRecord, credential: bytes) -> None:
        """Let it hold on with the password whose fingerprint this is."""
        await self._write("change", record, "credential", credential)

    async def of_user(self, user_id: UUID) -> list[SignInRecord]:
        """All that still hold, the oldest first."""
        index = _index_key(user_id)
        found = []
        for identifier, digest in (await self._key_value.hgetall(index)).items():
            record = await self._read(digest.decode())
            if record is None:
                await self._key_value.hdel(index, identifier)
            else:
                found.append(record)
        return sorted(found, key=lambda it: it.id)

    async def revoke(self, user_id: UUID, sign_in_id: UUID) -> bool:
        """End one; False if the user has none with this id."""
        index = _index_key(user_id)
        digest = await self._key_value.hget(index, str(sign_in_id))
        if digest is None:
            return False
        there = await self._key_value.delete(_key(digest.decode()))
        await self._key_value.hdel(index, str(sign_in_id))
        return there > 0

    async def revoke_all(self, user_id: UUID, *, but: UUID | None = None) -> int:
        """End all of a user's, except `but`; how many."""
        others = [it for it in await self.of_user(user_id) if it.id != but]
        for it in others:
            await self.revoke(user_id, it.id)
        return len(others)

    async def _make_room(self, user_id: UUID) -> None:
        if await self._key_value.hlen(_index_key(user_id)) < MAX_SIGN_INS:
            return
        present = await self.of_user(user_id)
        for it in present[: max(0, len(present) - MAX_SIGN_INS + 1)]:
            await self.revoke(user_id, it.id)

    async def _read(self, digest: str) -> SignInRecord | None:
        fields = await self._key_value.hgetall(_key(digest))
        return _record(digest, fields) if fields else None

    async def _write(self, mode: str, record: SignInRecord, *fields: str | bytes) -> None:
        key = _key(record.digest)
        await self._key_value.script("sign_in", [key], [mode, self._life(record), *fields])

    def _life(self, record: SignInRecord) -> int:
        """Whole seconds until it ends unless it is used again."""
        left = (record.expires_at - self._now()).total_seconds()
        return max(1, int(min(left, _IDLE[record.kind])))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(digest: str) -> str:
    return f"sign_in:{{{digest}}}"


def _index_key(user_id: UUID) -> str:
    return f"sign_ins:{{{user_id}}}"


def _fields(record: SignInRecord) -> list[str | bytes]:
    """The record as field, value, field, value ..."""
    found: list[str | bytes] = []
    for name, value in (
        ("id", str(record.id)),
        ("kind", record.kind),
        ("user_id", str(record.user_id)),
        ("credential", record.credential),
        ("name", record.name),
        ("user_agent", record.user_agent),
        ("created_at", str(record.created_at.timestamp())),
        ("created_from", record.created_from),
        ("last_used_at", str(record.last_used_at.timestamp())),
        ("last_used_from", record.last_used_from),
        ("expires_at", str(record.expires_at.timestamp())),
    ):
        found += (name, value)
    return found


def _record(digest: str, fields: Mapping[bytes, bytes]) -> SignInRecord:
    text = {name.decode(): it.decode() for name, it in fields.items() if name != b"credential"}
    return SignInRecord(
        id=UUID(text["id"]),
        kind=cast(Kind, text["kind"]),
        user_id=UUID(text["user_id"]),
        digest=digest,
        credential=fields[b"credential"],
        name=text["name"],
        user_agent=text["user_agent"],
        created_at=_time(text["created_at"]),
        created_from=text["created_from"],
        last_used_at=_time(text["last_used_at"]),
        last_used_from=text["last_used_from"],
        expires_at=_time(text["expires_at"]),
    )


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)
