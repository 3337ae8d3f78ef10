"""From a request's credentials to who asks: API keys, bearer tokens and sessions in a cookie."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Literal
from uuid import UUID

import attrs

from nizam.errors import CsrfTokenMissing, RateLimited, Unauthenticated
from nizam.http.limits import LocalMeter, Meter
from nizam.http.principal import Grant, Principal, SignIn, TicketGrant, key_grants, member_grants
from nizam.http.sign_ins import SignInRecord, SignIns, csrf_token, is_session, is_token
from nizam.http.stream_tickets import STREAM_PERMISSION, StreamTickets
from nizam.model.key_text import is_well_formed, key_hash
from nizam.store.system.api_keys import FoundKey
from nizam.store.system.users import FoundUser

CACHE_SECONDS = 5.0
CACHE_ENTRIES = 10_000
TOUCH_SECONDS = 60.0
FAILURES_PER_MINUTE = 60
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@attrs.frozen(kw_only=True)
class Credentials:
    """What a request brings: its Authorization header, or the session cookie of a browser with
    the token that its page has to send with everything that changes something; or the `ticket` of
    a stream."""

    authorization: str | None = attrs.field(default=None, repr=False)
    session: str | None = attrs.field(default=None, repr=False)
    csrf_token: str | None = attrs.field(default=None, repr=False)
    safe: bool = False
    ticket: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Holder:
    """Whose credentials something was begun with, to ask later whether they still hold: by the
    SHA-256 of a key, session or token, from the address where it came from; None from anywhere."""

    kind: Literal["api_key", "user"]
    digest: str = attrs.field(repr=False)
    remote: str | None


def holder_of(principal: Principal, remote: str | None) -> Holder:
    """Whose credentials these are."""
    if principal.sign_in is not None:
        return Holder("user", principal.sign_in.digest, remote)
    assert principal.key_digest is not None  # noqa: S101 - everybody else has a key
    return Holder("api_key", principal.key_digest, remote)


FindKey = Callable[[str], Awaitable[FoundKey | None]]
FindUser = Callable[[UUID], Awaitable[FoundUser | None]]
Touch = Callable[[UUID, str], Awaitable[None]]


class Authenticator:
    """Finds the principal of a request.

    `find_key` finds an enabled key by its hash and `find_user` an enabled user by id; what they
    found is kept for 5 s, so that is how long a revoked key lives at most on an instance that did
    not hear of the change. A revoked session or token is refused at once, because `sign_ins` is
    asked each time; while Redis is away nobody is signed in (KeyValueUnavailable), and API keys
    hold. `touch` notes that a key was used, at most once a minute for each.
    """

    def __init__(
        self,
        find_key: FindKey,
        find_user: FindUser,
        sign_ins: SignIns,
        touch: Touch,
        seconds: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tickets: StreamTickets | None = None,
    ) -> None:
        self._tickets = tickets
        self._find_key = find_key
        self._find_user = find_user
        self._sign_ins = sign_ins
        self._touch = touch
        self._seconds = seconds
        self._now = now
        self._keys: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        self._users: OrderedDict[UUID, tuple[float, FoundUser]] = OrderedDict()
        self._touched: OrderedDict[UUID | str, float] = OrderedDict()
        self._failures = LocalMeter(seconds)

    def forget(self) -> None:
        """Look every key and user up again; called when one of them changes."""
        self._keys.clear()
        self._users.clear()

    async def identify(self, given: Credentials, remote: str) -> Principal:
        """The principal of a request from the address `remote`.

        Raises Unauthenticated, whose answer does not say whether the key exists; RateLimited
        instead when the address has tried many keys that do not; CsrfTokenMissing.
        """
        if given.authorization is not None:
            scheme, _, text = given.authorization.partition(" ")
            text = text.strip()
            if scheme.lower() == "bearer" and is_well_formed(text):
                return await self._key(text, remote)
            if scheme.lower() == "bearer" and is_token(text):
                return await self._user(text, "token", remote)
            raise _refused("the Authorization header holds no API key and no token")
        if given.session is not None and is_session(given.session):
            principal = await self._user(given.session, "session", remote)
            expected = csrf_token(given.session)
            if not given.safe and not hmac.compare_digest(
                (given.csrf_token or "").encode(), expected.encode()
            ):
                raise CsrfTokenMissing
            return principal
        if given.ticket is not None and self._tickets is not None:
            return await self._ticket(given.ticket, remote)
        raise _refused("send Authorization: Bearer with an API key or a token, or log in")

    async def again(self, holder: Holder) -> Principal:
        """Who holds these credentials now; raises Unauthenticated when they hold no more."""
        if holder.kind == "api_key":
            return await self._checked_key(holder.digest, holder.remote)
        record = await self._sign_ins.of_digest(holder.digest)
        return principal_of(*await self._checked_sign_in(record))

    async def _ticket(self, text: str, remote: str) -> Principal:
        """Who a ticket was made for, with the rights of the ticket alone."""
        assert self._tickets is not None  # noqa: S101 - identify asks
        record = await self._tickets.redeem(text)
        if record is None:
            raise self._failed(remote, "the ticket is not valid: it is used up, or too old")
        maker = await self.again(Holder(record.kind, record.digest, None))
        held = maker.permissions(record.tenant_id) & {STREAM_PERMISSION}
        return attrs.evolve(
            maker,
            grants={record.tenant_id: Grant(held)},
            ticket=TicketGrant(record.tenant_id, record.within),
        )

    # -- keys -----------------------------------------------------------------------------------

    async def _key(self, text: str, remote: str) -> Principal:
        found = await self._checked_key(key_hash(text), remote)
        if self._is_due(found.id):
            await self._touch(found.id, remote)
        return found

    async def _checked_key(self, digest: str, remote: str | None) -> Principal:
        found = await self._known_key(digest)
        if found is None:
            detail = "the API key is not valid"
            raise _refused(detail) if remote is None else self._failed(remote, detail)
        if found.expires_at is not None and found.expires_at <= self._now():
            raise _refused("the API key is not valid")
        if remote is not None and found.allowed_cidrs and not _within(remote, found.allowed_cidrs):
            raise _refused("the API key is not valid from this address")
        return found

    async def _known_key(self, digest: str) -> Principal | None:
        kept = self._keys.get(digest)
        if kept is not None and kept[0] > self._seconds():
            return kept[1]
        found = await self._find_key(digest)
        if found is None:
            self._keys.pop(digest, None)
            return None
        principal = Principal(
            kind="api_key",
            id=found.id,
            name=found.name,
            grants=key_grants(found.tenant_id, found.scopes),
            rate_limit_per_minute=found.rate_limit_per_minute,
            expires_at=found.expires_at,
            allowed_cidrs=found.allowed_cidrs,
            key_digest=digest,
        )
        self._keys[digest] = (self._seconds() + CACHE_SECONDS, principal)
        if len(self._keys) > CACHE_ENTRIES:
            self._keys.popitem(last=False)
        return principal

    # -- users ----------------------------------------------------------------------------------

    async def _user(self, text: str, kind: str, remote: str) -> Principal:
        found = await self._sign_ins.find(text)
        if found is None or found.kind != kind or found.expires_at <= self._now():
            raise self._failed(remote, "the session or token is not valid")
        user, record = await self._checked_sign_in(found)
        if self._is_due(record.digest):
            await self._sign_ins.touch(record, remote)
        return principal_of(user, record, text)

    async def _checked_sign_in(self, record: SignInRecord | None) -> tuple[FoundUser, SignInRecord]:
        if record is None or record.expires_at <= self._now():
            raise _refused("the session or token is not valid")
        user = await self._known_user(record.user_id)
        # The fingerprint of the password that was used: a new password ends what the old began.
        if user is None or not hmac.compare_digest(user.credential, record.credential):
            raise _refused("the session or token is not valid")
        return user, record

    async def _known_user(self, user_id: UUID) -> FoundUser | None:
        kept = self._users.get(user_id)
        if kept is not None and kept[0] > self._seconds():
            return kept[1]
        found = await self._find_user(user_id)
        if found is None:
            self._users.pop(user_id, None)
            return None
        self._users[user_id] = (self._seconds() + CACHE_SECONDS, found)
        if len(self._users) > CACHE_ENTRIES:
            self._users.popitem(last=False)
        return found

    # -- both -----------------------------------------------------------------------------------

    def _is_due(self, who: UUID | str) -> bool:
        last = self._touched.get(who)
        if last is not None and self._seconds() - last < TOUCH_SECONDS:
            return False
        self._touched[who] = self._seconds()
        self._touched.move_to_end(who)
        if len(self._touched) > CACHE_ENTRIES:
            self._touched.popitem(last=False)
        return True

    def _failed(self, remote: str, detail: str) -> Unauthenticated | RateLimited:
        usage = self._failures.take(Meter(remote, FAILURES_PER_MINUTE)).binding
        if usage.retry_seconds:
            return RateLimited(
                "too many keys that are not valid",
                headers=(("Retry-After", str(usage.retry_seconds)),),
            )
        return _refused(detail)


def principal_of(user: FoundUser, record: SignInRecord, text: str | None = None) -> Principal:
    """The user who holds the session or token with this text; without it nobody can prove that
    a page of the session asks."""
    return Principal(
        kind="user",
        id=user.id,
        name=user.name,
        email=user.email,
        grants=member_grants(user.memberships),
        sign_in=SignIn(
            id=record.id,
            kind=record.kind,
            digest=record.digest,
            expires_at=record.expires_at,
            csrf_token=csrf_token(text) if text and record.kind == "session" else None,
        ),
    )


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, headers=(("WWW-Authenticate", 'Bearer realm="nizam"'),))


def _within(remote: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    return any(
        address in network
        for network in map(ip_network, networks)
        if network.version == address.version
    )
