"""A new encryption key while the daemon runs and calls are placed."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from click.testing import CliRunner, Result
from twisted.internet.threads import deferToThread

from nizam.cli.root import commands
from tests.daemon.process import until
from tests.daemon.site import Site, connected
from tests.daemon.test_secrets import redis_values

OLD = f"test:{base64.b64encode(bytes(range(32))).decode()}"
NEW = f"new:{base64.b64encode(bytes(range(1, 33))).decode()}"


async def nizam(database: str, keys: str, *arguments: str) -> Result:
    it = urlsplit(database)
    environment = {
        "DB_HOST": it.hostname,
        "DB_PORT": str(it.port),
        "DB_DATABASE": it.path[1:],
        "DB_USERNAME": it.username,
        "DB_PASSWORD": it.password,
        "NIZAM_SECRET_KEYS": keys,
    }
    result: Result = await deferToThread(CliRunner().invoke, commands, arguments, env=environment)
    return result


async def restart(site: Site, keys: str) -> None:
    await site.daemon.terminate()
    site.daemon.change({"NIZAM_SECRET_KEYS": keys})
    site.daemon.start()
    await site.daemon.ready()
    await connected(site)


async def test_a_key_is_replaced_without_a_call_or_a_webhook_lost(
    site: Site, database: str, redis_url: str
) -> None:
    await restart(site, f"{NEW},{OLD}")
    site.switch.calls.start(10.0)
    result = await nizam(database, f"{NEW},{OLD}", "secrets", "rotate")
    assert result.exit_code == 0, result.output
    assert not result.output.startswith("0 ")
    assert (await nizam(database, NEW, "secrets", "status")).exit_code == 0

    async def copied() -> bool:
        texts = [content async for _, content in redis_values(redis_url)]
        return not any(b"v1:test:" in it for it in texts)

    assert await until(site.reactor, copied, 10), "Redis still has texts of the old key"
    await site.call_for(1.0)
    assert await site.settled() == []
    await restart(site, NEW)
    await site.call_for(1.0)
    assert await site.settled() == []
    assert site.receiver.refused == 0
    assert site.daemon.logged("error", "critical") == []
    result = await nizam(database, NEW, "audit", "verify")
    assert (result.exit_code, result.output.split()[-1]) == (0, "whole")
