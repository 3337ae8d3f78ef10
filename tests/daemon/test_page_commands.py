"""The commands of docs/ that ask a running NIZAM, as they stand there: each `nizam` and `curl` that
no other test runs. A new one on any page is run here by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from nizam.sim.people import Manner
from tests.cli.conftest import nizam
from tests.daemon.process import until
from tests.daemon.site import environment
from tests.daemon.walking import Town
from tests.daemon.walking import town as town_of
from tests.media.sounds import mp3, wav
from tests.page_commands import TOUR, Part, parts_run_by
from tests.pages import REPOSITORY, blocks, words

COMMAND_SECONDS = 20.0
CURL_SECONDS = 10.0
ENDLESS_SECONDS = 3.0
CURL_TIMED_OUT = 28
ENDLESS = ("/call-events/stream", "nizam tail --type")
"""What goes on until it is stopped."""
OPINIONS = {"doctor": (0, 1, 2), "scheduler": (0, 1)}
"""Commands whose status tells what they have found: any of these is an answer."""
SHELL_SYNTAX = set("|<>$`")
APART = {"admin", "backup"}
"""What has a reactor or listens to signals, and so needs a process of its own."""
RECORDING = "01937a5e-0000-7000-8000-000000000e01"
MESSAGE = "5b2a9c4e-7d1f-4e0b-9a3c-2f6d8e1b0c7a"
BUSY_SECONDS = 10.0


@attrs.define
class World:
    """A daemon with a tenant that has a bit of everything, and a folder in which commands run."""

    town: Town
    folder: Path
    settings: dict[str, str]
    replaced: dict[str, str] = attrs.field(factory=dict)

    @property
    def tenant(self) -> str:
        return f"/api/v1/tenants/{self.town.site.tenant_id}"

    async def listed(self, path: str) -> list[dict[str, Any]]:
        """What a list of the tenant has."""
        found: list[dict[str, Any]] = (
            await self.town.site.api.request("GET", f"{self.tenant}/{path}")
        )["data"]
        return found

    async def run(self, part: Part) -> str | None:
        """Run one; what is wrong with how it ended."""
        text = part.text
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        if any(it in text for it in ENDLESS):
            return await deferToThread(self._begun, text)
        if part.program == "nizam" and not SHELL_SYNTAX & set(text):
            found = words(text)
            if not APART & set(found):
                return await deferToThread(self.in_process, found)
        return await deferToThread(self._in_a_shell, text)

    def in_process(self, found: list[str]) -> str | None:
        given = dict(it.split("=", 1) for it in found[: found.index("nizam")])
        arguments = found[found.index("nizam") + 1 :]
        done = nizam(*arguments, stdin="", environment=self.settings | given)
        if done.exit_code in OPINIONS.get(arguments[0], (0,)):
            return None
        return f"{done.exit_code}: {done.output} {done.exception!r}"

    def _shell(self, text: str, seconds: float = CURL_SECONDS) -> list[str]:
        fail = "" if "curl -sf" in text else "--fail-with-body "
        curl = f"curl {fail}--max-time {seconds:g} "
        return ["bash", "-eo", "pipefail", "-c", text.replace("curl ", curl)]

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return self.settings | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}

    def _in_a_shell(self, text: str) -> str | None:
        done = subprocess.run(
            self._shell(text),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        first = next((it for it in words(text) if "=" not in it), "")
        opinion = "doctor" in text and first == "nizam"
        if done.returncode == 0 or (opinion and done.returncode in OPINIONS["doctor"]):
            return None
        return f"{done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"

    def _begun(self, text: str) -> str | None:
        """It is well when it is still at work when it is stopped, and has said something."""
        with subprocess.Popen(
            self._shell(text, ENDLESS_SECONDS),
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                output, errors = child.communicate(timeout=ENDLESS_SECONDS + 1)
            except subprocess.TimeoutExpired:
                child.terminate()
                output, errors = child.communicate()
                return errors or None
        said = child.returncode == CURL_TIMED_OUT and "event: welcome" in output
        return None if said else f"{child.returncode}: {output} {errors}"


@pytest_twisted.async_yield_fixture
async def world(
    database: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    from twisted.internet import reactor

    monkeypatch.chdir(tmp_path)
    async with town_of(reactor, database, redis_url, tmp_path) as town:
        site = town.site
        port = int(site.daemon.base.rpartition(":")[2])
        settings = environment(database, redis_url, tmp_path, port, site.switch.esl_port)
        settings |= {
            "HTTP": site.daemon.base,
            "KEY": site.api.key,
            "TENANT": site.tenant_id,
            "NIZAM_URL": site.daemon.base,
            "NIZAM_API_KEY": site.api.key,
            "NIZAM_TENANT": site.tenant_id,
        }
        made = World(town, tmp_path, settings)
        await happens(made)
        yield made


async def happens(world: World) -> None:
    """A call is answered and recorded, another one leaves a message."""
    town = world.town
    await town.change(f"extensions/{town.extensions['1001']}", recording="all")
    call = town.anna.dials("1002")
    await call.reaches("bridged 1002")
    town.ben.hangs_up()
    await call.ended()


async def a_recording(world: World) -> dict[str, str]:
    """The recording of the call."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [it for it in await world.listed("recordings") if it["state"] == "available"]
        return bool(found)

    assert await until(world.town.site.reactor, there, BUSY_SECONDS)
    return {RECORDING: found[0]["id"]}


async def a_message(world: World) -> dict[str, str]:
    """A message in a mailbox, a greeting to upload, and one that is there."""
    (world.folder / "welcome.wav").write_bytes(wav(0.5))
    other = ["nizam", "voicemail", "greeting", "upload", "1001", "2", "welcome.wav"]
    assert await deferToThread(world.in_process, other) is None
    town = world.town
    await town.rest()
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = await world.listed("voicemail-messages")
        return [it["state"] for it in found] == ["available"]

    town.ben.will(Manner("is busy"))
    missed = town.anna.dials("1002")
    await missed.reaches("voicemail")
    await missed.ended()
    assert await until(town.site.reactor, there, BUSY_SECONDS)
    return {MESSAGE: found[0]["id"]}


async def a_webhook(world: World) -> dict[str, str]:
    (hook,) = await world.listed("webhooks")
    return {" ID": f" {hook['id']}"}


async def a_prompt(world: World) -> dict[str, str]:
    (world.folder / "welcome.mp3").write_bytes(mp3())
    made = await world.town.make("prompts", name="Welcome")
    return {"$URL": f"$HTTP{world.tenant}/prompts/{made}"}


async def the_flow_of_the_page(world: World) -> dict[str, str]:
    flow = json.loads(blocks("call-flows.md", "json")[0])
    for node in flow["nodes"]:
        if node["type"] == "bridge":
            node["destination"]["id"] = world.town.extensions["1001"]
    made = await world.town.make("call-flows", **flow)
    await world.town.act(f"call-flows/{made}/publish")
    return {}


async def the_log(world: World) -> dict[str, str]:
    if shutil.which("jq") is None:
        return {"journalctl -u nizam -o cat | jq": "true #"}
    return {"journalctl -u nizam -o cat": f"cat {world.folder}/nizam.log"}


async def a_machine(world: World) -> dict[str, str]:
    """The file of settings where the page has put it."""
    shutil.copy(REPOSITORY / "etc" / "nizam.toml", world.folder / "nizam.toml")
    world.settings["NIZAM_CONFIG"] = str(world.folder / "nizam.toml")
    world.settings["NIZAM_BACKUP_FOLDER"] = f"{world.folder}-backups"
    world.settings["NIZAM_FREESWITCH_CONFIGURATION"] = str(REPOSITORY / "etc" / "freeswitch")
    return {
        "/opt/nizam-0.2.0/bin/nizam": "nizam",
        "/opt/nizam/bin/nizam": "nizam",
        "/etc/nizam": str(world.folder),
        "http://127.0.0.1:8080": "$HTTP",
    }


async def a_way_out(world: World) -> dict[str, str]:
    """A way to numbers outside, for a call that is placed by command."""
    town = world.town
    gateway = await town.make("gateways", name="Carrier", host="192.0.2.10")
    await town.make(
        "outbound-routes",
        name="National",
        patterns=["+1XXXXXXXXXX"],
        gateways=[{"gateway_id": gateway, "order": 0}],
    )
    await town.stage.until(lambda: gateway in town.site.switch.core.gateways)
    return {}


async def a_known_node(world: World) -> dict[str, str]:
    """The switch of the settings has to be in the registry for its share to be changed."""
    esl = {"esl_host": "127.0.0.1", "esl_port": int(world.settings["ESL_PORT"])}
    body = {
        "name": "fs1",
        "xml_username": "fs1-new",
        "esl_password": world.settings["ESL_PASSWORD"],
    }
    await world.town.site.api.request("POST", "/api/v1/switch-nodes", {**body, **esl})
    await world.town.rest()
    return {"/etc/kamailio": str(world.folder)}


async def a_tenant_that_leaves(world: World) -> dict[str, str]:
    body = {"name": "Leaving", "slug": "leaving", "domain": "leaving.example.test"}
    await world.town.site.api.request("POST", "/api/v1/tenants", body)
    return {**await the_log(world), " acme ": " leaving "}


BEFORE: dict[str, Callable[[World], Awaitable[dict[str, str]]]] = {
    "docs/call-control.md": a_way_out,
    "docs/call-flows.md": the_flow_of_the_page,
    "docs/install.md": a_machine,
    "docs/media.md": a_prompt,
    "docs/monitoring.md": the_log,
    "docs/operating.md": a_tenant_that_leaves,
    "docs/recordings.md": a_recording,
    "docs/several-switches.md": a_known_node,
    "docs/upgrading.md": a_machine,
    "docs/voicemail.md": a_message,
    "docs/webhooks.md": a_webhook,
}
"""What a page takes for given, and what stands for what in its commands."""


def _by_page(parts: Iterable[Part]) -> list[tuple[str, list[Part]]]:
    return [(page, list(found)) for page, found in groupby(parts, key=lambda it: it.page)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
@pytest.mark.time_limit(120)
async def test_what_is_pasted_from_any_page_is_done(world: World) -> None:
    wrong = []
    for page, found in _by_page(parts_run_by(TOUR)):
        world.replaced = await BEFORE[page](world) if page in BEFORE else {}
        for part in found:
            if problem := await world.run(part):
                wrong.append(f"{part}\n    {problem}")
    assert wrong == [], "\n".join(wrong)
