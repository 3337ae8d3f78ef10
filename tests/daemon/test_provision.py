"""A tenant that was just provisioned works: its phones register, call, and are counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import treq

from nizam.embedded.process import free_port
from nizam.sim.script import Script
from nizam.sim.settings import User
from tests.daemon.process import until
from tests.daemon.site import XML_PASSWORD, XML_USERNAME, Site

OTHER_INSTANCES_SECONDS = 1.0


@pytest.mark.time_limit(60)
async def test_the_phones_of_a_new_tenant_register_at_once_and_call(
    site: Site, tmp_path: Path
) -> None:
    second = site.daemon.another(free_port(), tmp_path / "second.log")
    second.start()
    try:
        await second.ready()
        made = await site.api.request(
            "POST",
            "/api/v1/tenants/provision",
            {
                "tenant": {"name": "Globex", "slug": "globex", "domain": "globex.example.test"},
                "extension_range": {"first": "1001", "count": 3},
                "dids": [
                    {"number": "+12025550177", "destination": {"type": "extension", "id": "1001"}}
                ],
            },
        )
        answered = time.monotonic()
        phones = [User(**_account(it)) for it in made["extensions"]]
        asked = [await site.switch.phones.register(it) for it in phones]
        assert asked == [True, True, True]
        # The other instance hears of it by the feed of changes.
        await until(site.reactor, lambda: _serves(second.base, phones[0]), 5.0, pause=0.02)
        assert time.monotonic() - answered < OTHER_INSTANCES_SECONDS
    finally:
        second.kill()
    stranger = User(phones[0].number, phones[0].domain, "another password")
    assert not await site.switch.phones.register(stranger)
    script = Script("new", phones[0].domain, "1002", caller=phones[0], ring=0.5, talk=2.0)
    await site.switch.place_call(script=script)
    path = f"/api/v1/tenants/{made['tenant']['id']}/stats"

    async def counted() -> bool:
        found = await site.api.request("GET", path)
        return (found["registrations"], found["calls_today"]["answered"]) == (3, 1)

    assert await until(site.reactor, counted, 15.0, pause=0.5), await site.api.request("GET", path)
    found = await site.api.request("GET", path)
    assert found["resources"]["extensions"]["count"] == 3
    assert found["calls_last_hour"]["total"] == 1
    assert not site.daemon.logged("error", "critical")


def _account(extension: dict[str, Any]) -> dict[str, str]:
    sip = extension["sip"]
    return {
        "number": sip["user"],
        "domain": sip["domain"],
        "password": sip["password"],
        "name": extension["display_name"],
    }


async def _serves(base: str, phone: User) -> bool:
    """Whether an instance answers for the phone."""
    answer = await treq.post(
        f"{base}/freeswitch/xml",
        data={
            "section": "directory",
            "key_value": phone.domain,
            "action": "sip_auth",
            "user": phone.number,
            "domain": phone.domain,
        },
        auth=(XML_USERNAME, XML_PASSWORD),
        persistent=False,
    )
    return b"a1-hash" in await answer.content()
