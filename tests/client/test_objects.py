"""How answers become objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from nizam.client import UnexpectedAnswer
from nizam.client.objects import object_from
from nizam.client.parameters import query_of
from nizam.model import api_key, extension, gateway

ANSWER: dict[str, Any] = {
    "id": "01937a5e-0000-7000-8000-000000000001",
    "tenant_id": "01937a5e-0000-7000-8000-000000000002",
    "version": 3,
    "created_at": "2026-11-24T05:00:00.123456Z",
    "updated_at": "2026-11-24T06:00:00.000000Z",
}
ADA = {**ANSWER, "number": "1001", "display_name": "Ada"}


def test_what_the_server_adds_stands_beside_the_body() -> None:
    it = object_from(extension.RESOURCE, extension.Extension, ADA)
    assert it.id == UUID(ADA["id"])
    assert it.created_at == datetime(2026, 11, 24, 5, 0, 0, 123456, tzinfo=UTC)
    assert (it.version, it.etag, it.extra) == (3, '"3"', {})
    assert it.document() == ADA | {
        "created_at": "2026-11-24T05:00:00.123456Z",
        "updated_at": "2026-11-24T06:00:00Z",
    }


def test_fields_of_a_newer_server_are_extra_or_passed_over() -> None:
    answer = {**ANSWER, "name": "Carrier", "host": "sip.example.test", "state": "up"}
    it = object_from(gateway.RESOURCE, gateway.Gateway, {**answer, "caller_id_in": "pai"})
    assert (it.body.host, it.extra) == ("sip.example.test", {"state": "up"})
    newer = {**ADA, "voicemail": {"enabled": False, "transcribe": True}}
    assert not object_from(extension.RESOURCE, extension.Extension, newer).body.voicemail.enabled


def test_secrets_are_taken_out_wherever_they_are() -> None:
    answer = {**ADA, "sip_password": "hush-hush-hush", "voicemail": {"pin": "4711"}}
    it = object_from(extension.RESOURCE, extension.Extension, answer)
    assert dict(it.secrets) == {"sip_password": "hush-hush-hush", "voicemail.pin": "4711"}
    assert repr(it.secrets) == "<secrets: sip_password, voicemail.pin>"
    assert "hush" not in f"{it!r}{it.document()}"
    assert "4711" not in f"{it!r}{it.document()}"
    assert answer["voicemail"] == {"pin": "4711"}
    key = {**ANSWER, "name": "CRM", "scopes": ["calls:read"], "key": "nzm_live_x"}
    shown = object_from(api_key.RESOURCE, api_key.ApiKey, key, shown_once=("key",))
    assert shown.secrets["key"] == "nzm_live_x"
    assert shown.body.tenant_id == shown.tenant_id == UUID(ANSWER["tenant_id"])


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", {}, {**ADA, "id": 1}, {**ADA, "version": "x"}, {**ADA, "number": 1}],
)
def test_an_answer_that_is_no_such_object_is_unexpected(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        object_from(extension.RESOURCE, extension.Extension, answer)


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"enabled": True, "q": None}, [("enabled", "true")]),
        ({"created_at__gte": datetime(2026, 1, 1, tzinfo=UTC)},
         [("created_at[gte]", "2026-01-01T00:00:00+00:00")]),
        ({"number__in": ["1001", 1002]}, [("number[in]", "1001,1002")]),
        ({"display_name": "Ada"}, [("display_name", "Ada")]),
    ],
)  # fmt: skip
def test_arguments_become_parameters(filters: dict[str, Any], query: list[tuple[str, str]]) -> None:
    assert query_of(filters) == query


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        query_of({"created_at__gte": datetime(2026, 1, 1)})  # noqa: DTZ001
