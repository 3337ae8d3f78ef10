"""Stored secrets decrypt only with the right key and in the right place."""

from __future__ import annotations

import base64

import pytest

from nizam.errors import InternalError
from nizam.model.identifiers import new_id
from nizam.settings import SecretKey
from nizam.store.secrets import SecretBox, generate

OLD = SecretKey("old", bytes(32))
NEW = SecretKey("new", bytes(range(32)))
PLACE = ("extension", new_id(), "sip_password")


def test_what_was_encrypted_comes_back() -> None:
    box = SecretBox([NEW])
    sealed = box.encrypt("geheim-ü", *PLACE)
    assert sealed.startswith("v1:new:")
    assert "geheim" not in sealed
    assert box.decrypt(sealed, *PLACE) == "geheim-ü"
    assert box.encrypt("geheim-ü", *PLACE) != sealed


def test_an_older_key_still_decrypts_and_the_first_encrypts() -> None:
    sealed = SecretBox([OLD]).encrypt("x", *PLACE)
    both = SecretBox([NEW, OLD])
    assert both.decrypt(sealed, *PLACE) == "x"
    assert both.encrypt("x", *PLACE).startswith("v1:new:")


@pytest.mark.parametrize(
    "place",
    [
        ("gateway", PLACE[1], PLACE[2]),
        (PLACE[0], new_id(), PLACE[2]),
        (PLACE[0], PLACE[1], "password"),
    ],
)
def test_a_secret_does_not_decrypt_in_another_place(place: tuple[str, str, str]) -> None:
    box = SecretBox([NEW])
    with pytest.raises(InternalError):
        box.decrypt(box.encrypt("x", *PLACE), *place)


def changed(sealed: str) -> str:
    head, _, content = sealed.rpartition(":")
    raw = bytearray(base64.b64decode(content))
    raw[-1] ^= 1
    return f"{head}:{base64.b64encode(raw).decode()}"


@pytest.mark.parametrize("spoil", [changed, lambda it: it[:-8], lambda _: "v1:new:!", lambda _: ""])
def test_a_spoiled_secret_is_an_error(spoil: object) -> None:
    box = SecretBox([NEW])
    assert callable(spoil)
    with pytest.raises(InternalError):
        box.decrypt(spoil(box.encrypt("x", *PLACE)), *PLACE)


def test_a_missing_key_is_named() -> None:
    sealed = SecretBox([OLD]).encrypt("x", *PLACE)
    with pytest.raises(InternalError, match="'old'"):
        SecretBox([NEW]).decrypt(sealed, *PLACE)


def test_generated_secrets_have_their_form() -> None:
    secret = generate("webhook_secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    password = generate("password")
    assert len(password) == 24
    assert password.isalnum()
    assert generate("password") != password
