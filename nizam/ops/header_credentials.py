"""Credentials among the headers of webhooks, where earlier versions kept them in clear, are moved
to where they are encrypted and nobody is shown them.

A webhook with several such headers, or with one beside the one that is encrypted, stays as it is:
there is one place. Whoever changes it next is told.
"""

from __future__ import annotations

from typing import Final

import attrs
from pydantic import ValidationError
from twisted.logger import Logger

from nizam.errors import Conflict, DatabaseUnavailable, NizamError
from nizam.model.registry import resource
from nizam.model.webhook import CREDENTIAL_HEADERS, Webhook
from nizam.ops.scheduler import Outcome, Turn
from nizam.store.context import SYSTEM
from nizam.store.store import Store
from nizam.store.stored import Stored

_SECRET: Final = "authentication.value"  # noqa: S105 - the name of the field
_FIND: Final = """
select tenant_id, id from webhooks
where not secrets ? %s and 1 = (
    select count(*) from jsonb_object_keys(body -> 'headers') as it where lower(it) = any(%s))
order by id
"""


@attrs.frozen
class HeaderCredentials:
    """The task."""

    store: Store
    _log = Logger()

    async def __call__(self, turn: Turn) -> Outcome:
        """Move those that there are, each as a change of its webhook."""
        for tenant_id, identifier in await turn.query(_FIND, (_SECRET, [*CREDENTIAL_HEADERS])):
            if turn.over:
                return Outcome(more=True)
            try:
                await self.store.update(resource("webhook"), tenant_id, identifier, _moved, SYSTEM)
            except DatabaseUnavailable:
                raise
            except (NizamError, ValidationError) as error:
                self._log.warn(
                    "a header of webhook {id} stays in clear: {error}",
                    id=str(identifier),
                    error=error.detail if isinstance(error, NizamError) else "it is not valid",
                )
        return Outcome()


def _moved(present: Stored) -> Webhook:
    headers = dict(present.body["headers"])
    names = [it for it in headers if it.lower() in CREDENTIAL_HEADERS]
    if len(names) != 1 or _SECRET in present.secrets:
        raise Conflict("it has just been changed")
    authentication = {"header": names[0], "value": headers.pop(names[0]) or None}
    body = {**present.body, "headers": headers, "authentication": authentication}
    return Webhook.model_validate(body)
