"""The directory answers as the tenant is now, whatever it has answered before."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from lxml import etree

from nizam.fsxml.directory import Directory
from nizam.fsxml.request import XmlRequest
from nizam.fsxml.writer import NOT_FOUND
from tests.routing.tenants import Tenants, identifier, recorded_tenants, reveal


def _asked(directory: Directory, domain: str = "acme.example.test") -> bytes:
    fields = {"action": "sip_auth", "user": "1001", "domain": domain, "ip": "192.0.2.7"}
    return directory.answer(XmlRequest(urlencode(fields).encode()))


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        (
            lambda it: it.extension("acme/1001", display_name="Renamed"),
            ".//variable[@name='effective_caller_id_name']",
            "Renamed",
        ),
        (
            lambda it: it.tenant("acme", time_zone="Asia/Tokyo"),
            ".//variable[@name='timezone']",
            "Asia/Tokyo",
        ),
        (
            lambda it: it.put(
                "sip_profile",
                "internal",
                {"name": "internal", "sip_port": 5060, "srtp": "required"},
            ),
            ".//variable[@name='rtp_secure_media']",
            "mandatory",
        ),
    ],
    ids=["extension", "tenant", "SIP profile"],
)
def test_a_user_that_was_asked_for_before_is_answered_with_what_has_changed(
    change: Callable[[Tenants], object], path: str, value: str
) -> None:
    tenants = recorded_tenants()
    directory = Directory(tenants.snapshot, reveal)
    before = _asked(directory)
    assert _asked(directory) is before
    assert etree.fromstring(before).find(path + f"[@value='{value}']") is None
    change(tenants)
    assert etree.fromstring(_asked(directory)).find(path + f"[@value='{value}']") is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.extension("acme/1001", enabled=False),
        lambda it: it.extension("acme/1001", allowed_cidrs=["198.51.100.0/24"]),
        lambda it: it.snapshot.remove("extension", identifier("acme"), identifier("acme/1001")),
        lambda it: it.tenant("acme", status="terminated"),
    ],
    ids=["disabled", "elsewhere alone", "removed", "tenant terminated"],
)
def test_a_user_that_was_asked_for_before_is_not_found_once_it_may_not_sign_in(
    change: Callable[[Tenants], object],
) -> None:
    tenants = recorded_tenants()
    directory = Directory(tenants.snapshot, reveal)
    assert _asked(directory) != NOT_FOUND
    change(tenants)
    assert _asked(directory) == NOT_FOUND


def test_users_of_the_same_number_are_kept_apart() -> None:
    directory = Directory(recorded_tenants().snapshot, reveal)
    answers = [_asked(directory, f"{it}.example.test") for it in ("acme", "globex") * 2]
    assert answers[0] == answers[2] != answers[1] == answers[3]
    assert b"globex" not in answers[0]
