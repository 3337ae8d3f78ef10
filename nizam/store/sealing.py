"""The secrets of an object, encrypted as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from nizam.model.base import Body
from nizam.model.resource import Resource
from nizam.store.secrets import SecretBox, generate


def sealed(
    box: SecretBox,
    resource: Resource,
    identifier: UUID,
    body: Body,
    present: Mapping[str, str],
    clear: frozenset[str],
) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets as stored, and those in clear that the client has not seen yet."""
    kept = {name: text for name, text in present.items() if name not in clear}
    revealed: dict[str, str] = {}
    for secret in resource.secrets:
        text = secret.of(body)
        if text is None and secret.field not in kept and secret.generate is not None:
            text = revealed[secret.field] = generate(secret.generate)
        if text is not None and not _is_present(
            box, resource, identifier, secret.field, text, kept
        ):
            kept[secret.field] = box.encrypt(text, resource.name, identifier, secret.field)
            if not present and secret.generate is not None:
                revealed[secret.field] = text
    return kept, revealed


def _is_present(
    box: SecretBox,
    resource: Resource,
    identifier: UUID,
    field: str,
    text: str,
    kept: Mapping[str, str],
) -> bool:
    return field in kept and text == box.decrypt(kept[field], resource.name, identifier, field)
