"""Who somebody is, by an address and a password; and what the audit log holds of signing in.

All of this refuses while Redis is away: what cannot be counted is not tried.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import attrs
from pydantic import StringConstraints

from nizam.errors import PageNotAllowed
from nizam.http.cors import may_use_session
from nizam.http.limits import Limiter, Meter
from nizam.http.lockout import Lockout
from nizam.http.passwords import Passwords
from nizam.http.route import Call
from nizam.store.audit import AuditEntry, record
from nizam.store.context import ChangeContext
from nizam.store.store import Store
from nizam.store.system.users import FoundUser

LOGINS_PER_MINUTE: Final = 5
"""From one address, and for one account."""

Given = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A password as somebody typed it, right or wrong."""


@attrs.frozen(kw_only=True)
class Verifier:
    """What signing in and changing a password have in common. `origins` are the pages that may log
    in from elsewhere."""

    store: Store
    passwords: Passwords
    lockout: Lockout
    limiter: Limiter
    now: Callable[[], datetime]
    origins: tuple[str, ...]

    def check_page(self, call: Call) -> None:
        """Refuse another site's page, which could sign its visitor in as somebody else."""
        origin = call.header("origin")
        if origin is not None and not may_use_session(origin, call.header("host"), self.origins):
            raise PageNotAllowed(f"pages of {origin[:200]} may not log in here")

    async def verified(self, call: Call, email: str, password: str) -> FoundUser | None:
        """The user, if the password is right; each try counts, and too many wrong ones lock.

        Raises LoginLocked, RateLimited, and KeyValueUnavailable.
        """
        await self.lockout.check(email)
        await self.count("account", email)
        user = await self.store.find_login(email)
        right = await self.passwords.verify(password, user.password_hash if user else None)
        if user is None or not right:
            await self.lockout.failed(email)
            await self.audit(call, "login_failed", user, email)
            return None
        await self.lockout.clear(email)
        return user

    async def count(self, what: str, whose: str) -> None:
        """Count a try; RateLimited when there were too many."""
        await self.limiter.take_strictly(
            f"{what}:{whose}", Meter("minute", LOGINS_PER_MINUTE, policy=what)
        )

    async def audit_own(self, call: Call, action: str) -> None:
        """Record what whoever has signed in did with a sign-in of theirs."""
        await self.audit(call, action, await self.store.find_user(call.principal.id))

    async def audit(
        self, call: Call, action: str, user: FoundUser | None, email: str | None = None
    ) -> None:
        """Record what was done as this user; `email` is what was given in vain."""
        entry = AuditEntry(
            action=action,
            resource_type="user",
            resource_id=user.id if user else None,
            tenant_id=user.home if user else None,
            after={"email": email or (user.email if user else None)},
        )
        # A wrong password does not make anybody the user.
        actor = context_of(call, None if email else user, email)
        await record(self.store.primary, actor, self.now(), entry)


def context_of(call: Call, user: FoundUser | None, email: str | None = None) -> ChangeContext:
    """The user as the actor, also where nobody has signed in yet."""
    return ChangeContext(
        actor_type="anonymous" if user is None else "user",
        actor_name=user.email if user else email or "anonymous",
        actor_id=user.id if user else None,
        address=call.remote,
        request_id=call.request_id,
    )
