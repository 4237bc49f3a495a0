"""What a sign-in came from, as far as it is remembered: a device and a network, each as a keyed mark. Pure.

A device is the family of its browser, that of its system and its class; no version, as those change by themselves
every few weeks. A network is what its provider gives one line or one site: /24 of IPv4, /48 of IPv6 (RFC 6177, 2).
"""

import base64
import hmac
import ipaddress
import re
from dataclasses import dataclass

from yellowbooks.signin.browser import AGENT_LENGTH, name_families
from yellowbooks.signin.event import SignIn

IPV4_BITS, IPV6_BITS = 24, 48
MARK_OCTETS = 9

_TABLET = re.compile(r"iPad|Tablet|Android(?!.*\bMobile\b)", re.IGNORECASE)
_PHONE = re.compile(r"Mobi|iPhone|iPod", re.IGNORECASE)
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z_ -]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in came from; "" where that is not known."""

    device: str
    network: str


def origin(sign_in: SignIn, secret: bytes) -> Origin:
    """The marks of a sign-in's device and network."""
    device, network = device_of(sign_in.user_agent), network_of(sign_in.ip_address)
    return Origin(
        mark(secret, "device", device) if device else "",
        mark(secret, "network", network) if network else "",
    )


def mark(secret: bytes, sort: str, value: str) -> str:
    """Twelve letters that stand for a value and lead back to it only for who has the secret (HMAC-SHA-256, cut)."""
    digest = hmac.digest(secret, f"{sort}\0{value}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:MARK_OCTETS]).decode()


def device_of(agent: str | None) -> str:
    """Browser, system and class, such as «Chrome|Android|phone»; "" where the application says nothing."""
    text = (agent or "")[:AGENT_LENGTH]
    if not text.strip():
        return ""
    browser, system = name_families(text)
    if not browser and not system:
        product = _PRODUCT.match(text)
        browser = product[0].strip() if product else "?"
    sort = "tablet" if _TABLET.search(text) else "phone" if _PHONE.search(text) else "computer"
    return f"{browser}|{system}|{sort}"


def network_of(address: str | None) -> str:
    """The network of an IP address, such as «192.0.2.0/24»; of IPv4 in IPv6 that of IPv4."""
    if not address:
        return ""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    bits = IPV4_BITS if parsed.version == 4 else IPV6_BITS
    return str(ipaddress.ip_network((parsed, bits), strict=False))
