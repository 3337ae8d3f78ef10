"""How the commands that are clients of the API find their server, and how they end.

The URL and the key are taken, each from the first place that has it, from: the options --url and
--api-key; with --state-dir, the dev.json in it; NIZAM_URL and NIZAM_API_KEY; the file
nizam/client.toml in the user's configuration folder; the dev.json of a `nizam dev` that runs with
its usual state folder.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from nizam.cli.exits import CANNOT_REACH, CONDITION_DOES_NOT_HOLD, WRONG_USAGE, fail

if TYPE_CHECKING:
    from nizam.client import Client, TenantClient
    from nizam.client.errors import ApiError

Function = Callable[..., Any]
RETRIES = 2
"""Somebody may be waiting."""
WORDS = ("url", "api_key", "tenant")


@attrs.frozen(kw_only=True)
class Access:
    """Where the API is, whose key is used and which tenant is meant, if any."""

    url: str
    api_key: str | None = attrs.field(repr=False)
    tenant: str | None = None

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """A client; what it raises within ends the process with a message and its exit status."""
        from nizam.client import AmbiguousName, ApiError, CannotReach, Client, ClientError

        with Client(self.url, self.api_key, retries=RETRIES) as client:
            try:
                yield client
            except ApiError as error:
                status = CANNOT_REACH if error.status >= 500 else CONDITION_DOES_NOT_HOLD
                fail(status, explained(error))
            except CannotReach as error:
                fail(CANNOT_REACH, f"{self.url}: {error.detail}")
            except (ClientError, AmbiguousName) as error:
                fail(CONDITION_DOES_NOT_HOLD, str(error))

    @contextlib.contextmanager
    def in_tenant(self) -> Iterator[TenantClient]:
        """The tenant that is meant, as `client` does."""
        with self.client() as client:
            if self.tenant is None and client.me().get("tenant_id") is None:
                fail(WRONG_USAGE, "name the tenant: --tenant, or NIZAM_TENANT")
            yield client.tenant(self.tenant)


def explained(error: ApiError) -> str:
    """What the API refused, with every wrong field on a line of its own."""
    lines = [f"{error.title}: {error.detail}" if error.detail != error.title else error.title]
    lines += [f"  {it.path or '/'}: {it.message}" for it in error.errors]
    for name, value in error.extra.items():
        if name != "type" and value:
            lines.append(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")
    lines.append(f"  ({error.code}, request {error.request_id})")
    return "\n".join(lines)


def api_options(*, tenant: bool = False) -> Callable[[Function], Function]:
    """Adds the options that find the server; the command is given an `Access` as `access`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def run(
            *,
            url: str | None,
            api_key: str | None,
            state_dir: Path | None,
            **others: Any,
        ) -> Any:
            given = {"url": url, "api_key": api_key}
            if tenant:
                given["tenant"] = others.pop("tenant")
            return function(access=access(given, state_dir, os.environ), **others)

        options = [
            click.option("--url", help="The server's URL.  [NIZAM_URL]"),
            click.option("--api-key", help="The API key.  [NIZAM_API_KEY]"),
            click.option(
                "--state-dir",
                type=click.Path(file_okay=False, path_type=Path),
                help="The state folder of a running nizam dev, which has both.",
            ),
        ]
        if tenant:
            options.insert(
                0, click.option("--tenant", "-t", help="The tenant's slug or id.  [NIZAM_TENANT]")
            )
        for option in reversed(options):
            run = option(run)
        return run

    return decorate


def access(
    given: Mapping[str, str | None], state_dir: Path | None, environment: Mapping[str, str]
) -> Access:
    """The way to the server from all the places it may be written in; ends the process if none."""
    places: list[Mapping[str, str | None]] = [given]
    if state_dir is not None:
        places.append(_of_dev(state_dir, required=True))
    places.append({word: environment.get(f"NIZAM_{word.upper()}") for word in WORDS})
    places.append(_of_file(environment))
    if not any(it.get("url") for it in places):
        from nizam.dev.folder import default_folder

        places.append(_of_dev(default_folder(), required=False))
    found: dict[str, str | None] = {}
    for word in WORDS:
        found[word] = next((it[word] for it in places if it.get(word)), None)
    url = found["url"]
    if url is None:
        fail(WRONG_USAGE, "no server is named: --url, NIZAM_URL or --state-dir of a nizam dev")
    if not url.startswith(("http://", "https://")):
        fail(WRONG_USAGE, f"{url} is not the URL of a server")
    return Access(url=url.removesuffix("/"), api_key=found["api_key"], tenant=found["tenant"])


def _of_dev(folder: Path, *, required: bool) -> dict[str, str | None]:
    try:
        found = json.loads((folder / "dev.json").read_bytes())
        return {"url": found["http"], "api_key": found["api_key"], "tenant": found["tenant_id"]}
    except (OSError, ValueError, KeyError) as error:
        if required:
            fail(CANNOT_REACH, f"no nizam dev runs in {folder}: {error}")
        return {}


def _of_file(environment: Mapping[str, str]) -> dict[str, str | None]:
    base = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    path = Path(base) / "nizam" / "client.toml"
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fail(WRONG_USAGE, f"{path}: {error}")
    wrong = sorted(found.keys() - set(WORDS))
    if wrong or not all(isinstance(it, str) for it in found.values()):
        fail(WRONG_USAGE, f"{path}: holds texts called {', '.join(WORDS)}; not {', '.join(wrong)}")
    return found
