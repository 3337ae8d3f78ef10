"""Signed links to sound: whoever has one may download one file until it expires."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import attrs

from nizam.errors import LinkInvalid
from nizam.store.secrets import SecretBox

LONGEST_SECONDS: Final = 7 * 24 * 3600
_EXPIRES_DIGITS: Final = 12


@attrs.frozen
class FileLinks:
    """Makes and checks links; the first of `keys` signs, all are believed. Links for one purpose
    hold for no other."""

    keys: Sequence[bytes]

    @classmethod
    def of(cls, box: SecretBox, purpose: str) -> FileLinks:
        """Those of this installation; every instance makes and believes the same."""
        return cls(box.signing_keys(purpose))

    def query(self, tenant_id: UUID, file_id: UUID, expires: int, *, inline: bool) -> str:
        """The query of a link that holds until `expires`, in seconds since 1970."""
        how = "inline" if inline else "attachment"
        signature = _signature(self.keys[0], tenant_id, file_id, str(expires), how)
        return urlencode({"expires": expires, "disposition": how, "signature": signature})

    def check(
        self,
        tenant_id: UUID,
        file_id: UUID,
        query: Sequence[tuple[str, str]],
        now: float,
    ) -> bool:
        """Whether the file is to be shown in place (`inline`). Raises LinkInvalid."""
        given = dict(query)
        names = {"expires", "disposition", "signature"}
        if len(given) != len(query) or given.keys() != names:
            raise LinkInvalid("the link is not complete")
        expires, how, signature = given["expires"], given["disposition"], given["signature"]
        # Every key is tried, in a time that says nothing of how much was right.
        good = [
            hmac.compare_digest(
                _signature(key, tenant_id, file_id, expires, how).encode(),
                signature.encode(),
            )
            for key in self.keys
        ]
        if not any(good):
            raise LinkInvalid("the signature is not right")
        if not expires.isdecimal() or len(expires) > _EXPIRES_DIGITS or int(expires) <= now:
            raise LinkInvalid("the time of the link is over")
        return how == "inline"


def _signature(key: bytes, tenant_id: UUID, file_id: UUID, expires: str, how: str) -> str:
    text = f"1\n{tenant_id}\n{file_id}\n{expires}\n{how}"
    return hmac.digest(key, text.encode(), "sha256").hex()
