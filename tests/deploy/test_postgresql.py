"""What deploy/ ships for PostgreSQL and PgBouncer, with real ones: TLS, and everything through a
pool of transactions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from twisted.internet import reactor

from nizam.errors import DatabaseUnavailable
from nizam.settings.load import load
from nizam.store.migrate import current, upgrade
from nizam.store.pool import Pool
from tests.certificates import Authority
from tests.daemon.process import until
from tests.daemon.site import Site, build_site, demo_scenery, stop_site
from tests.deploy.files import DEPLOY
from tests.deploy.pgbouncer import Bouncer, bouncer
from tests.servers import Primary

pytestmark = pytest.mark.time_limit(60)


@pytest.fixture(scope="module")
def authority(server_folder: Path) -> Authority:
    return Authority(server_folder / "authority")


@pytest.fixture(scope="module")
def server(server_folder: Path, authority: Authority) -> Iterator[Primary]:
    """PostgreSQL with the shipped postgresql.conf and pg_hba.conf."""
    with Primary(server_folder / "shipped-postgresql", authority=authority) as made:
        upgrade(made.dsn())
        yield made


@pytest.fixture(scope="module")
def pooled(server_folder: Path, server: Primary, authority: Authority) -> Iterator[Bouncer]:
    with bouncer(server_folder / "pgbouncer", server, authority) as made:
        yield made


# -- the shipped files ---------------------------------------------------------------------------


def test_every_line_of_the_shipped_files_is_in_force(server: Primary) -> None:
    # What the test gives on the command line is said to be refused from the file.
    wrong = (
        "select array_agg(f.name || ': ' || f.error) from pg_file_settings f "
        "join pg_settings s using (name) where f.error is not null and s.source <> 'command line'"
    )
    assert server.ask(wrong) is None
    assert server.ask("select array_agg(error) from pg_hba_file_rules where error <> ''") is None
    lines = (DEPLOY / "postgresql" / "postgresql.conf").read_text().splitlines()
    named = {it.split(" = ")[0] for it in lines if it and not it.startswith("#")}
    given = server.ask(
        "select array_agg(name) from pg_file_settings where sourcefile ~ '/shipped/'"
    )
    assert set(given) == named


# -- TLS -----------------------------------------------------------------------------------------


def dsn(server: Primary, **given: str) -> str:
    """As the daemon's settings make it."""
    found = load(None, server.settings() | given).settings.database
    return found.dsn()


async def connect(dsn: str) -> Any:
    """What a pool's first query says of the connection's TLS; DatabaseUnavailable."""
    pool = Pool(reactor, dsn, size=1, name="test", wait=1.0)
    problems: list[str] = []
    pool._connections._log = _Told(problems)  # type: ignore[assignment]
    await pool.start()
    try:
        if problems:
            raise DatabaseUnavailable(problems[0])
        sql = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        return (await pool.query(sql))[0]
    finally:
        await pool.stop()


class _Told:
    """A log of problems alone."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def warn(self, _format: str, *, error: str, **_more: object) -> None:
        self._problems.append(error)


async def test_tls_with_a_known_authority_and_the_right_name_is_taken(
    server: Primary, authority: Authority
) -> None:
    made = dsn(server, DB_SSLMODE="verify-full", DB_SSLROOTCERT=str(authority.file))
    assert await connect(made) == (True, "TLSv1.3")
    assert current(made) is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"DB_SSLMODE": "disable"}, "set DB_SSLMODE"),
        ({"DB_SSLMODE": "verify-full", "DB_HOST": "localhost"}, "DB_HOST has to be a name"),
        ({"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "other"}, "in DB_SSLROOTCERT"),
        ({"DB_SSLMODE": "verify-full", "DB_SSLROOTCERT": "/nowhere"}, "DB_SSLROOTCERT names"),
        ({"DB_SSLMODE": "require", "DB_PASSWORD": "wrong"}, "see DB_USERNAME and DB_PASSWORD"),
    ],
)
async def test_what_is_refused_names_the_setting(
    given: dict[str, str], words: str, server: Primary, authority: Authority, tmp_path: Path
) -> None:
    files = {"other": str(Authority(tmp_path, "Somebody else").file)}
    root = given.get("DB_SSLROOTCERT", str(authority.file))
    made = dsn(server, **given | {"DB_SSLROOTCERT": files.get(root, root)})
    with pytest.raises(DatabaseUnavailable, match=words):
        await connect(made)
    with pytest.raises(DatabaseUnavailable, match=words):
        current(made)


# -- PgBouncer -----------------------------------------------------------------------------------


async def test_a_pool_goes_through_transactions_of_others(pooled: Bouncer) -> None:
    database = load(None, pooled.settings()).settings.database
    assert database.pooled
    one, two = (Pool(reactor, database.dsn(), 2, n, server_timeouts=False) for n in ("a", "b"))
    for pool in (one, two):
        await pool.start()
    try:
        for pool in (one, two):
            assert await pool.query("show statement_timeout") == [("15s",)]
            assert await pool.query("show idle_in_transaction_session_timeout") == [("15s",)]
        with pytest.raises(psycopg2.Error, match="permission denied"):
            await one.tenant_query(
                "01937a5e-0000-7000-8000-0000000000aa",  # type: ignore[arg-type]
                "insert into platform_state (revision) values (1)",
            )
        # Nothing of the tenant's role stays on the server's connection.
        assert await two.query("select current_user::text") == [("nizam",)]
    finally:
        for pool in (one, two):
            await pool.stop()


async def test_without_the_direct_host_the_error_names_it(pooled: Bouncer) -> None:
    given = pooled.settings() | {"DB_DIRECT_HOST": ""}
    database = load(None, given).settings.database
    with pytest.raises(DatabaseUnavailable, match="DB_DIRECT_HOST"):
        await connect(database.dsn())


async def test_the_whole_daemon_works_through_it(
    pooled: Bouncer, redis_url: str, tmp_path: Path
) -> None:
    direct = dsn(pooled.server, DB_SSLMODE="require")
    site = await build_site(
        reactor, direct, redis_url, tmp_path, demo_scenery(0.1), pooled.settings()
    )
    try:
        # Calls, their records and webhooks.
        await site.call_for(1.0)
        wrong = await site.settled()
        assert not wrong, "\n".join([*wrong[:20], site.daemon.log_tail()])
        assert len(site.switch.truth.calls) > 5
        await _change_is_followed(site)
        led = (
            "select holder is not null and expires_at > now() from leases where name = 'scheduler'"
        )
        assert pooled.server.ask(led)
        assert not site.daemon.logged("error", "critical")
    finally:
        await stop_site(site)
    (stats,) = [it for it in pooled.ask("show stats") if it["database"] == "nizam"]
    assert int(str(stats["total_xact_count"])) > 100


async def _change_is_followed(site: Site) -> None:
    """An extension made by the API is what FreeSWITCH is told of, at once."""
    path = f"/api/v1/tenants/{site.tenant_id}/extensions"
    made = await site.api.request("POST", path, {"number": "1099", "display_name": "New"})
    assert made["number"] == "1099"
    explain = f"/api/v1/tenants/{site.tenant_id}/routing/explain"

    async def routed() -> bool:
        asked = {"from": "1001", "to": "1099", "context": "internal"}
        return "1099" in str((await site.api.request("POST", explain, asked)).get("plan"))

    assert await until(site.reactor, routed, 3.0)
