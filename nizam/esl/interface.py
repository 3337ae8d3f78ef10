"""The seam between NIZAM and a switch: what can be asked of one connection."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class ISwitchLink(Interface):
    """A connection to one FreeSWITCH node that runs commands."""

    connected: bool = Attribute("Whether a command would be sent now.")

    async def api(command: str, timeout: float) -> str:
        """The output of the API command, without its last line end.

        `timeout` is in seconds. FreeSWITCH handles nothing else on the connection meanwhile, so
        use `bgapi` for what takes long, such as originate.

        Raises errors.SwitchError when it says -ERR, errors.ConnectionGone when the connection
        ends first or is not there, errors.TimeoutExceeded.
        """

    async def bgapi(command: str, timeout: float) -> str:
        """The output of the API command, run as a background job.

        `timeout` is in seconds, until the job ends. Raises what `api` raises.
        """
