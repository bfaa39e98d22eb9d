"""Network addresses of shoppers: how they are counted, and how much of one may be shown."""

from __future__ import annotations

import ipaddress

from app.kit.http import address_allowed


def without_port(address: str) -> str:
    """The address alone, where a proxy reports `address:port` (with brackets, where it is IPv6)."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        return address
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return address if ":" in host else host


def line(address: str) -> str:
    """The form in which callers are told apart: an IPv4 address, or the /64 that one IPv6 line has.

    What is no address stays as it is.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


def counted(address: str) -> str | None:
    """The form in which shoppers' tries are counted (see `line`).

    None for what is not public: a proxy or a developer's machine says nothing about who pays.
    """
    try:
        return line(address) if address_allowed(address) else None
    except ValueError:
        return None


def shortened(address: str) -> str | None:
    """The address without its last octet (IPv6: its /48), which names a network and no person."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    network = ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False)
    return str(network)
