"""A name server on loopback, spoken to over real datagrams, and what it was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.names import dns

Answers = Sequence[Sequence[str]]


@attrs.define
class NameServer:
    """`names` maps a name to what it is answered with, one list of addresses a question, the last
    one for ever; `aliases` to another name. Names in `silent` get no answer."""

    reactor: Any
    names: Mapping[str, Answers] = attrs.Factory(dict)
    aliases: Mapping[str, str] = attrs.Factory(dict)
    silent: frozenset[str] = frozenset()
    asked: Counter[tuple[str, int]] = attrs.Factory(Counter)
    _port: Any = None

    def start(self) -> None:
        protocol = dns.DNSDatagramProtocol(  # type: ignore[no-untyped-call]
            self, reactor=self.reactor
        )
        self._port = self.reactor.listenUDP(0, protocol, interface="127.0.0.1")

    async def stop(self) -> None:
        await self._port.stopListening()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self._port.getHost().port)

    def messageReceived(self, message: Any, protocol: Any, address: Any) -> None:  # noqa: N802
        question = message.queries[0]
        name = question.name.name.decode()
        self.asked[name, question.type] += 1
        if name in self.silent:
            return
        message.answer = 1
        message.answers = self._records(name, question.type)
        if not message.answers and name not in self.names:
            message.rCode = dns.ENAME
        protocol.writeMessage(message, address)

    def _records(self, name: str, kind: int) -> list[Any]:
        records: list[Any] = []
        if name in self.aliases:
            alias = dns.Record_CNAME(self.aliases[name])  # type: ignore[no-untyped-call]
            records.append(dns.RRHeader(name, dns.CNAME, payload=alias))
            name = self.aliases[name]
        lists = self.names.get(name, [[]])
        now = lists[min(self.asked[name, kind], len(lists)) - 1]
        for it in now:
            if (":" in it) == (kind == dns.AAAA):
                record: Any = dns.Record_AAAA if ":" in it else dns.Record_A
                records.append(dns.RRHeader(name, kind, payload=record(it)))
        return records
