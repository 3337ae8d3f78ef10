"""Signatures that the published verifier of Standard Webhooks accepts."""

from __future__ import annotations

import time

import pytest
import standardwebhooks

from nizam.webhooks.signing import key_of, new_secret, signed_headers

BODY = '{"type":"call.ended","data":{"name":"Zoë ☎"}}'.encode()


def test_the_published_library_verifies_what_we_sign() -> None:
    secret = new_secret()
    headers = signed_headers([key_of(secret)], "evt_1", int(time.time()), BODY)
    assert standardwebhooks.Webhook(secret).verify(BODY, headers)["type"] == "call.ended"


def test_during_a_rotation_both_secrets_verify() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    headers = signed_headers([key_of(new), key_of(old)], "evt_1", int(time.time()), BODY)
    for secret in (new, old):
        standardwebhooks.Webhook(secret).verify(BODY, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_change_on_the_way_is_noticed(changed: str) -> None:
    secret, now = new_secret(), int(time.time())
    headers = signed_headers([key_of(secret)], "evt_1", now, BODY)
    body = BODY + b" " if changed == "body" else BODY
    if changed == "webhook-id":
        headers[changed] = "evt_2"
    if changed == "webhook-timestamp":
        headers[changed] = str(now + 1)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_@@@@", "whsec_a"])
def test_a_secret_that_is_no_key_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        key_of(secret)


def test_a_secret_without_prefix_or_padding_is_the_same_key() -> None:
    assert key_of("whsec_AAECAwQ=") == key_of("AAECAwQ") == bytes(range(5))
