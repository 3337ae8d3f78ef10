"""What an instance says of paths that others have the role for."""

from __future__ import annotations

import pytest

from nizam.http.elsewhere import served_elsewhere
from nizam.settings import Role

STREAM = "/api/v1/tenants/0190/call-events/stream"


@pytest.mark.parametrize(
    ("path", "has", "lacks"),
    [
        ("/api/v1/tenants", Role.INTAKE, Role.API),
        ("/docs/errors", Role.XML, Role.API),
        (STREAM, Role.API, Role.REALTIME),
        ("/api/v1/stream", Role.API, Role.REALTIME),
        ("/api/v1/tenants/0190/stream-tickets", Role.API, Role.REALTIME),
        ("/freeswitch/xml", Role.API, Role.XML),
        ("/freeswitch/cdr", Role.DELIVER, Role.XML),
        ("/api/v1/nothing", Role.API, None),
        (STREAM, Role.REALTIME, None),
        ("/freeswitch/other", Role.API, None),
        ("/", Role.XML, None),
    ],
)
def test_the_missing_role_is_named(path: str, has: Role, lacks: Role | None) -> None:
    reason = served_elsewhere(path, {has})
    if lacks is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.endswith(f"it lacks the role {lacks} and has {has}")
