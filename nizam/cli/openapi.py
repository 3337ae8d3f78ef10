"""`nizam openapi`: the document that describes the API."""

from __future__ import annotations

from typing import Any

import click

from nizam.cli.output import to_yaml


@click.command(epilog="\b\nExample:\n  nizam openapi > openapi.json")
@click.option("--url", help="The server's URL in the document.  [default: app_url of the settings]")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print YAML.")
def openapi(url: str | None, as_yaml: bool) -> None:
    """Print the OpenAPI document of this version; needs no server."""
    import json

    found = described(url)
    click.echo(to_yaml(found) if as_yaml else json.dumps(found, indent=2), nl=not as_yaml)


def described(url: str | None) -> dict[str, Any]:
    """The document, from the routes of an API that is put together and never started."""
    from twisted.internet import reactor

    from nizam.http.api import Api
    from nizam.http.openapi import document
    from nizam.kv.make import key_value_of
    from nizam.media.library import MediaLibrary
    from nizam.routing.snapshot import Snapshot
    from nizam.settings import SecretKey, load
    from nizam.store.pool import Pool
    from nizam.store.secrets import SecretBox
    from nizam.store.store import Store
    from nizam.switch.live import LiveState
    from nizam.webhooks.queue import DeliveryQueue

    settings = load(None, {}).settings
    key_value = key_value_of(reactor, settings.redis)
    pool = Pool(reactor, settings.database.direct_dsn(), 1, "none")
    api = Api.over(
        reactor=reactor,
        settings=settings,
        store=Store(
            pool, SecretBox([SecretKey("none", bytes(32))]), environment=settings.environment
        ),
        key_value=key_value,
        snapshot=Snapshot(),
        live=LiveState(reactor),
        queue=DeliveryQueue(key_value),
        media=MediaLibrary(reactor, None),
    )
    return document(api.routes(), url or settings.app_url)
