"""The client against the real API: objects, lists, changes, conditions."""

from __future__ import annotations

import contextlib
from uuid import UUID

import pytest

from nizam.client import AmbiguousName, Client, TenantClient
from nizam.client import errors as refused
from nizam.model.extension import Extension, Voicemail
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


def acme(client: Client) -> TenantClient:
    client.tenants.create(ACME)
    return client.tenant("acme")


@threaded
def test_an_object_is_made_read_changed_and_deleted(client: Client) -> None:
    extensions = acme(client).extensions
    made = extensions.create(number="1001", display_name="Ada")
    assert isinstance(made.id, UUID)
    assert (made.version, made.etag, made.body.number) == (1, '"1"', "1001")
    assert extensions.get(made.id).body == made.body
    changed = extensions.update(made, ring_seconds=40)
    assert (changed.version, changed.body.ring_seconds) == (2, 40)
    body = changed.body.model_copy(update={"display_name": "Ada Lovelace"})
    replaced = extensions.replace(changed, body)
    assert (replaced.body.display_name, replaced.body.ring_seconds) == ("Ada Lovelace", 40)
    extensions.delete(replaced)
    with pytest.raises(refused.NotFound):
        extensions.get(made.id)


@threaded
def test_a_typed_body_sends_what_was_set_of_it(client: Client) -> None:
    body = Extension(number="1001", display_name="Ada", voicemail=Voicemail(pin="4711"))
    extensions = acme(client).extensions
    made = extensions.create(body)
    assert made.body.display_name == "Ada"
    assert "4711" not in f"{made!r}{made.document()}"
    assert extensions.reveal(made)["voicemail.pin"] == "4711"


@threaded
def test_an_object_that_somebody_else_changed_is_not_overwritten(client: Client) -> None:
    extensions = acme(client).extensions
    read = extensions.create(number="1001", display_name="Ada")
    extensions.update(read.id, ring_seconds=40)
    for change in (
        lambda: extensions.update(read, ring_seconds=50),
        lambda: extensions.replace(read, read.body),
        lambda: extensions.delete(read),
    ):
        with pytest.raises(refused.VersionMismatch):
            change()
    assert extensions.get(read).body.ring_seconds == 40


@threaded
def test_secrets_are_shown_apart_and_in_no_text(client: Client) -> None:
    extensions = acme(client).extensions
    made = extensions.create(number="1001", display_name="Ada")
    password = made.secrets["sip_password"]
    assert len(password) >= 12
    assert password not in f"{made!r}{made.secrets}{made.document()}"
    assert not extensions.get(made).secrets
    assert extensions.reveal(made)["sip_password"] == password
    kept = extensions.replace(made, made.body)
    assert extensions.reveal(kept)["sip_password"] == password
    key = client.api_keys.create(name="CRM", scopes=["calls:read"])
    assert key.secrets["key"].startswith("nzm_")
    assert key.secrets["key"] not in repr(key)


@threaded
def test_a_list_is_read_as_far_as_it_is_looked_at(client: Client) -> None:
    extensions = acme(client).extensions
    for number in range(1001, 1008):
        extensions.create(number=str(number), display_name=f"No {number}")
    assert [it.body.number for it in extensions.list(page_size=3, sort="-number")] == [
        str(number) for number in range(1007, 1000, -1)
    ]
    assert [len(page) for page in extensions.list(page_size=3).pages()] == [3, 3, 1]
    first = extensions.list(number__gte="1003", number__in=["1002", "1005"]).first()
    assert first is not None
    assert first.body.number == "1005"
    assert [it.body.number for it in extensions.list(q="No 1004")] == ["1004"]
    assert extensions.list(enabled=False).first() is None
    with pytest.raises(refused.ValidationFailed):
        extensions.list(nonsense=1).first()


@threaded
def test_people_call_objects_by_their_number_or_name(client: Client) -> None:
    tenant = acme(client)
    made = tenant.extensions.create(number="1001", display_name="Ada")
    assert tenant.extensions.find("1001") == tenant.extensions.find(str(made.id))
    assert client.tenants.find("acme").body.domain == "acme.example.test"
    with pytest.raises(refused.NotFound, match="there is no extension with id or number 9"):
        tenant.extensions.find("9")
    for _ in range(2):
        client.api_keys.create(name="CRM", scopes=["calls:read"])
    with pytest.raises(AmbiguousName):
        client.api_keys.find("CRM")


@threaded
def test_a_tenant_is_named_by_slug_by_id_or_by_the_key(client: Client) -> None:
    made = client.tenants.create(ACME)
    key = client.api_keys.create(name="own", tenant_id=made.id, scopes=["*"])
    with Client(client.url, key.secrets["key"]) as own:
        for tenant in (own.tenant("acme"), own.tenant(made.id), own.tenant()):
            assert list(tenant.extensions.list()) == []
        with pytest.raises(refused.NotFound):
            own.tenant("other").extensions.list().first()
    with pytest.raises(refused.NotFound):
        client.tenant("other").extensions.list().first()
    with pytest.raises(ValueError, match="name one"):
        client.tenant().extensions.list().first()


@threaded
def test_every_wrong_field_is_told(client: Client) -> None:
    with pytest.raises(refused.ValidationFailed) as wrong:
        acme(client).extensions.create(number="x", ring_seconds=1, nonsense=True)
    paths = {it.path for it in wrong.value.errors}
    assert paths == {"/number", "/ring_seconds", "/nonsense", "/display_name"}
    assert wrong.value.request_id


@threaded
def test_a_tenant_takes_the_steps_of_its_states(client: Client) -> None:
    made = client.tenants.create(ACME)
    assert client.tenants.activate(made).body.status == "active"
    assert client.tenants.suspend(made.id).body.status == "suspended"
    with pytest.raises(refused.InvalidTransition):
        client.tenants.suspend(made.id)


@threaded
def test_a_webhook_rotates_pauses_and_is_tested(client: Client) -> None:
    webhooks = acme(client).webhooks
    made = webhooks.create(url="https://hooks.example.test/", event_types=["call.*"])
    assert webhooks.rotate_secret(made).secrets["secret"] != made.secrets["secret"]
    assert webhooks.pause(made).body.status == "paused"
    assert webhooks.resume(made).body.status == "active"
    delivery = webhooks.test(made)["delivery_id"]
    assert [it["id"] for it in webhooks.deliveries(made)] == [delivery]
    assert list(webhooks.attempts(made, page_size=1)) == []
    assert webhooks.replay(made) == 0
    assert webhooks.stats(made)


@threaded
def test_what_happened_can_be_read(client: Client) -> None:
    tenant = acme(client)
    for empty in (tenant.calls, tenant.cdrs, tenant.registrations):
        assert list(empty.list()) == []
    created = tenant.call_events.list(type="tenant.created").first()
    assert created is not None
    assert tenant.call_events.get(created["id"]) == created
    assert tenant.call_events.redispatch(created["id"]) == 0
    with pytest.raises(refused.NotFound):
        tenant.calls.trace(created["tenant_id"])


@threaded
def test_nobody_gets_in_without_a_key(client: Client) -> None:
    for key in (None, "nzm_wrong"):
        with Client(client.url, key) as stranger, pytest.raises(refused.Unauthenticated):
            stranger.me()


@threaded
def test_a_user_logs_in_makes_tokens_and_leaves(client: Client) -> None:
    password = "a long walk to the analytical engine"
    who = {"email": "ada@example.com", "name": "Ada", "memberships": [{"role": "platform_admin"}]}
    ada = client.users.create(who)
    token = client.users.reset_token(ada)["reset_token"]
    with Client(client.url) as stranger:
        stranger.sign_in.reset_password(token, password)
    with pytest.raises(refused.Unauthenticated):
        Client.log_in(client.url, "ada@example.com", "something else")
    with contextlib.ExitStack() as opened:
        user = opened.enter_context(Client.log_in(client.url, "ada@example.com", password))
        assert list(user.tenants.list()) == []
        made = user.sign_in.create_token("report", expires_in_seconds=3600)
        program = opened.enter_context(Client(client.url, made))
        assert program.me()["email"] == "ada@example.com"
        assert {it["name"] for it in user.sign_in.tokens()} == {"token", "report"}
        user.sign_in.revoke_other_tokens()
        with pytest.raises(refused.Unauthenticated):
            program.me()
        user.sign_in.change_password(password, f"{password}, again")
        user.sign_in.log_out()
        with pytest.raises(refused.Unauthenticated):
            user.me()


@threaded
def test_a_rotated_key_has_a_new_text(client: Client) -> None:
    made = client.api_keys.create(name="CRM", scopes=["calls:read"])
    rotated = client.api_keys.rotate(made, grace_seconds=0)
    with Client(client.url, made.secrets["key"]) as former, pytest.raises(refused.Unauthenticated):
        former.me()
    with Client(client.url, rotated.secrets["key"]) as present:
        assert present.me()["name"] == "CRM"
