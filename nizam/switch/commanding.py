"""Running one command on one switch, with what may go wrong as the API tells it."""

from __future__ import annotations

from typing import Final

from nizam.errors import ConnectionGone, SwitchError, SwitchUnavailable, TimeoutExceeded
from nizam.switch.command_links import Links

COMMAND_SECONDS: Final = 5.0


async def run_on(links: Links, node: str, line: str, seconds: float = COMMAND_SECONDS) -> str:
    """What the switch says to the command.

    Raises SwitchError with what the switch refused, SwitchUnavailable or TimeoutExceeded with
    `maybe_executed`.
    """
    link = links.command_link(node)
    try:
        return await link.bgapi(line, seconds)
    except SwitchError as error:
        raise SwitchError(f"FreeSWITCH says: {error.detail}") from None
    except ConnectionGone as error:
        raise SwitchUnavailable(error.detail, maybe_executed=error.maybe_executed) from None
    except TimeoutExceeded as error:
        raise TimeoutExceeded(error.detail, maybe_executed=True) from None
