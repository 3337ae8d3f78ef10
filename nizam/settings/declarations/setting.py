"""What one setting is, and the words in which several say what they accept."""

from __future__ import annotations

from typing import Any

import attrs

from nizam.settings import parsers as p


@attrs.frozen
class Setting:
    """One setting. `name` is its name in the environment, `key` its place in the file.

    A setting without a key is only checked: it is accepted so that a deployment's environment
    can stay as it is, and has no place in Settings.
    """

    name: str
    key: str | None
    parse: p.Parser
    default: Any
    accepted: str
    about: str
    secret: bool = False
    example: Any = None


PORT = "a port from 1 to 65535"
HOST = "a host name or an IP address"
NETWORKS = "networks in CIDR form, such as 10.0.0.0/8"
TEXT = "any text"
FILE = "the absolute path of a file that can be read"
DAYS = "days, from 0 to 3650; 0 keeps them for ever"
SECRET = "any text; also from a file: see the top"  # noqa: S105 - a description
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
