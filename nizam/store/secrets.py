"""Encryption of stored secrets: AES-256-GCM, bound to the place that each secret belongs to."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nizam.errors import InternalError
from nizam.settings import SecretKey

_NONCE_BYTES = 12
_READABLE = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_PASSWORD_LENGTH = 24


class SecretBox:
    """Encrypts with the first of `keys`, decrypts with whichever of them was used.

    The text is `v1:<key id>:<base64 of nonce and ciphertext>`. Resource type, id and field are
    authenticated with it: an encrypted text copied to another row or field does not decrypt.
    """

    def __init__(self, keys: Iterable[SecretKey]) -> None:
        given = list(keys)
        if not given:
            raise ValueError("a SecretBox needs at least one key")
        self._first = given[0].id
        self._ciphers: Mapping[str, AESGCM] = {it.id: AESGCM(it.key) for it in given}
        self._keys = tuple(it.key for it in given)

    def signing_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Keys that sign what is for this purpose alone: the first signs, all are believed."""
        return tuple(hmac.digest(it, f"nizam/{purpose}".encode(), "sha256") for it in self._keys)

    def encrypt(self, text: str, resource: str, identifier: UUID | str, field: str) -> str:
        """`text`, encrypted for this place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(
            nonce, text.encode(), _place(resource, identifier, field)
        )
        return f"v1:{self._first}:{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, sealed: str, resource: str, identifier: UUID | str, field: str) -> str:
        """The text again; InternalError when no key fits or it belongs to another place."""
        version, _, rest = sealed.partition(":")
        key_id, _, content = rest.partition(":")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise InternalError(
                f"a stored secret needs the key '{key_id}', which is not configured"
            )
        try:
            raw = base64.b64decode(content, validate=True)
            plain = cipher.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _place(resource, identifier, field)
            )
        except (InvalidTag, binascii.Error, ValueError):
            raise InternalError(f"the stored {field} of a {resource} does not decrypt") from None
        return plain.decode()


def key_of(sealed: str) -> str:
    """The id of the key that encrypted a text."""
    return sealed.split(":", 2)[1] if sealed.startswith("v1:") else ""


def _place(resource: str, identifier: UUID | str, field: str) -> bytes:
    return f"{resource}/{identifier}/{field}".encode()


def generate(kind: str) -> str:
    """A fresh secret: `password` (24 letters and digits, 139 bits) or `webhook_secret`
    (`whsec_` and 32 bytes in base64, as Standard Webhooks has it)."""
    if kind == "webhook_secret":
        return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return "".join(secrets.choice(_READABLE) for _ in range(_PASSWORD_LENGTH))
