"""Which FreeSWITCH node is asking: HTTP Basic credentials, and where it may ask from."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from uuid import UUID

from twisted.logger import Logger

from nizam.errors import InternalError
from nizam.fsxml.reveal import Reveal
from nizam.http.limits import LocalMeter, Meter
from nizam.model.switch_node import SwitchNode
from nizam.routing.rows import Entry
from nizam.routing.snapshot import Snapshot
from nizam.settings.values import Network, XmlClient

FAILURES_PER_MINUTE = 60
_REMEMBERED = 10_000
_NOBODY = b"\x00 no such user"


class NodeCredentials:
    """The credentials of every node: those in the settings, and the switch nodes of the snapshot.

    `allowed_networks` empty allows every address.
    """

    _log = Logger(namespace="nizam.xml")

    def __init__(
        self,
        snapshot: Snapshot,
        reveal: Reveal,
        clients: Sequence[XmlClient] = (),
        allowed_networks: Sequence[Network] = (),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._snapshot = snapshot
        self._reveal = reveal
        self._clients = {
            it.username.encode(): (it.node, it.password.reveal().encode()) for it in clients
        }
        self._networks = tuple(allowed_networks)
        self._revealed: dict[UUID, tuple[str, bytes]] = {}
        self._failures = LocalMeter(seconds)
        self._right: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def node(self, header: bytes | None, remote: str) -> str | None:
        """The name of the node that asks, None if its credentials or its address are wrong:
        `header` is its Authorization, `remote` the address that it asks from.

        From an address that has sent many wrong passwords, only credentials that were right from
        there before are looked at, so that a guesser beside a node does not shut the node out.
        """
        if self._networks and not self._within(remote):
            return None
        if header is None or header[:6].lower() != b"basic ":
            return None
        try:
            username, colon, password = base64.b64decode(header[6:], validate=True).partition(b":")
        except binascii.Error:
            return None
        meter = Meter(remote, FAILURES_PER_MINUTE)
        if (remote, header) not in self._right and self._failures.exhausted(meter):
            return None
        found = self._clients.get(username) or self._switch_node(username)
        # An unknown user takes as long as a wrong password.
        name, expected = found or ("", _NOBODY)
        matches = hmac.compare_digest(password, expected)
        if not (matches and colon and found):
            if self._failures.take(meter).binding.remaining == 0:
                self._log.warn("many wrong passwords from {remote}", remote=remote)
            return None
        self._right[remote, header] = None
        if len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)
        return name

    def _switch_node(self, username: bytes) -> tuple[str, bytes] | None:
        for entry in self._snapshot.platform(SwitchNode):
            if entry.body.xml_username.encode() == username and entry.body.enabled:
                password = self._password(entry)
                return None if password is None else (entry.body.name, password)
        return None

    def _password(self, entry: Entry[SwitchNode]) -> bytes | None:
        encrypted = entry.secrets.get("xml_password")
        if encrypted is None:
            return None
        known = self._revealed.get(entry.id)
        if known is None or known[0] != encrypted:
            try:
                secret = self._reveal(encrypted, "switch_node", entry.id, "xml_password")
            except InternalError as error:
                self._log.error(
                    "{node} is refused: {error}", node=entry.body.name, error=str(error)
                )
                return None
            known = self._revealed[entry.id] = (encrypted, secret.encode())
        return known[1]

    def _within(self, remote: str) -> bool:
        try:
            address = ip_address(remote)
        except ValueError:
            return False
        return any(address in network for network in self._networks)
