"""The phones of the scenery: REGISTER at start and again, with mod_sofia's events."""

from __future__ import annotations

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall

from nizam.sim import wire
from nizam.sim.answers import DirectoryUser
from nizam.sim.core import Registration
from nizam.sim.exchange import Exchange
from nizam.sim.questions import SipRequest
from nizam.sim.settings import Scenery, User

AGENT = "SIPp-fixture"
HOST = "127.0.0.1"
LATE_SECONDS = 60
"""sip-expires-late-margin of mod_sofia."""


class Phones:
    """Registers every user of `scenery`; a SIP profile looks REGISTERs up one after another."""

    def __init__(self, exchange: Exchange, scenery: Scenery) -> None:
        self._exchange = exchange
        self._core = exchange.core
        self._scenery = scenery
        self._one_at_a_time = DeferredLock()
        self._timers: dict[User, IDelayedCall] = {}
        self._call_ids: dict[User, str] = {}
        self._ports = {user: scenery.first_port + index for index, user in enumerate(scenery.users)}

    async def start(self) -> None:
        """Registers all phones; those refused are noted in the truth and not tried again."""
        for user in self._scenery.users:
            await self.register(user)

    def stop(self) -> None:
        """No further refresh; nothing is unregistered."""
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._timers.clear()

    def port(self, user: User) -> int:
        """The UDP port that the user's phone sends from."""
        return self._ports.setdefault(user, self._scenery.first_port + len(self._ports))

    def invite(self, user: User, dialled: str) -> SipRequest:
        """What the user's phone puts into an INVITE with credentials."""
        return self._request("INVITE", user, dialled)

    async def register(self, user: User, expires: int | None = None) -> bool:
        """One REGISTER of `user`, with `expires` 0 an un-REGISTER; whether it was accepted.

        Fires sofia::pre_register and register_attempt, then register, unregister or
        register_failure. A registration is refreshed before it expires.
        """
        await self._one_at_a_time.acquire()
        try:
            return await self._register(user, expires)
        finally:
            self._one_at_a_time.release()

    async def _register(self, user: User, expires: int | None) -> bool:
        expires = self._scenery.register_expires if expires is None else expires
        request = self._request("REGISTER", user, user.number)
        basis = _basis(request, expires)
        self._fire("sofia::pre_register", basis)
        found = await self._exchange.questions.authenticate(request)
        accepted = found is not None and found.accepts(user.password)
        attempt = list(basis)
        attempt[-1:-1] = [("username", user.number), ("realm", user.domain)]
        attempt.append(("auth-result", "RENEWED" if accepted else "FORBIDDEN"))
        self._fire("sofia::register_attempt", attempt)
        address = f"{user.number}@{user.domain}"
        if found is None or not accepted:
            self._fire("sofia::register_failure", _failure(request))
            self._exchange.truth.problem(f"REGISTER of {address} was refused")
            return False
        if expires == 0:
            self._unregister(user, request, found)
            return True
        self._exchange.truth.registered.add(address)
        contact = (user.number, user.domain, request.port)
        self._core.registrations.pop(contact, None)
        self._core.registrations[contact] = Registration(
            user.number,
            user.domain,
            HOST,
            request.port,
            request.call_id,
            AGENT,
            int(self._core.clock.seconds()) + expires + LATE_SECONDS,
        )
        details = list(basis)
        details[3:3] = [("presence-hosts", "n/a")]
        details[-1:-1] = [("username", user.number), ("realm", user.domain)]
        self._fire("sofia::register", details + _user_variables(found))
        await self._message_count(request)
        self._refresh_later(user, expires)
        return True

    def _unregister(self, user: User, request: SipRequest, found: DirectoryUser) -> None:
        self._core.registrations.pop((user.number, user.domain, request.port), None)
        if not self._core.contacts(user.number, user.domain):
            self._exchange.truth.registered.discard(f"{user.number}@{user.domain}")
        timer = self._timers.pop(user, None)
        if timer is not None and timer.active():
            timer.cancel()
        details: wire.Headers = [
            ("profile-name", request.profile),
            ("username", user.number),
            ("from-user", user.number),
            ("from-host", user.domain),
            ("contact", _contact(request)),
            ("call-id", request.call_id),
            ("rpid", "unknown"),
            ("realm", user.domain),
            ("network-ip", request.host),
            ("network-port", str(request.port)),
            ("user-agent", request.agent),
            ("expires", "0"),
        ]
        self._fire("sofia::unregister", details + _user_variables(found))

    async def _message_count(self, request: SipRequest) -> None:
        account = f"sip:{request.user}@{request.domain}"
        query: wire.Headers = [
            ("Message-Account", account),
            ("VM-Sofia-Profile", request.profile),
            ("VM-Call-ID", request.call_id),
        ]
        self._core.fire("MESSAGE_QUERY", lambda: query)
        if await self._exchange.questions.message_count(request.user, request.domain) is None:
            return
        waiting: wire.Headers = [
            ("MWI-Messages-Waiting", "no"),
            ("MWI-Message-Account", account),
            ("Sofia-Profile", request.profile),
            ("Call-ID", request.call_id),
        ]
        self._core.fire("MESSAGE_WAITING", lambda: waiting)

    def _refresh_later(self, user: User, expires: int) -> None:
        before = self._timers.get(user)
        if before is not None and before.active():
            before.cancel()
        self._timers[user] = self._core.clock.callLater(
            expires / 2, lambda: self._exchange.spawn(self.register(user))
        )

    def _request(self, method: str, user: User, to_user: str) -> SipRequest:
        port = self.port(user)
        return SipRequest(
            method=method,
            user=user.number,
            domain=user.domain,
            password=user.password,
            host=HOST,
            port=port,
            to_user=to_user,
            call_id=self._call_id(method, user),
            agent=AGENT,
        )

    def _call_id(self, method: str, user: User) -> str:
        """A phone keeps the Call-ID of its REGISTERs (RFC 3261, 10.2)."""
        made = f"1-{self._core.random.randrange(10000, 99999)}@{HOST}"
        return self._call_ids.setdefault(user, made) if method == "REGISTER" else made

    def _fire(self, subclass: str, headers: wire.Headers) -> None:
        self._core.fire("CUSTOM", lambda: headers, subclass=subclass)


def _contact(request: SipRequest) -> str:
    return f'"" <sip:{request.user}@{request.host}:{request.port}>'


def _basis(request: SipRequest, expires: int) -> wire.Headers:
    status = "Registered(UDP)" if expires else "Unregistered(UDP)"
    return [
        ("profile-name", request.profile),
        ("from-user", request.user),
        ("from-host", request.domain),
        ("contact", _contact(request)),
        ("call-id", request.call_id),
        ("rpid", "unknown"),
        ("status", status),
        ("expires", str(expires)),
        ("to-user", request.user),
        ("to-host", request.domain),
        ("network-ip", request.host),
        ("network-port", str(request.port)),
        ("user-agent", request.agent),
    ]


def _failure(request: SipRequest) -> wire.Headers:
    return [  # profile-name comes twice, as recorded
        ("profile-name", request.profile),
        ("to-user", request.to_user),
        ("to-host", request.domain),
        ("network-ip", request.host),
        ("user-agent", request.agent),
        ("profile-name", request.profile),
        ("network-port", str(request.port)),
        ("registration-type", request.method),
    ]


def _user_variables(found: DirectoryUser) -> wire.Headers:
    return [
        ("sip_number_alias", found.number_alias or found.id),
        ("sip_auth_username", found.id),
        ("sip_auth_realm", found.domain),
        ("number_alias", found.number_alias or found.id),
        ("user_name", found.id),
        ("domain_name", found.domain),
        *((name, value) for name, value in found.variables.items() if name != "domain_name"),
    ]
