"""Which IP addresses a tenant may make NIZAM connect to.

Only addresses of the public Internet pass. The registries are IANA's special-purpose address
registries for IPv4 and IPv6 (RFC 6890 and its successors); they are written out because what
Python's `is_global` says differs between patch releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the clouds' metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
"""All that IANA has given out; loopback, mapped, NAT64, local and multicast are outside of it."""
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking and other protocol assignments
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def may_connect(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether `address`, an IP literal without brackets, is public or in an `allowed` network.

    Anything that is no IP literal, or carries a zone (`%eth0`), may not. An IPv4 address mapped
    into IPv6 counts as what it is: it passes only if that IPv4 address is in `allowed`.
    """
    if "%" in address:
        return False
    try:
        value = ip_address(address)
    except ValueError:
        return False
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        return _within(value.ipv4_mapped, allowed)
    return _within(value, allowed) or _is_public(value)


def _within(value: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(value.version == network.version and value in network for network in networks)


def _is_public(value: IPv4Address | IPv6Address) -> bool:
    if isinstance(value, IPv4Address):
        return value.is_global and not any(value in network for network in _REFUSED_V4)
    return (
        value in _UNICAST_V6
        and value.is_global
        and not any(value in network for network in _REFUSED_V6)
    )
