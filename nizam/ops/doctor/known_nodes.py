"""The switch nodes that NIZAM knows: from the settings, and those that the API was given."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import attrs

from nizam.errors import InternalError
from nizam.ops.doctor.postgres import Asked, asked
from nizam.ops.doctor.running import ProbeError
from nizam.settings import SecretKey, Settings
from nizam.store.secrets import SecretBox
from nizam.store.system.secret_keys import STORED_KEY_ID

_NODES = """
select id, body->>'name', body->>'esl_host', (body->>'esl_port')::int, body->>'xml_username',
    secrets
from switch_nodes order by body->>'name'
"""
_STORED_KEY = "select key from secret_keys where id = %s"


@attrs.frozen
class KnownNode:
    """A node: where its event socket is, and the secrets that NIZAM shares with it."""

    name: str
    host: str
    port: int
    password: str = attrs.field(repr=False)
    xml_username: str | None = None
    xml_password: str | None = attrs.field(default=None, repr=False)
    from_api: bool = False

    @property
    def subject(self) -> str:
        """What it is called in findings."""
        return f"freeswitch {self.name} {self.host}:{self.port}"


def known_nodes(settings: Settings) -> list[KnownNode]:
    """All of them; those of the settings alone while the database cannot be read."""
    found = [
        KnownNode(
            it.name,
            it.esl_host,
            it.esl_port,
            it.esl_password.reveal(),
            it.xml_username,
            it.xml_password.reveal() if it.xml_password else None,
        )
        for it in settings.nodes
    ]
    names = {it.name for it in found}
    try:
        with asked(settings.database.direct_dsn()) as server:
            found += [it for it in _stored(server, settings) if it.name not in names]
    except ProbeError:
        # The probe of the database says so.
        pass
    return found


def _stored(server: Asked, settings: Settings) -> Iterator[KnownNode]:
    if not server.value("select count(*) from pg_class where relname = 'switch_nodes'"):
        return
    keys = list(settings.secret_keys)
    keys += [
        SecretKey(STORED_KEY_ID, bytes(it)) for (it,) in server.rows(_STORED_KEY, (STORED_KEY_ID,))
    ]
    for identifier, name, host, port, username, sealed in server.rows(_NODES):
        if not keys or "esl_password" not in sealed:
            continue
        box = SecretBox(keys)
        try:
            password = box.decrypt(
                sealed["esl_password"], "switch_node", UUID(str(identifier)), "esl_password"
            )
            text = sealed.get("xml_password")
            xml = (
                None
                if text is None
                else box.decrypt(text, "switch_node", UUID(str(identifier)), "xml_password")
            )
        except InternalError as error:
            raise ProbeError(error.detail) from None
        yield KnownNode(name, host, port or 8021, password, username, xml, from_api=True)
