"""What it means when Redis refuses a command or a connection."""

from __future__ import annotations

import re
from typing import Final

from nizam import metrics
from nizam.errors import InternalError, KeyValueUnavailable, NizamError

MOMENTARY: Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
    }
)
"""First words of refusals that say more of the server's state than of the command."""
_CREDENTIALS = re.compile(r"WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username")
_SLOT_IS_MOVING = "a non local key in a cluster node"
_CLUSTER_NODE = frozenset({"MOVED", "ASK", "CROSSSLOT"})


class RefusedError(KeyValueUnavailable):
    """Redis does not let us in, and will not until settings or its configuration are changed."""


def first_word(error: Exception) -> str:
    """The code with which Redis's errors begin."""
    return str(error).partition(" ")[0]


def is_credentials(error: Exception) -> bool:
    """Whether it refuses the user, its password or what it may do."""
    return _CREDENTIALS.search(str(error)) is not None


def foreseen(error: Exception, what: str) -> NizamError:
    """What a refused command is for whoever wanted it: KeyValueUnavailable for what passes, an
    InternalError for what is our own fault."""
    text, word = str(error), first_word(error)
    if word in MOMENTARY:
        metrics.REDIS_REFUSALS.labels(word.lower()).inc()
        return KeyValueUnavailable(f"Redis refused {what}: {text}")
    if _SLOT_IS_MOVING in text:
        metrics.REDIS_REFUSALS.labels("tryagain").inc()
        return KeyValueUnavailable(f"Redis refused {what} while its keys move to another server")
    if word in _CLUSTER_NODE:
        return KeyValueUnavailable(
            f"Redis refused {what}: {text}. It is a node of a Redis Cluster: "
            "name it as REDIS_CLUSTER_SEED_1 and not as REDIS_HOST"
        )
    if is_credentials(error):
        metrics.REDIS_REFUSALS.labels("noperm").inc()
        return RefusedError(f"Redis refused {what}: {text}")
    return InternalError(f"Redis refused {what}: {text}")
