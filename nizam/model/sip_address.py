"""Addresses that SIP is sent to: a host, and perhaps a port."""

from __future__ import annotations


def host_and_port(text: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[2001:db8::1]:port` or a bare IPv6 address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        return text.strip("[]"), None
    return host.strip("[]"), int(port)
