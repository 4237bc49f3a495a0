"""Whose address a request has, and what it is counted by. Pure."""

import ipaddress
from functools import lru_cache

PREFIX = 64  # bits of an IPv6 address: one subscriber has at least these for himself (RFC 6177)


@lru_cache(4096)
def counted(address: str) -> str:
    """What an address is counted by: itself, or the /64 of IPv6. "" for one that is not of the Internet.

    Loopback and private addresses are those of web apps, proxies and probes of one's own: behind one of them may be
    everybody.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if not found.is_global:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, PREFIX), strict=False))
    return str(found)
