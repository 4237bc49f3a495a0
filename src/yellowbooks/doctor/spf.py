"""May this address send for that domain? The check of RFC 7208, with its limits."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, TypeVar

from yellowbooks.doctor.dns import DnsAway, Resolver

Verdict = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
Found = TypeVar("Found")
MOST_LOOKUPS = 10  # RFC 7208, section 4.6.4
MOST_VOID = 2
MOST_NAMES = 10  # exchangers of one mx, names of one ptr

_QUALIFIERS: dict[str, Verdict] = {"+": "pass", "": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MECHANISM = re.compile(
    r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/\s]\S*?))?(?:/(\d{1,3}))?(?://(\d{1,3}))?", re.IGNORECASE
)
_ADDRESS = re.compile(r"([+?~-]?)ip[46]:([0-9a-f:.]+(?:/\d{1,3})?)", re.IGNORECASE)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(\S*)", re.IGNORECASE)
_MACRO = re.compile(r"%(?:\{([slodiphcrtv])(\d{0,3})(r?)([.+,/_=-]*)\}|([%_-]))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SpfResult:
    """The verdict, why where it is an error, and how many look-ups it took of the ten that are allowed."""

    verdict: Verdict
    why: str
    lookups: int


class _Permanent(Exception):
    """The record is wrong; a receiver treats the domain as having none."""


def check_host(resolver: Resolver, address: str, domain: str, sender: str) -> SpfResult:
    """Whether `address` (an IP) may send mails with the envelope sender `sender`, by the record of `domain`."""
    evaluation = _Evaluation(resolver, address, sender)
    try:
        return SpfResult(evaluation.check(domain), "", evaluation.lookups)
    except _Permanent as error:
        return SpfResult("permerror", str(error), evaluation.lookups)
    except DnsAway as error:
        return SpfResult("temperror", str(error), evaluation.lookups)


def spf_records(resolver: Resolver, domain: str) -> list[str]:
    """The SPF records of a domain; there should be one."""
    return [text for text in resolver.txt(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


class _Evaluation:
    def __init__(self, resolver: Resolver, address: str, sender: str) -> None:
        self.lookups = 0
        self._voids = 0
        self._resolver = resolver
        self._ip = ipaddress.ip_address(address)
        self._sender = sender

    def check(self, domain: str) -> Verdict:
        records = spf_records(self._resolver, domain)
        if not records:
            return "none"
        if len(records) > 1:
            raise _Permanent(f"{domain} has {len(records)} SPF records, and only one is allowed")
        redirect = ""
        for term in records[0].split()[1:]:
            if modifier := _MODIFIER.fullmatch(term):
                redirect = modifier[2] if modifier[1].lower() == "redirect" else redirect
            elif verdict := self._mechanism(term, domain):
                return verdict
        if not redirect:
            return "neutral"
        self._count()
        target = self._expand(redirect, domain)
        verdict = self.check(target)
        if verdict == "none":
            raise _Permanent(f"{domain} redirects to {target}, which has no SPF record")
        return verdict

    def _mechanism(self, term: str, domain: str) -> Verdict | None:
        if found := _ADDRESS.fullmatch(term):
            try:
                network = ipaddress.ip_network(found[2], strict=False)
            except ValueError:
                raise _Permanent(f"{domain} has «{term}», which is no network") from None
            return _QUALIFIERS[found[1]] if self._ip in network else None
        match = _MECHANISM.fullmatch(term)
        if not match or match[2].lower() in ("ip4", "ip6"):
            raise _Permanent(f"{domain} has «{term}», which is no mechanism")
        name = match[2].lower()
        target = self._expand(match[3], domain) if match[3] else domain
        return _QUALIFIERS[match[1]] if self._matches(name, target, domain, (match[4], match[5])) else None

    def _matches(self, name: str, target: str, domain: str, prefix: tuple[str | None, str | None]) -> bool:
        if name == "all":
            return True
        self._count()
        if name == "include":
            verdict = self.check(target)
            if verdict == "none":
                raise _Permanent(f"{domain} includes {target}, which has no SPF record")
            return verdict == "pass"
        if name == "exists":
            return any("." in found for found in self._seen(self._resolver.addresses(target)))
        if name == "a":
            return self._within(self._seen(self._resolver.addresses(target)), prefix)
        if name == "ptr":
            return self._named(target)
        hosts = [host for _, host in self._seen(self._resolver.mx(target)) if host]
        if len(hosts) > MOST_NAMES:
            raise _Permanent(f"{target} has over {MOST_NAMES} mail exchangers")
        return any(self._within(self._resolver.addresses(host), prefix) for host in hosts)

    def _named(self, target: str) -> bool:
        names = self._seen(self._resolver.names(str(self._ip)))[:MOST_NAMES]
        ending = f".{target.lower()}"
        return any(f".{name}".endswith(ending) and self._within(self._resolver.addresses(name)) for name in names)

    def _within(self, addresses: list[str], prefix: tuple[str | None, str | None] = (None, None)) -> bool:
        length = prefix[self._ip.version == 6]
        for address in map(ipaddress.ip_address, addresses):
            if address.version == self._ip.version:
                bits = min(int(length), address.max_prefixlen) if length else address.max_prefixlen
                if self._ip in ipaddress.ip_network(f"{address}/{bits}", strict=False):
                    return True
        return False

    def _seen(self, answers: list[Found]) -> list[Found]:
        self._voids += not answers
        if self._voids > MOST_VOID:
            raise _Permanent(f"over {MOST_VOID} look-ups found nothing")
        return answers

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise _Permanent(f"it takes over {MOST_LOOKUPS} look-ups")

    def _expand(self, text: str, domain: str) -> str:
        """Macros (RFC 7208, section 7)."""
        local, _, host = self._sender.rpartition("@")
        dotted = str(self._ip) if self._ip.version == 4 else ".".join(self._ip.exploded.replace(":", ""))
        kind = "in-addr" if self._ip.version == 4 else "ip6"
        values = {
            "s": self._sender,
            "l": local,
            "o": host,
            "d": domain,
            "i": dotted,
            "v": kind,
            "h": host,
            "p": "unknown",
        }

        def one(match: re.Match[str]) -> str:
            if match[5]:
                return {"%": "%", "_": " ", "-": "%20"}[match[5]]
            if match[1].lower() not in values:
                raise _Permanent(f"{domain} has «{match[0]}», which stands in explanations alone")
            parts = re.split(f"[{re.escape(match[4] or '.')}]", values[match[1].lower()])
            parts = parts[::-1] if match[3] else parts
            return ".".join(parts[-int(match[2]) :] if match[2] else parts)

        if "%" in _MACRO.sub("", text):
            raise _Permanent(f"{domain} has «{text}», whose macro is wrong")
        return _MACRO.sub(one, text).rstrip(".")
