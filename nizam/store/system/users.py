"""Users across tenants: found by address at login, by id when a request comes in."""

from __future__ import annotations

import hashlib
from uuid import UUID

import attrs

from nizam.model.permissions import Role
from nizam.model.user import User
from nizam.store.pool import Pool
from nizam.store.secrets import SecretBox
from nizam.store.stored import Stored

# A membership of a tenant that is terminated, or gone, is none any more.
_FIND = """
select u.id, u.body, u.secrets ->> 'password', array(
    select t.id::text from tenants t, jsonb_array_elements(u.body -> 'memberships') it
    where t.id = (it ->> 'tenant_id')::uuid and t.status <> 'terminated')
from users u where u.enabled and
"""
_NOTE_LOGIN = "update users set last_login_at = now(), last_login_from = %s where id = %s"


@attrs.frozen(kw_only=True)
class FoundUser:
    """An enabled user. `credential` is a fingerprint of the password's hash: it differs when the
    password has changed."""

    id: UUID
    email: str
    name: str
    memberships: tuple[tuple[UUID | None, Role], ...]
    password_hash: str | None = attrs.field(repr=False)

    @property
    def home(self) -> UUID | None:
        """The one tenant that the user belongs to, None for the platform's and those of several."""
        places = {tenant_id for tenant_id, _ in self.memberships}
        return next(iter(places)) if len(places) == 1 else None

    @property
    def credential(self) -> bytes:
        """What sessions are bound to."""
        return _fingerprint(self.password_hash)


async def find_user(pool: Pool, box: SecretBox, user_id: UUID) -> FoundUser | None:
    """The enabled user with this id, or None."""
    return _user(box, await pool.query(f"{_FIND} u.id = %s", (user_id,)))


async def find_login(pool: Pool, box: SecretBox, email: str) -> FoundUser | None:
    """The enabled user with this address, in whichever case it is written, or None."""
    return _user(box, await pool.query(f"{_FIND} u.email = %s", (email.lower(),)))


async def note_login(pool: Pool, user_id: UUID, address: str) -> None:
    """Note that the user has logged in now, from this address."""
    await pool.execute(_NOTE_LOGIN, (address, user_id))


def credential_of(box: SecretBox, user: Stored) -> bytes:
    """The fingerprint of the password that a user is stored with."""
    sealed = user.secrets.get("password")
    return _fingerprint(sealed and box.decrypt(sealed, "user", user.id, "password"))


def _fingerprint(password_hash: str | None) -> bytes:
    return hashlib.sha256((password_hash or "").encode()).digest()[:16]


def _user(box: SecretBox, rows: list[tuple[object, ...]]) -> FoundUser | None:
    if not rows:
        return None
    identifier, body, sealed, tenants = rows[0]
    assert isinstance(identifier, UUID)  # noqa: S101 - the column's type
    user = User.model_validate(body, extra="ignore")
    alive = {None, *map(UUID, tenants)}  # type: ignore[call-overload]
    return FoundUser(
        id=identifier,
        email=user.email,
        name=user.name,
        memberships=tuple(
            (it.tenant_id, it.role) for it in user.memberships if it.tenant_id in alive
        ),
        password_hash=None
        if sealed is None
        else box.decrypt(str(sealed), "user", identifier, "password"),
    )
