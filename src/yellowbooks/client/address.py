"""Who is at the other end, as far as proxies that we trust can say."""

import ipaddress


def client_ip(peer: str | None, forwarded: str | None, proxies: int) -> str | None:
    """The client's address: `peer` is the connection's, `forwarded` the X-Forwarded-For header, if any.

    Each proxy appends whom it heard, so with `proxies` of our own the client stands that many from the right; what
    stands further left is the client's own claim and counts for nothing. None where there is no address.
    """
    heard = [entry.strip() for entry in (forwarded or "").split(",") if entry.strip()]
    if proxies > 0 and heard:
        return _address(heard[-min(proxies, len(heard))])
    return _address(peer or "")


def _address(text: str) -> str | None:
    """An address without port, brackets or zone, and an IPv4 one as such where it stands in an IPv6 one."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
