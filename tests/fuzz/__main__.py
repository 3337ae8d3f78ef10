"""`python -m tests.fuzz --minutes 30`: a long run, with servers and a daemon of its own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.store.migrate import upgrade
from tests.fuzz.run import fuzz
from tests.fuzz.site import furnished

GRACE_SECONDS = 120


def parser() -> argparse.ArgumentParser:
    """What it may be told."""
    made = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    made.add_argument("--minutes", type=float, default=30)
    made.add_argument("--seed", type=int, help="1 unless told: the same requests each time")
    made.add_argument("more", nargs="*", help="further options of schemathesis, after --")
    return made


def main() -> int:
    """Run, print what schemathesis says, and what the daemon logged as errors."""
    asked = parser().parse_args()
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
                seconds = round(asked.minutes * 60) + GRACE_SECONDS
                outcomes = [
                    fuzz(site, folder, seconds, *it) for it in _runs(asked.minutes, options)
                ]
                logged = site.daemon.logged("error", "critical")
    print(*(it.text for it in outcomes), *logged, sep="\n")
    return 0 if all(it.passed for it in outcomes) and not logged else 1


def _runs(minutes: float, options: Sequence[str]) -> Iterator[list[str]]:
    """The options of two runs: chains of requests have one for themselves, since schemathesis 4.32
    cannot show both kinds within one limit of time."""
    half = f"--max-time={max(1, round(minutes * 30))}"
    yield ["--phases=examples,coverage,fuzzing", half, *options]
    yield ["--phases=stateful", half, *options]


if __name__ == "__main__":
    sys.exit(main())
