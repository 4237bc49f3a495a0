"""Whose an IP address is, as far as one may count by it. Pure."""

import ipaddress

PREFIX = 64  # bits of an IPv6 address: one subscriber has at least these for himself (RFC 6177)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def read_address(text: str) -> Address | None:
    """The address, an IPv4 one as such where it stands in an IPv6 one; None where the text is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def subscriber(address: Address) -> str:
    """What stands for whoever has this address: itself, or its network of 64 bits."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), PREFIX), strict=False))
    return str(address)
