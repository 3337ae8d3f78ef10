"""`nizam doctor`: asks each thing that NIZAM needs whether it is there and fit for it.

One file for each area: its checks, declared with why they matter and how to mend what they find,
and the probes that look. Blocking and reactor-free, so that it works where the daemon does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from nizam.ops.doctor import (
    backups,
    certificates,
    clocks,
    configuration,
    database,
    database_load,
    disk,
    freeswitch,
    freeswitch_files,
    names,
    nodes,
    process,
    redis,
    secrets,
)
from nizam.ops.doctor.finding import Area, Check, Finding, Severity
from nizam.ops.doctor.known_nodes import KnownNode, known_nodes
from nizam.ops.doctor.running import PROBE_SECONDS, Context, Probe, run_all

__all__ = ["CHECKS", "Area", "Check", "Context", "Finding", "Severity", "examine"]

CHECKS: Sequence[Check] = (
    *configuration.CHECKS,
    *secrets.CHECKS,
    *database.CHECKS,
    *database_load.CHECKS,
    *redis.CHECKS,
    *nodes.CHECKS,
    *freeswitch.CHECKS,
    *freeswitch_files.CHECKS,
    *clocks.CHECKS,
    *certificates.CHECKS,
    *disk.CHECKS,
    *backups.CHECKS,
    *process.CHECKS,
    *names.CHECKS,
)
"""Every check, by areas."""

_ALONE: Mapping[Area, Sequence[Callable[[Context], list[Probe]]]] = {
    Area.CONFIGURATION: (configuration.probes, secrets.probes),
    Area.DATABASE: (database.probes, database_load.probes),
    Area.REDIS: (redis.probes,),
    Area.FREESWITCH: (freeswitch_files.probes,),
    Area.DISK: (disk.probes,),
    Area.BACKUPS: (backups.probes,),
    Area.PROCESS: (process.probes,),
}
_WITH_NODES: Mapping[Area, Callable[[Context, Sequence[KnownNode]], list[Probe]]] = {
    Area.NODES: nodes.probes,
    Area.FREESWITCH: freeswitch.probes,
    Area.CLOCKS: clocks.probes,
    Area.CERTIFICATES: certificates.probes,
    Area.NAMES: names.probes,
}


def examine(
    context: Context, areas: Collection[Area] = tuple(Area), seconds: float = PROBE_SECONDS
) -> list[Finding]:
    """Every check of these areas, side by side; each probe has so many seconds.

    The findings come by areas, in the order in which the areas are declared.
    """
    known = known_nodes(context.settings) if _WITH_NODES.keys() & set(areas) else []
    probes: list[Probe] = []
    for area in Area:
        if area in areas:
            probes += [probe for make in _ALONE.get(area, ()) for probe in make(context)]
            if area in _WITH_NODES:
                probes += _WITH_NODES[area](context, known)
    return run_all(probes, seconds)
