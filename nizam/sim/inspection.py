"""API commands by which somebody sees how the switch is set up (mod_commands), answered as on the
real switch. What NIZAM is not asked for, or does not have, comes from the files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address, ip_network

from lxml import etree

from nizam.sim.answers import AnswerError, parse_document
from nizam.sim.exchange import Exchange

NOT_FOUND = "can't find anything\n"
# These are read before mod_xml_curl is there to be asked.
_FROM_FILES_ALONE = frozenset({"modules.conf", "switch.conf", "logfile.conf", "xml_curl.conf"})
_LISTS = {
    "loopback.auto": ("127.0.0.0/8", "::1/128"),
    "rfc1918.auto": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "any_v4.auto": ("0.0.0.0/0",),
    "any_v6.auto": ("::/0",),
}


async def xml_locate(exchange: Exchange, arguments: str) -> str:
    """An element of what NIZAM serves or the files hold; with `root` all of the files."""
    files = exchange.core.files
    if arguments.strip() == "root":
        return f"{files.document}\n"
    words = arguments.split()
    if words[:3] != ["configuration", "configuration", "name"] or len(words) != 4:
        return NOT_FOUND
    name = words[3]
    if name not in _FROM_FILES_ALONE:
        served = await _served(exchange, name)
        if served is not None:
            return f"{served}\n"
    found = files.configuration(name)
    return NOT_FOUND if found is None else f"{found}\n"


async def _served(exchange: Exchange, name: str) -> str | None:
    body = await exchange.questions.document(name)
    try:
        section = None if body is None else parse_document(body)
    except AnswerError:
        return None
    for it in () if section is None else section.iter("configuration"):
        if it.get("name") == name:
            return etree.tostring(it, encoding="unicode", with_tail=False)
    return None


async def module_exists(exchange: Exchange, arguments: str) -> str:
    """Whether a module is loaded."""
    return "true" if arguments.strip() in exchange.core.files.modules else "false"


async def acl(exchange: Exchange, arguments: str) -> str:
    """Whether a list of networks, or one network, lets an address in."""
    address, _, name = arguments.partition(" ")
    try:
        networks = [ip_network(it) for it in _LISTS.get(name, (name,))]
        within = any(ip_address(address) in it for it in networks)
    except ValueError:
        within = False
    return "true" if within else "false"


async def fsctl(exchange: Exchange, arguments: str) -> str:
    """The one state that is asked for here."""
    if arguments.split()[:1] != ["api_expansion"]:
        return "-ERR Unsupported command\n"
    off = exchange.core.files.parameter("switch.conf", "api-expansion") == "false"
    return f"+OK api_expansion is {'off' if off else 'on'} \n"


async def global_getvar(exchange: Exchange, arguments: str) -> str:
    """A global variable, or all of them."""
    variables = exchange.core.files.variables
    if name := arguments.strip():
        return variables.get(name, "")
    return "".join(f"{it}={value}\n" for it, value in variables.items())


async def strepoch(exchange: Exchange, arguments: str) -> str:
    """The switch's time, in seconds."""
    return str(exchange.core.now() // 1_000_000)


async def strmicroepoch(exchange: Exchange, arguments: str) -> str:
    """The switch's time, in microseconds."""
    return str(exchange.core.now())


COMMANDS: Mapping[str, Callable[[Exchange, str], Awaitable[str]]] = {
    "acl": acl,
    "fsctl": fsctl,
    "global_getvar": global_getvar,
    "module_exists": module_exists,
    "strepoch": strepoch,
    "strmicroepoch": strmicroepoch,
    "xml_locate": xml_locate,
}
