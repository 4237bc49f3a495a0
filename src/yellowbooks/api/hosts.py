"""The names by which an API is asked."""

import ipaddress
from urllib.parse import urlsplit

PROBES = ("/healthz", "/readyz")
"""Paths at which balancers and probes ask, without a key and by names of their own."""


def host_of(header: str) -> str:
    """The name in a Host header (RFC 9110, section 7.2), without its port; "" where there is none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return header


def is_local(host: str) -> bool:
    """Whether a name is this machine's own: `localhost` and what is under it (RFC 6761, section 6.3), a loopback
    address, or none at all."""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
