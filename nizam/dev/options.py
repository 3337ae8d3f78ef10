"""What `nizam dev` is told on the command line, and the settings that follow from it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from nizam.dev.folder import StateFolder
from nizam.embedded.postgres import PrivatePostgres
from nizam.embedded.redis import PrivateRedis
from nizam.settings import NodeSettings, Secret, Settings, SettingsError, load
from nizam.settings.problem import SettingError

SIMULATED_NODE = "sim"
XML_USERNAME = "freeswitch"
_NODE = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)=(?:\[(?P<v6>[0-9A-Fa-f:]+)\]|(?P<host>[^:\[\]]+))"
    r":(?P<port>[0-9]{1,5}):(?P<password>.+)"
)


@attrs.frozen
class DevOptions:
    """The options; `port` is never 0, `calls_per_second` is the simulated switch's pace."""

    state_dir: Path
    host: str
    port: int
    simulate: bool
    calls_per_second: float
    nodes: tuple[NodeSettings, ...] = ()

    @property
    def http(self) -> str:
        """The address to reach us at from this machine, without a trailing slash."""
        address = ipaddress.ip_address(self.host)
        if address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        host = str(address) if address.version == 4 else f"[{address}]"
        return f"http://{host}:{self.port}"


def parse_node(text: str) -> NodeSettings:
    """A node from `NAME=HOST:PORT:PASSWORD`; raises ValueError that says what is wrong."""
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError("it is not NAME=HOST:PORT:PASSWORD")
    port = int(match["port"])
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is not a port")
    host = match["v6"] or match["host"]
    return NodeSettings(match["name"], host, port, Secret(match["password"]))


def dev_settings(
    options: DevOptions,
    folder: StateFolder,
    postgres: PrivatePostgres,
    redis: PrivateRedis,
    esl_port: int,
    environment: Mapping[str, str],
) -> Settings:
    """The daemon's settings: everything private to `folder`, every role, loopback allowed.

    `esl_port` is the simulated switch's. Of `environment` only LOG_LEVEL and MAIL_* count and, for
    real nodes on this machine, NIZAM_SIP_* and NIZAM_SPEECH. Raises SettingsError, for instance
    when two nodes have one name.
    """
    taken = ("NIZAM_SIP_", "NIZAM_SPEECH", "MAIL_")
    given = {name: value for name, value in environment.items() if name.startswith(taken)}
    given |= {
        "APP_ENV": "development",
        "APP_DEBUG": "true",
        "APP_URL": options.http,
        "LOG_LEVEL": environment.get("LOG_LEVEL", ""),
        **postgres.settings(),
        **redis.settings(),
        "NIZAM_HTTP_HOST": options.host,
        "NIZAM_HTTP_PORT": str(options.port),
        "NIZAM_MEDIA_ROOT": str(folder.path / "media"),
        "NIZAM_SECRET_KEYS": folder.encryption_key(),
        "NIZAM_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "NIZAM_XML_USERNAME": XML_USERNAME,
        "NIZAM_XML_PASSWORD": folder.secret("xml_password"),
    }
    if options.simulate:
        given |= {
            "NIZAM_NODE_NAME": SIMULATED_NODE,
            "ESL_HOST": "127.0.0.1",
            "ESL_PORT": str(esl_port),
            "ESL_PASSWORD": folder.secret("esl_password"),
        }
    settings = load(None, given).settings
    nodes = settings.nodes + options.nodes
    names = [node.name for node in nodes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problem = f"two nodes are called {', '.join(twice)}"
        raise SettingsError([SettingError("--node", problem, "a name of its own for each")])
    return attrs.evolve(settings, nodes=nodes)
