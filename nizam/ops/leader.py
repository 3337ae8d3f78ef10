"""One instance at a time leads the scheduled work: whoever holds its lease in PostgreSQL.

A leader renews its lease every two seconds; when it dies another one leads within eight, after a
clean stop within two.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from nizam.metrics import SCHEDULER_LEADING
from nizam.store.lease_keeper import LeaseKeeper
from nizam.store.pool import Pool

LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0


class Leader(LeaseKeeper):
    """Holds the lease `lease_name` for `holder` whenever it can."""

    _log = Logger()

    def __init__(self, clock: Any, pool: Pool, lease_name: str, holder: str) -> None:
        super().__init__(
            clock,
            pool,
            lease_name,
            holder,
            seconds=LEASE_SECONDS,
            renew=RENEW_SECONDS,
            after=self._tell,
        )
        self._led = False

    def _tell(self) -> None:
        leads = self.lease is not None
        if leads is not self._led:
            self._led = leads
            self._log.info(
                "{holder} {leads} the scheduled work",
                holder=self._holder,
                leads="leads" if leads else "no longer leads",
            )
        SCHEDULER_LEADING.set(leads)
