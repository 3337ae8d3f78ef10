"""What this instance does not serve because it lacks the role for it, and others may not."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from nizam.settings import Role

_SERVED: Final = (
    (re.compile("/freeswitch/(xml|cdr)"), "FreeSWITCH's questions and CDRs", Role.XML),
    (
        re.compile("/api/v1/(stream|tenants/[^/]+/(call-events/stream|stream-tickets))"),
        "streams",
        Role.REALTIME,
    ),
    (re.compile("/api/v1/.*|/docs.*"), "the API", Role.API),
)


def served_elsewhere(path: str, roles: Collection[Role]) -> str | None:
    """Why there is nothing at a path that an instance with all roles has; None where that is not
    for want of a role. `roles` are those of this instance."""
    for form, what, role in _SERVED:
        if form.fullmatch(path):
            if role in roles:
                return None
            has = ", ".join(sorted(roles))
            return f"this instance does not serve {what}: it lacks the role {role} and has {has}"
    return None
