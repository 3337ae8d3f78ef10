"""`python -m tests.fuzz --minutes 30`: a long run, with servers and a daemon of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade
from tests.fuzz.run import fuzz
from tests.fuzz.site import furnished


def main() -> int:
    """Run, print what schemathesis says, and what the daemon logged as errors."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, help="1 unless told: the same requests each time")
    parser.add_argument("more", nargs="*", help="further options of schemathesis, after --")
    asked = parser.parse_args()
    options = [*asked.more, *([f"--seed={asked.seed}"] if asked.seed is not None else [])]
    with tempfile.TemporaryDirectory(prefix="nizam-fuzz-") as name:
        folder = Path(name)
        with (
            PrivatePostgres(folder / "postgres", durable=False) as postgres,
            PrivateRedis(folder / "redis", durable=False) as redis,
        ):
            database = postgres.dsn("postgres")
            upgrade(database)
            with furnished(database, redis.url(), folder) as site:
                outcome = fuzz(site, folder, round(asked.minutes * 60), *options)
                logged = site.daemon.logged("error", "critical")
    print(outcome.text)
    for it in logged:
        print(it)
    return 0 if outcome.passed and not logged else 1


if __name__ == "__main__":
    sys.exit(main())
