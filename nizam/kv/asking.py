"""One question to a server that there is no connection to otherwise."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory

from nizam.kv.interface import Value
from nizam.kv.speaker import Speaker

ASK_SECONDS = 1.0


async def ask_once(speaker: Speaker, host: str, port: int, command: tuple[Value, ...]) -> Any:
    """The answer to one command, over a connection for it alone; each step has ASK_SECONDS.

    Raises what connecting, signing in and the command raise.
    """
    factory = Factory.forProtocol(speaker.for_commands)
    factory.noisy = False
    protocol = await speaker.endpoint(host, port, ASK_SECONDS).connect(factory)
    gone = protocol.whenDisconnected()
    try:
        await speaker.sign_in(protocol, ASK_SECONDS)
        return await speaker.answer(protocol, command, ASK_SECONDS)
    finally:
        protocol.transport.abortConnection()
        await gone
