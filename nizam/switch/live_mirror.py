"""The live state in Redis: what this instance hears for the others, what they hear for this one.

Changes are written a few times a second, each with a version, so that those who follow read only
what has changed. Redis may forget at any time, or come back with what it knew an hour ago: once a
second each instance looks whether its own mark is still the one that it left there, and writes
everything again if not.

A node is heard while some instance is connected to it. One that nobody has heard for a minute is
lost: what was known of it is shown no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
import orjson
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nizam.errors import KeyValueUnavailable
from nizam.kv.interface import IKeyValue, Value
from nizam.model.identifiers import new_id
from nizam.switch.live_documents import KINDS, LiveDocuments
from nizam.switch.live_index import Document

LOST_SECONDS: Final = 60.0
"""After which a node that no instance hears is lost."""
UNHEARD_SECONDS: Final = 5.0
"""After which a node counts as not heard: the mark of who hears it was not renewed."""
CHANGES_SECONDS: Final = 120
"""For how long it is kept what has changed; who reads less often reads everything."""
KEPT_SECONDS: Final = 3600
"""After which Redis forgets the documents of a node that nobody hears."""
CHUNK: Final = 500

_NODES: Final = "nizam:live:nodes"
_MARK: Final = "nizam:live:mark:"


def _keys(kind: str, node: str) -> list[Value]:
    """Of the documents, of what has changed, of the version and of the floor."""
    base = f"nizam:live:{{{node}}}:{kind}"
    return [base, f"{base}:changes", f"{base}:version", f"{base}:floor"]


def _heard_key(node: str) -> str:
    return f"nizam:live:{{{node}}}:heard"


@attrs.define
class _Heard:
    """Who hears a node: `value` is the mark as it was read last, `at` when it was a new one.
    `missing_since` is when there was none any more."""

    value: bytes | None = None
    at: float = 0.0
    missing_since: float | None = None


class LiveMirror:
    """Writes and reads for one instance.

    `on_lost` is told once of each node that is lost, and whether this instance is the one to tell
    others of it.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key_value: IKeyValue,
        documents: LiveDocuments,
        on_lost: Callable[[str, bool], None],
    ) -> None:
        self._clock = clock
        self._key_value = key_value
        self._documents = documents
        self._on_lost = on_lost
        self._instance = str(new_id())
        self._beats = 0
        self._heard: dict[str, _Heard] = {}
        self._lost: set[str] = set()
        self._named: set[str] = set()
        self._due: set[str] = set()

    # -- what we hear -------------------------------------------------------------------------

    async def write(self) -> None:
        """Write what has changed since the last time."""
        dirty, self._documents.dirty = self._documents.dirty, {}
        try:
            while dirty:
                (kind, node), keys = next(iter(dirty.items()))
                await self._write(kind, node, keys)
                del dirty[kind, node]
        except KeyValueUnavailable as error:
            self._log.debug("the live state is not shared: {e}", e=str(error))
        finally:
            for place, keys in dirty.items():
                self._documents.dirty.setdefault(place, set()).update(keys)

    async def beat(self) -> None:
        """Say that this instance is there and what it hears; notice when Redis has forgotten."""
        number, self._beats = self._beats, self._beats + 1
        mine = [name for name, node in self._documents.nodes.items() if node.mine]
        try:
            before = await self._key_value.command(
                "SET", _MARK + self._instance, str(number + 1), "EX", KEPT_SECONDS, "GET"
            )
            for name in mine:
                if self._documents.nodes[name].connected:
                    mark = f"{self._instance} {number}"
                    await self._key_value.set(_heard_key(name), mark, seconds=LOST_SECONDS)
                    await self._name(name)
            if number and before != str(number).encode():
                self._log.warn("Redis has forgotten the live state: it is written again")
                self._named.clear()
                self._due |= set(mine)
            while self._due:
                await self._again(next(iter(self._due)))
        except KeyValueUnavailable as error:
            self._log.debug("the live state is not shared: {e}", e=str(error))

    async def _name(self, node: str) -> None:
        """List the node among those that others find."""
        if node not in self._named:
            self._named.add(node)
            await self._key_value.sadd(_NODES, node)

    def write_again(self, name: str) -> None:
        """Write everything of a node again soon, and remove what Redis has beside it, such as what
        an instance has left there that was killed."""
        self._due.add(name)

    async def _again(self, name: str) -> None:
        await self._name(name)
        if not self._documents.nodes[name].connected and self.is_heard(name):
            self._due.discard(name)
            return  # others know better
        self._documents.whole(name)
        for kind in KINDS:
            there = await self._key_value.command("HKEYS", _keys(kind, name)[0])
            if there:
                keys = self._documents.dirty.setdefault((kind, name), set())
                keys.update(it.decode() for it in there)
        self._due.discard(name)

    async def _write(self, kind: str, node: str, keys: Iterable[str]) -> None:
        await self._name(node)
        found = self._documents.nodes[node].documents[kind].found
        wanted = list(keys)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            present = [it for it in chunk if it in found]
            arguments: list[Value] = [KEPT_SECONDS, CHANGES_SECONDS * 1_000_000, len(present)]
            for key in present:
                arguments += [key, orjson.dumps(found[key])]
            arguments += [it for it in chunk if it not in found]
            await self._key_value.script("live_write", _keys(kind, node), arguments)

    # -- what others hear ---------------------------------------------------------------------

    async def follow(self) -> None:
        """Read what the instances that hear other nodes have written; notice lost nodes."""
        try:
            names = {it.decode() for it in await self._key_value.smembers(_NODES)}
            for name in names | self._documents.nodes.keys():
                await self._follow(name)
        except KeyValueUnavailable as error:
            # Nobody can say who hears what: that must not look as if nobody did.
            self._heard.clear()
            self._log.debug("the live state of other nodes stays as it was: {e}", e=str(error))

    async def look_up(self, kind: str, key: str, tenant_id: str) -> Document | None:
        """The tenant's document of a node that others hear, as Redis has it now; None if it has
        none."""
        try:
            for name in await self._key_value.smembers(_NODES):
                node = self._documents.nodes.get(name.decode())
                if node is not None and node.connected:
                    continue
                stored = await self._key_value.hget(_keys(kind, name.decode())[0], key)
                document: Document = {} if stored is None else orjson.loads(stored)
                if document.get("tenant_id") == tenant_id:
                    return document
        except KeyValueUnavailable:
            return None
        return None

    async def _follow(self, name: str) -> None:
        node = self._documents.node(name)
        now = self._clock.seconds()
        if node.connected:
            self._heard[name] = _Heard(at=now)
            self._lost.discard(name)
            return
        value = await self._key_value.get(_heard_key(name))
        heard = self._heard.setdefault(name, _Heard(at=now))
        if value is not None and value != heard.value:
            self._heard[name] = heard = _Heard(value, now)
            self._lost.discard(name)
        if value is not None:
            heard.missing_since = None
        elif heard.missing_since is None:
            heard.missing_since = now
        if node.connected or name in self._lost:
            return
        # The mark itself lasts until a node is lost; a moment more, should Redis have forgotten.
        if heard.missing_since is not None and now - heard.missing_since >= UNHEARD_SECONDS:
            await self._lose(name)
        else:
            await self._read(name)

    async def _lose(self, name: str) -> None:
        first = await self._key_value.set(
            f"nizam:live:{{{name}}}:lost", self._instance, seconds=LOST_SECONDS, only_new=True
        )
        self._lost.add(name)
        self._on_lost(name, first)
        if not self._documents.nodes[name].mine:
            self._documents.drop(name)
            self._heard.pop(name, None)
            self._named.discard(name)
            self._due.discard(name)
            await self._key_value.srem(_NODES, name)

    async def _read(self, name: str) -> None:
        node = self._documents.node(name)
        for kind in KINDS:
            if node.mine and kind == "links":
                continue  # of this instance
            last = node.version[kind]
            answer: list[Any] = await self._key_value.script("live_read", _keys(kind, name), [last])
            if node.connected:
                node.version[kind] = 0
                return
            await self._take(name, kind, int(answer[1]), answer[2:])
            if answer[1] != 2:
                node.version[kind] = int(answer[0])

    async def _take(self, name: str, kind: str, form: int, pairs: list[Any]) -> None:
        """Take over what was read: everything (1), changes (0) or nothing (2)."""
        documents = self._documents.node(name).documents[kind]
        if form == 1:
            for key in documents.found.keys() - {it.decode() for it in pairs[::2]}:
                documents.remove(key)
        for start in range(0, len(pairs), 2 * CHUNK):
            if start:
                await deferLater(self._clock, 0.0)
            part = pairs[start : start + 2 * CHUNK]
            for key, value in zip(part[::2], part[1::2], strict=True):
                if value is None:
                    documents.remove(key.decode())
                else:
                    self._documents.keep(documents, kind, key.decode(), orjson.loads(value))

    def is_heard(self, name: str) -> bool:
        """Whether some instance is connected to the node, as far as that is known here."""
        heard = self._heard.get(name)
        return heard is not None and self._clock.seconds() - heard.at < UNHEARD_SECONDS
