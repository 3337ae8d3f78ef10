"""Purging what is due beside an API that runs without a daemon."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor

from nizam.media.library import MediaLibrary
from nizam.ops.purge import Purge
from nizam.ops.scheduler import Outcome
from nizam.store.system.leases import take_lease
from tests.http.conftest import Server
from tests.ops.conftest import turn_of

reactor: Any = installed_reactor


async def purge_now(server: Server) -> Outcome:
    """One turn of the task, on a platform without a media root."""
    lease = await take_lease(server.pool, "scheduler", "tests", 60)
    assert lease is not None
    sign_ins = server.api.sign_ins
    library = MediaLibrary(reactor, None)
    purge = Purge(server.store, library, server.key_value, sign_ins.revoke_all)
    return await purge(turn_of(server.pool, lease))
