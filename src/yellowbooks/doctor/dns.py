"""Questions to the DNS, through an object that a test can put its own answers into."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

LOOKUP_SECONDS = 5.0


class DnsAway(Exception):
    """The DNS gave no answer: not «there is none», but «nobody knows»."""


class Resolver(Protocol):
    """Each answers an empty list where there is no such name or record, and raises `DnsAway` where nobody knows."""

    def txt(self, name: str) -> list[str]:
        """The TXT records, the strings of each joined."""
        ...

    def mx(self, name: str) -> list[tuple[int, str]]:
        """Preference and host of each mail exchanger; the host is empty in a null MX (RFC 7505)."""
        ...

    def addresses(self, name: str) -> list[str]:
        """The IPv4 and IPv6 addresses."""
        ...

    def names(self, address: str) -> list[str]:
        """The names of an IP address (PTR)."""
        ...


class SystemResolver:
    """Asks the machine's name servers, or those that are given."""

    def __init__(self, nameservers: Sequence[str] = (), port: int = 53) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.resolver.Resolver(configure=False)
        if nameservers:
            self._resolver.nameservers = list(nameservers)
            self._resolver.port = port
        self._resolver.lifetime = LOOKUP_SECONDS

    def txt(self, name: str) -> list[str]:
        """See `Resolver`."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")]

    def mx(self, name: str) -> list[tuple[int, str]]:
        """See `Resolver`."""
        return sorted((record.preference, str(record.exchange).rstrip(".").lower()) for record in self._ask(name, "MX"))

    def addresses(self, name: str) -> list[str]:
        """See `Resolver`."""
        return [str(record.address) for kind in ("A", "AAAA") for record in self._ask(name, kind)]

    def names(self, address: str) -> list[str]:
        """See `Resolver`."""
        reverse = str(dns.reversename.from_address(address))
        return [str(record.target).rstrip(".").lower() for record in self._ask(reverse, "PTR")]

    def _ask(self, name: str, kind: str) -> Iterable[Any]:
        try:
            return self._resolver.resolve(f"{name.rstrip('.')}.", kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.LabelTooLong, dns.name.EmptyLabel):
            return ()
        except dns.exception.DNSException as error:
            raise DnsAway(f"{kind} of {name}: {type(error).__name__}") from None
