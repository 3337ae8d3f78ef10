"""Where the recordings of a tenant's calls are put."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from nizam.model.audio import recordings_directory
from nizam.routing.decide import decide
from nizam.routing.plan import RecordCall
from nizam.routing.request import CallRequest
from tests.routing.tenants import ACME, CALL, MEDIA_ROOT, identifier, recorded_tenants

EVENING = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("folders", "put"),
    [("", ""), ("{year}/{month}/{day}", "/2026/11/24"), ("by-hour/{hour}", "/by-hour/21")],
)
def test_the_folders_are_named_by_the_clocks_of_the_tenant(folders: str, put: str) -> None:
    tenants = recorded_tenants()
    acme = tenants.tenant("acme", recording_folders=folders)
    tenants.extension("acme/1001", recording="outbound")
    call = CallRequest(ACME, "1002", CALL, caller_extension="1001", own_domain=ACME)
    decision = decide(tenants.snapshot, call, EVENING, random.Random(1))
    (path,) = (it.path for it in decision.plan if isinstance(it, RecordCall))
    assert acme == identifier("acme")
    assert path == f"{MEDIA_ROOT}/{recordings_directory(acme)}{put}/{CALL}.wav"
