"""The directory: who may sign in, what the phone of an extension is dialled by, its mailbox.

At most one user is in an answer to a question about a user: FreeSWITCH takes the first it finds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TypeVar
from uuid import UUID

import attrs

from nizam.fsxml import values
from nizam.fsxml.profiles import srtp_variable
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.reveal import Reveal
from nizam.fsxml.writer import NOT_FOUND, Element, child, document, pairs, to_bytes
from nizam.model.extension import Extension
from nizam.model.sip_profile import Srtp
from nizam.model.tenant import Tenant
from nizam.model.voicemail_files import voicemail_directory
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot, TenantView

CACHE_MILLISECONDS = 60_000
"""How long FreeSWITCH keeps a user; changes are flushed at once, this bounds a lost flush."""

MOST_MADE = 40_000
"""How many hashes of passwords and passwords of mailboxes are kept."""

MOST_WRITTEN = 10_000
"""How many documents of users are kept, of about 1 KB each."""

Key = TypeVar("Key")
Kept = TypeVar("Kept")

_UNSERVED_ACTIONS = frozenset({"reverse-auth-lookup", "event_socket_auth"})


@attrs.frozen(eq=False)
class _Written:
    """The document of a user, and all that it was written from."""

    extension: Entry[Extension]
    tenant: Tenant
    srtp: Srtp
    document: bytes


@attrs.frozen
class Directory:
    """Answers directory questions from the snapshot; `reveal` decrypts SIP passwords.

    A phone signs in again and again, so that the document of its user is kept until something that
    it was written from has changed.
    """

    snapshot: Snapshot
    reveal: Reveal
    _made: dict[tuple[object, ...], str] = attrs.field(factory=dict, repr=False)
    _written: dict[UUID, _Written] = attrs.field(factory=dict, repr=False)

    def answer(self, request: XmlRequest) -> bytes:
        """The document for one question, the not-found one for what is not served."""
        action, purpose = request.field("action"), request.field("purpose")
        if action in _UNSERVED_ACTIONS:
            return NOT_FOUND
        if purpose == "gateways":
            return self._domains(request.field("profile"))
        domain = request.field("domain") or request.field("key_value")
        view = self.snapshot.tenant_by_domain(domain) if domain else None
        if view is None or view.tenant.status == "terminated":
            return NOT_FOUND
        if purpose == "network-list":
            return self._networks(view)
        if action == "group_call":
            return self._group(view, request.field("group_name") or request.field("group"))
        user = request.field("user")
        if not user:
            return self._domain_alone(view)
        return self._user(view, user, request.field("ip") if action == "sip_auth" else "")

    def _user(self, view: TenantView, number: str, source: str) -> bytes:
        entry = view.by_number(number)
        if entry is None or entry.resource != "extension" or not entry.body.enabled:
            return NOT_FOUND
        cidrs = entry.body.allowed_cidrs
        if source and cidrs and not _within(source, cidrs):
            return NOT_FOUND
        tenant, srtp = view.tenant, view.srtp
        known = self._written.get(entry.id)
        # What the snapshot holds is replaced, never changed.
        if known and known.extension is entry and known.tenant is tenant and known.srtp == srtp:
            return known.document
        written = self._write(view, entry)
        _keep(self._written, MOST_WRITTEN, entry.id, _Written(entry, tenant, srtp, written))
        return written

    def _write(self, view: TenantView, entry: Entry[Extension]) -> bytes:
        root, section = document("directory")
        domain = child(section, "domain", name=values.domain(view.tenant.domain))
        user = child(domain, "user", id=values.word(entry.body.number))
        if not entry.body.allowed_cidrs:
            # Who may sign in from some addresses only is asked for every time.
            user.set("cacheable", str(CACHE_MILLISECONDS))
        self._fill(user, view, entry)
        return to_bytes(root)

    def _fill(self, user: Element, view: TenantView, entry: Entry[Extension]) -> None:
        extension, domain = entry.body, view.tenant.domain
        a1_hash = self._a1_hash(entry, domain)
        voicemail = extension.voicemail
        yes_no = {True: "true", False: "false"}
        srtp = srtp_variable(view.srtp)
        params = child(user, "params")
        pairs(
            params,
            "param",
            (
                ("a1-hash", a1_hash),
                ("dial-string", dial_string(view.id, entry, srtp)),
                ("vm-password", self._mailbox_password(entry, a1_hash)),
                ("vm-enabled", yes_no[voicemail.enabled]),
                # Nothing of email: what it does not keep, FreeSWITCH tells nobody of, and NIZAM's
                # own emails are sent until they are taken.
                ("vm-storage-dir", _mailbox(view, entry)),
            ),
        )
        shown_name, shown_number = _shown(extension)
        pairs(
            child(user, "variables"),
            "variable",
            (
                ("user_context", domain),
                ("domain_name", domain),
                ("nizam_tenant_id", str(view.id)),
                ("nizam_extension_id", str(entry.id)),
                ("effective_caller_id_name", shown_name),
                ("effective_caller_id_number", shown_number),
                ("callgroup", extension.pickup_group),
                # In which voicemail tells when a message was left.
                ("timezone", extension.time_zone or view.tenant.time_zone),
                ("rtp_secure_media", srtp),
            ),
        )

    def _a1_hash(self, entry: Entry[Extension], domain: str) -> str | None:
        encrypted = entry.secrets.get("sip_password")
        if encrypted is None:
            return None
        number = entry.body.number

        def made() -> str:
            password = self.reveal(encrypted, "extension", entry.id, "sip_password")
            return digest_a1(number, domain, password)

        return self._once((encrypted, entry.id, number, domain), made)

    def _mailbox_password(self, entry: Entry[Extension], a1_hash: str | None) -> str | None:
        encrypted = entry.secrets.get("voicemail.pin")
        if encrypted is not None:
            reveal = partial(self.reveal, encrypted, "extension", entry.id, "voicemail.pin")
            return self._once((encrypted, entry.id), reveal)
        if a1_hash is None:
            return None
        # A mailbox without a PIN must not be open to whoever dials *98: its owner's phone needs
        # none.
        return self._once((a1_hash,), lambda: _unguessable(a1_hash))

    def _once(self, key: tuple[object, ...], make: Callable[[], str]) -> str:
        """What was made of the same before, so that it is decrypted and hashed once."""
        known = self._made.get(key)
        if known is None:
            known = make()
            _keep(self._made, MOST_MADE, key, known)
        return known

    def _group(self, view: TenantView, name: str) -> bytes:
        members = sorted(
            (it for it in view.all(Extension) if it.body.pickup_group == name and it.body.enabled),
            key=lambda it: it.body.number,
        )
        if not name or not members:
            return NOT_FOUND
        root, section = document("directory")
        domain = child(section, "domain", name=values.domain(view.tenant.domain))
        group = child(child(domain, "groups"), "group", name=values.word(name))
        users = child(group, "users")
        srtp = srtp_variable(view.srtp)
        for entry in members:
            user = child(users, "user", id=values.word(entry.body.number))
            pairs(
                child(user, "params"),
                "param",
                (("dial-string", dial_string(view.id, entry, srtp)),),
            )
        return to_bytes(root)

    def _networks(self, view: TenantView) -> bytes:
        named = [it for it in view.all(Extension) if it.body.allowed_cidrs and it.body.enabled]
        if not named:
            return NOT_FOUND
        root, section = document("directory")
        domain = child(section, "domain", name=values.domain(view.tenant.domain))
        for entry in sorted(named, key=lambda it: it.body.number):
            cidrs = ",".join(entry.body.allowed_cidrs)
            child(child(domain, "user", id=values.word(entry.body.number), cidr=cidrs), "params")
        return to_bytes(root)

    def _domain_alone(self, view: TenantView) -> bytes:
        """For `domain_exists` and `domain_data`: the domain without its users."""
        root, section = document("directory")
        name = values.domain(view.tenant.domain)
        domain = child(section, "domain", name=name)
        pairs(
            child(domain, "variables"),
            "variable",
            (("domain_name", name), ("nizam_tenant_id", str(view.id))),
        )
        return to_bytes(root)

    def _domains(self, profile: str) -> bytes:
        """Every domain, empty: the internal profile makes itself an alias of each."""
        names = sorted(
            it.tenant.domain for it in self.snapshot.tenants() if it.tenant.status != "terminated"
        )
        if profile != "internal" or not names:
            return NOT_FOUND
        root, section = document("directory")
        for name in names:
            child(section, "domain", name=values.domain(name))
        return to_bytes(root)


def digest_a1(user: str, realm: str, password: str) -> str:
    """HA1 of SIP's digest authentication with MD5 (RFC 2617, 3.2.2.2)."""
    return hashlib.md5(f"{user}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def dial_string(tenant_id: UUID, entry: Entry[Extension], srtp: str | None) -> str:
    """By what `user/` dials the phone; `srtp` is the value of `rtp_secure_media` if it has one.

    The ids are in the dial-string because the variables of the user reach the leg too late. The
    callee's name and number are what the caller's phone shows: without them FreeSWITCH writes
    `"Outbound Call" <sip:1001%acme.example.test@...>`, in which `%ac` is an escape.
    `${sofia_contact(...)}` would ring every contact, but is an API call, which is switched off.
    """
    name, number = _shown(entry.body)
    secure = "" if srtp is None else f":rtp_secure_media={values.word(srtp)}"
    return (
        "{^^:sip_invite_domain=${dialed_domain}:presence_id=${dialed_user}@${dialed_domain}"
        f":origination_callee_id_name={name}:origination_callee_id_number={number}"
        f":nizam_tenant_id={tenant_id}:nizam_extension_id={entry.id}{secure}}}"
        "sofia/internal/${dialed_user}%${dialed_domain}"
    )


def _keep(into: dict[Key, Kept], most: int, key: Key, value: Kept) -> None:
    """Keep a value, and of those that are kept the newest."""
    if len(into) >= most:
        del into[next(iter(into))]
    into[key] = value


def _shown(extension: Extension) -> tuple[str, str]:
    """The name and number that others inside the tenant see."""
    own = extension.caller_id
    number = values.word(own.internal_number or extension.number)
    return values.text(own.internal_name or extension.display_name) or number, number


def _mailbox(view: TenantView, entry: Entry[Extension]) -> str | None:
    """Where its messages lie: below the media root, or without one where the node keeps them."""
    if view.media_root is None:
        return None
    return values.sound(f"{view.media_root}/{voicemail_directory(view.id, entry.id)}")


def _unguessable(a1_hash: str) -> str:
    """Digits that nobody can know, the same for the same hash."""
    return str(int(hashlib.sha256(a1_hash.encode()).hexdigest(), 16))


def _within(source: str, cidrs: tuple[str, ...]) -> bool:
    try:
        address = ip_address(source)
    except ValueError:
        return False
    return any(address in ip_network(it) for it in cidrs)
