"""Where an address is: on this machine, in a private network, or for everybody to reach."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


def addresses_of(host: str) -> list[IPv4Address | IPv6Address]:
    """The addresses that a name has, or the one that it is. OSError when it has none."""
    try:
        return [ip_address(host.strip("[]"))]
    except ValueError:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(it[4][0]).partition("%")[0]) for it in found))


def is_loopback(host: str) -> bool:
    """Whether a host is only this machine; a socket's path is."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return all(it.is_loopback for it in addresses_of(host))
    except OSError:
        return False


def is_public(host: str) -> bool:
    """Whether one of a host's addresses is one of the Internet's."""
    try:
        return any(it.is_global for it in addresses_of(host))
    except OSError:
        return False


def is_any(host: str) -> bool:
    """Whether listening there is listening everywhere."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == "*"
