"""The DNS of the domain that mails come from: SPF, DKIM, DMARC, MX, and the names of what sends."""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from yellowbooks.doctor.dns import DnsAway, Resolver
from yellowbooks.doctor.line import Line
from yellowbooks.doctor.spf import check_host, spf_records
from yellowbooks.mail import Key

NOT_PUBLIC = ("localhost", ".localhost", ".example", ".invalid", ".test", ".local", ".internal")


@dataclass(frozen=True, slots=True)
class MailDomain:
    """What is to be looked at: the sender's address, the keys that sign, and what sends.

    `relays` are the hosts of YB_SMTP_URL; `sends_from` the IP addresses that mails leave from, where they are known.
    """

    sender: str
    keys: Sequence[Key] = ()
    relays: Sequence[str] = ()
    sends_from: Sequence[str] = field(default=())

    @property
    def name(self) -> str:
        """The domain of From, of the envelope and of `d=`: one, so that SPF and DKIM are aligned (RFC 7489, 3.1)."""
        return self.sender.rpartition("@")[2].lower()


def examine_domain(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    """A line for each part; a part that the DNS does not answer for is a warning."""
    if f".{domain.name}".endswith(NOT_PUBLIC):
        yield Line("warn", "domain", f"{domain.name} is no public domain, so no receiver can check its mails",
                   "set YB_MAIL_FROM to an address of your own domain")  # fmt: skip
        return
    parts: tuple[tuple[str, Callable[[MailDomain, Resolver], Iterator[Line]]], ...] = (
        ("MX", _mx), ("SPF", _spf), ("DKIM", _dkim), ("DMARC", _dmarc), ("PTR", _ptr),
    )  # fmt: skip
    for name, examine in parts:
        try:
            yield from examine(domain, resolver)
        except DnsAway as error:
            yield Line("warn", name, f"the DNS gives no answer ({error})", "try again, or see the name servers")


def _mx(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    found = resolver.mx(domain.name)
    hosts = [host for _, host in found if host]
    if found and not hosts:
        yield Line("FAIL", "MX", f"{domain.name} has a null MX (RFC 7505), so no bounce comes back",
                   "publish the MX of a server that takes mail, or send from another domain")  # fmt: skip
    elif hosts:
        lost = [host for host in hosts if not resolver.addresses(host)]
        if lost:
            yield Line("FAIL", "MX", f"{', '.join(lost)} of {domain.name} has no address", "correct the MX records")
        else:
            yield Line("ok", "MX", f"{domain.name} takes bounces at {', '.join(hosts)}")
    elif resolver.addresses(domain.name):
        yield Line("warn", "MX", f"{domain.name} has an address and no MX", "publish an MX, so that bounces come back")
    else:
        yield Line("FAIL", "MX", f"{domain.name} does not exist in the DNS", "set YB_MAIL_FROM, or publish the domain")


def _senders(domain: MailDomain, resolver: Resolver) -> tuple[list[str], bool]:
    """The addresses that mails leave from, and whether we know it: a relay's own may be others."""
    if domain.sends_from:
        return list(domain.sends_from), True
    return [address for relay in domain.relays for address in resolver.addresses(relay)], False


def _spf(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    records = spf_records(resolver, domain.name)
    if not records:
        yield Line("FAIL", "SPF", f"{domain.name} has no SPF record",
                   f'publish «{domain.name} TXT "v=spf1 include:(your relay) -all"»')  # fmt: skip
        return
    senders, known = _senders(domain, resolver)
    for address in senders or ["192.0.2.1"]:  # one of nobody, to find what is wrong with the record itself
        result = check_host(resolver, address, domain.name, domain.sender)
        if result.verdict == "permerror":
            yield Line("FAIL", "SPF", f"the record of {domain.name} is void: {result.why}", "correct it (RFC 7208)")
            return
        if result.verdict == "temperror":
            yield Line("warn", "SPF", f"the DNS gives no answer ({result.why})", "try again")
        elif result.verdict == "pass":
            yield Line("ok", "SPF", f"{address} may send for {domain.name} ({result.lookups} of 10 look-ups)")
        elif senders:
            advice = "add it to the record" if known else "name what it sends from by --sends-from, or add it"
            level = "FAIL" if known else "warn"
            yield Line(level, "SPF", f"{address} may not send for {domain.name}: {result.verdict}", advice)  # type: ignore[arg-type]
    if not senders:
        yield Line("warn", "SPF", f"{domain.name} has a record, and it is not known what sends",
                   "name the addresses that mails leave from by --sends-from")  # fmt: skip


def _dkim(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    if not domain.keys:
        yield Line("warn", "DKIM", "mails are not signed by us", "make a key with `yellowbooks mail dkim-key`, or let "
                   "the relay sign with this domain")  # fmt: skip
    for key in domain.keys:
        name = f"{key.selector}._domainkey.{domain.name}"
        records = resolver.txt(name)
        publish = f'publish «{name} TXT "{key.record()}"»'
        if len(records) != 1:
            found = "is not published" if not records else f"has {len(records)} records, and only one is allowed"
            yield Line("FAIL", "DKIM", f"{name} {found}", publish)
            continue
        tags = _tags(records[0])
        kind = key.algorithm.partition("-")[0]
        if not tags.get("p"):
            yield Line("FAIL", "DKIM", f"{name} is revoked: its p= is empty", publish)
        elif tags.get("k", "rsa") != kind or _decoded(tags["p"]) != key.public():
            yield Line("FAIL", "DKIM", f"{name} is another key than the one that signs", publish)
        elif "sha256" not in tags.get("h", "sha256") or tags.get("s", "*") not in ("*", "email"):
            yield Line("FAIL", "DKIM", f"{name} does not allow what we sign with", publish)
        elif "y" in tags.get("t", "").split(":"):
            yield Line("warn", "DKIM", f"{name} says that it is a test", "take t=y out of the record")
        else:
            yield Line("ok", "DKIM", f"{name} is the key that signs ({key.algorithm})")


def _dmarc(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    labels = domain.name.split(".")
    for start in range(max(len(labels) - 1, 1)):  # up to the one above, so that no list of suffixes is needed
        name = f"_dmarc.{'.'.join(labels[start:])}"
        records = [text for text in resolver.txt(name) if text.lower().replace(" ", "").startswith("v=dmarc1")]
        if len(records) > 1:
            yield Line("FAIL", "DMARC", f"{name} has {len(records)} records, so none counts", "leave one")
            return
        if records:
            yield _policy(name, _tags(records[0]), start > 0)
            return
    yield Line("FAIL", "DMARC", f"_dmarc.{domain.name} is not published; large providers ask for it",
               f'publish «_dmarc.{domain.name} TXT "v=DMARC1; p=none; rua=mailto:dmarc@{domain.name}"»')  # fmt: skip


def _policy(name: str, tags: dict[str, str], above: bool) -> Line:
    policy = tags.get("sp", tags.get("p", "")) if above else tags.get("p", "")
    if policy not in ("none", "quarantine", "reject"):
        return Line("FAIL", "DMARC", f"{name} has no right p=", "set p=none, then quarantine, then reject")
    if "rua" not in tags:
        return Line("warn", "DMARC", f"{name} says {policy} and sends nobody reports", "add rua=mailto:… and read them")
    if policy == "none":
        return Line("warn", "DMARC", f"{name} only watches (p=none)", "with clean reports: quarantine, then reject")
    return Line("ok", "DMARC", f"{name} says {policy}; our SPF and DKIM domains are that of From, so both are aligned")


def _ptr(domain: MailDomain, resolver: Resolver) -> Iterator[Line]:
    senders, known = _senders(domain, resolver)
    for address in senders:
        names = resolver.names(address)
        matching = [name for name in names if address in resolver.addresses(name)]
        if matching:
            yield Line("ok", "PTR", f"{address} is {matching[0]}, and that name is {address}")
        else:
            what = f"is named {names[0]}, which is not {address}" if names else "has no name"
            yield Line("FAIL" if known else "warn", "PTR", f"{address} {what}; large providers refuse its mails",
                       "ask whoever owns the address for a PTR that matches")  # fmt: skip


def _tags(record: str) -> dict[str, str]:
    pairs = (tag.partition("=") for tag in record.split(";") if "=" in tag)
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
