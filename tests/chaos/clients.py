"""Clients of the API that write and read, a prober, and somebody who looks at the calls shown.

Each notes in the history what was asked and what came of it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Coroutine, Iterator, Mapping
from itertools import count
from random import Random
from typing import Any, Final
from uuid import UUID

import attrs
import treq
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater

from nizam.sim.keypad import press
from tests.chaos.checkers.calls import KEY
from tests.chaos.history import Backlog, Load, Operation, Outcome, Probe, Sample
from tests.chaos.tenants import NUMBERS, Tenant
from tests.chaos.world import World
from tests.daemon.site import XML_PASSWORD, XML_USERNAME

ANSWER_SECONDS: Final = 5.0
BETWEEN_SECONDS: Final = (0.1, 0.4)
RETRY_SECONDS: Final = 0.3
MOST_OBJECTS: Final = 20
CLOCK_SECONDS: Final = 0.02
KEYS_SECONDS: Final = 0.05
LOAD_SECONDS: Final = 1.0
NO_ANSWER: Final = 0
_WAITING: Final = re.compile(rb"^nizam_events_waiting (\S+)$", re.MULTILINE)


@attrs.frozen
class Answer:
    """What came of a request; status 0 is that nothing came."""

    status: int
    body: Any
    began: float
    ended: float

    @property
    def outcome(self) -> Outcome:
        """What the client may conclude."""
        if 200 <= self.status < 300:
            return "done"
        return "refused" if 300 <= self.status < 500 else "unknown"


async def ask(world: World, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request to the API; never raises."""
    began = world.reactor.seconds()
    fields: dict[bytes | str, bytes | str] = {"Authorization": f"Bearer {world.api.key}"}
    for name, value in headers.items():
        fields[name] = value
    if body is not None:
        fields["Content-Type"] = "application/json"
    try:
        response = await treq.request(
            method,
            world.base + path,
            data=None if body is None else json.dumps(body).encode(),
            headers=fields,
            agent=world.agent,
            timeout=ANSWER_SECONDS,
        )
        content = await response.content().addTimeout(ANSWER_SECONDS, world.reactor)
        document = json.loads(content) if content else None
    except CancelledError:
        raise
    except Exception:
        return Answer(NO_ANSWER, None, began, world.reactor.seconds())
    return Answer(response.code, document, began, world.reactor.seconds())


class Workload:
    """All that goes on beside the calls, from start() to stop()."""

    def __init__(
        self, world: World, seed: int, clients_per_tenant: int = 2, keys_per_second: float = 0.0
    ) -> None:
        self._world = world
        self._keys_per_second = keys_per_second
        self._stopped = False
        self._held_up: list[tuple[float, float]] = []
        self._running: set[Deferred[None]] = set()
        self._writers = [
            Writer(
                world,
                tenant,
                f"{tenant.slug}-{number}",
                first,
                Random(f"{seed} {tenant.slug} {number}"),
            )
            for tenant in world.tenants
            for number, first in zip(range(clients_per_tenant), count(3000, 1000), strict=False)
        ]

    @property
    def stopping(self) -> bool:
        """Whether everybody should end."""
        return self._stopped

    def start(self) -> None:
        """Begin."""
        for writer in self._writers:
            self._spawn(writer.run(self))
        self._spawn(self._watch_clock())
        self._spawn(self._note_load())
        self._spawn(self._watch_backlog())
        if self._keys_per_second:
            self._spawn(self._press())
        self._spawn(self._probe())
        for tenant in self._world.tenants:
            self._spawn(self._look(tenant))

    async def stop(self) -> None:
        """Let everybody end what is under way."""
        self._stopped = True
        while self._running:
            await DeferredList(list(self._running))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        running = Deferred.fromCoroutine(work)
        self._running.add(running)

        def ended(result: Any) -> Any:
            self._running.discard(running)
            return result

        running.addBoth(ended)

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await deferLater(self._world.reactor, seconds)

    async def _note_load(self) -> None:
        while not self._stopped:
            note_load(self._world)
            await self.pause(LOAD_SECONDS)

    async def _watch_backlog(self) -> None:
        while not self._stopped:
            await note_backlog(self._world)
            await self.pause(LOAD_SECONDS)

    async def _press(self) -> None:
        """Press keys in the calls that are connected, so many a second over all of them."""
        due = 0.0
        before = self._world.reactor.seconds()
        while not self._stopped:
            await self.pause(KEYS_SECONDS)
            now = self._world.reactor.seconds()
            due += (now - before) * self._keys_per_second
            before = now
            exchange = self._world.switch.exchange
            bridged = [it for it in exchange.core.channels.values() if it.bridged]
            for number in range(int(due) if bridged else 0):
                press(exchange, bridged[number % len(bridged)], KEY)
            due -= int(due)

    async def _watch_clock(self) -> None:
        """Notice when this process does not get its turn: then nobody else's answer is late."""
        while not self._stopped:
            due = self._world.reactor.seconds() + CLOCK_SECONDS
            await self.pause(CLOCK_SECONDS)
            now = self._world.reactor.seconds()
            self._held_up = [it for it in self._held_up if it[0] > now - 60]
            if now - due > CLOCK_SECONDS / 2:
                self._held_up.append((now, now - due))

    async def _probe(self) -> None:
        """Ask as FreeSWITCH does and as a client does, on a schedule whatever the answers take."""
        tenants = self._world.tenants
        for number in count():
            if self._stopped:
                return
            tenant = tenants[number % len(tenants)]
            self._spawn(self._probe_xml(tenant))
            self._spawn(self._probe_api(tenant))
            await self.pause(0.5)

    async def _probe_xml(self, tenant: Tenant) -> None:
        world, number = self._world, NUMBERS[0]
        began = world.reactor.seconds()
        status = NO_ANSWER
        try:
            response = await treq.post(
                f"{world.base}/freeswitch/xml",
                data={
                    "section": "directory",
                    "action": "sip_auth",
                    "user": number,
                    "domain": tenant.domain,
                    "sip_auth_username": number,
                    "sip_auth_realm": tenant.domain,
                },
                auth=(XML_USERNAME, XML_PASSWORD),
                agent=world.agent,
                timeout=ANSWER_SECONDS,
            )
            content = await response.content().addTimeout(ANSWER_SECONDS, world.reactor)
            status = response.code if tenant.slug.encode() in content else 404
        except Exception:
            status = NO_ANSWER
        self._note_probe("xml", status, began)

    async def _probe_api(self, tenant: Tenant) -> None:
        answer = await ask(self._world, "GET", f"/api/v1/tenants/{tenant.id}/extensions?limit=1")
        self._note_probe("api", answer.status, answer.began)

    def _note_probe(self, what: str, status: int, began: float) -> None:
        seconds = self._world.reactor.seconds() - began
        lag = sum(late for at, late in self._held_up if at > began)
        self._world.history.add(Probe(what, status, began, seconds, lag))

    async def _look(self, tenant: Tenant) -> None:
        while not self._stopped:
            await look(self._world, tenant)
            await self.pause(0.5)


def note_load(world: World) -> None:
    """Note how busy the machine is."""
    per_core = os.getloadavg()[0] / (os.cpu_count() or 1)
    world.history.add(Load(per_core, world.reactor.seconds()))


async def nothing_waits(world: World) -> bool:
    """Whether all that happened is in PostgreSQL; noted."""
    return await note_backlog(world) and not world.history.of(Backlog)[-1].items


async def note_backlog(world: World) -> bool:
    """Note how much waits to be stored, over all instances; False when one of them does not say."""
    items = 0
    for daemon in world.daemons:
        try:
            _, text = await daemon.get("/metrics")
        except Exception:
            return False
        items += sum(int(float(it)) for it in _WAITING.findall(text))
    world.history.add(Backlog(items, world.reactor.seconds()))
    return True


async def look(world: World, tenant: Tenant) -> Sample | None:
    """Note which calls are shown as under way; None when that was not answered."""
    shown: list[str] = []
    path = f"/api/v1/tenants/{tenant.id}/calls?limit=200"
    cursor, began = "", world.reactor.seconds()
    while True:
        answer = await ask(world, "GET", path + cursor)
        if answer.outcome != "done":
            return None
        shown += [it["call_id"] for it in answer.body["data"]]
        if not answer.body["has_more"]:
            break
        cursor = f"&cursor={answer.body['next_cursor']}"
    sample = Sample(tenant.id, tuple(shown), began, world.reactor.seconds())
    world.history.add(sample)
    return sample


class Writer:
    """Creates, changes, deletes and reads extensions that nobody else touches.

    Their numbers are those of another tenant's writer too, their names begin with the tenant's id.
    """

    def __init__(self, world: World, tenant: Tenant, name: str, first: int, random: Random) -> None:
        self._world = world
        self._tenant = tenant
        self._name = name
        self._random = random
        self._numbers: Iterator[int] = count(first)
        self._path = f"/api/v1/tenants/{tenant.id}/extensions"
        self._objects: dict[str, str] = {}
        self._values = count(1)

    async def run(self, workload: Workload) -> None:
        """Do one thing after another."""
        while not workload.stopping:
            number = self._random.choice(sorted(self._objects)) if self._objects else ""
            action = self._random.choice(("create", "change", "change", "read", "read", "delete"))
            if not number or (action == "create" and len(self._objects) < MOST_OBJECTS):
                await self._create(workload)
            elif action == "read":
                await self._read(number)
            elif action == "delete":
                await self._delete(number)
            else:
                await self._change(number)
            await workload.pause(self._random.uniform(*BETWEEN_SECONDS))

    async def _create(self, workload: Workload) -> None:
        number, value = str(next(self._numbers)), self._value()
        body = {"number": number, "display_name": value}
        key = str(UUID(int=self._random.getrandbits(128)))
        while True:
            answer = await ask(self._world, "POST", self._path, body, **{"Idempotency-Key": key})
            self._note(number, "create", value, answer)
            if answer.outcome == "done":
                self._objects[number] = answer.body["id"]
                await self._read(number)
            if answer.outcome != "unknown" or workload.stopping:
                return
            await workload.pause(RETRY_SECONDS)

    async def _change(self, number: str) -> None:
        value = self._value()
        path = f"{self._path}/{self._objects[number]}"
        answer = await ask(self._world, "PATCH", path, {"display_name": value})
        self._note(number, "change", value, answer)
        if answer.outcome == "unknown":
            # It may still be done: what is written after it could be undone by it.
            del self._objects[number]
        elif answer.outcome == "done":
            await self._read(number)

    async def _delete(self, number: str) -> None:
        answer = await ask(self._world, "DELETE", f"{self._path}/{self._objects.pop(number)}")
        self._note(number, "delete", None, answer)

    async def _read(self, number: str) -> None:
        answer = await ask(self._world, "GET", f"{self._path}/{self._objects[number]}")
        value = answer.body["display_name"] if answer.outcome == "done" else None
        if answer.status == 404:
            # That nothing is there is an answer too.
            answer = attrs.evolve(answer, status=200)
        self._note(number, "read", value, answer)

    def _value(self) -> str:
        return f"{self._tenant.id} {self._name} {next(self._values)}"

    def _note(self, number: str, action: Any, value: str | None, answer: Answer) -> None:
        self._world.history.add(
            Operation(
                self._name,
                self._tenant.id,
                number,
                action,
                value,
                answer.outcome,
                answer.status,
                answer.began,
                answer.ended,
            )
        )


async def final_objects(world: World) -> None:
    """Note what became of every object that a client has written."""
    asked = {
        (it.tenant_id, it.object) for it in world.history.of(Operation) if it.action == "create"
    }
    for tenant in world.tenants:
        found = await _all_extensions(world, tenant)
        for tenant_id, number in sorted(asked):
            if tenant_id != tenant.id:
                continue
            values: list[str | None] = [
                it["display_name"] for it in found if it["number"] == number
            ]
            for value in values or [None]:
                now = world.reactor.seconds()
                world.history.add(
                    Operation("", tenant_id, number, "final", value, "done", 200, now, now)
                )


async def _all_extensions(world: World, tenant: Tenant) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    cursor = ""
    while True:
        path = f"/api/v1/tenants/{tenant.id}/extensions?limit=200{cursor}"
        page = await world.api.request("GET", path)
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"
