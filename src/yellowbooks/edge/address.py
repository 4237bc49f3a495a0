"""Whose address a request has, and what it is counted by. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from yellowbooks.addresses import read_address, subscriber


@lru_cache(4096)
def counted(address: str) -> str:
    """What an address is counted by: itself, or the /64 of IPv6. "" for one that is not of the Internet.

    Loopback and private addresses are those of web apps, proxies and probes of one's own: behind one of them may be
    everybody.
    """
    found = read_address(address)
    return subscriber(found) if found is not None and found.is_global else ""


def sender(peer: str, forwarded: Sequence[bytes], proxies: int) -> str:
    """Whose address a request has: the connection's, or what the outermost of `proxies` of one's own wrote down.

    Each proxy adds the address that it saw at the right end of X-Forwarded-For; what stands further left was made up
    by whoever liked. Where fewer stand there, somebody came past the proxies, and is himself who he is.
    """
    if not proxies:
        return peer
    entries = b",".join(forwarded).split(b",") if forwarded else []
    if len(entries) < proxies:
        return peer
    return _bare(entries[-proxies].strip().decode("latin-1"))


def _bare(entry: str) -> str:
    """An address without brackets and port, as some proxies write it."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
