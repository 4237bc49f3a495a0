"""A sign-in as an application reports it: the payload, and what must be wrong with none of its fields."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Self
from zoneinfo import ZoneInfo

import email_validator
import msgspec

from yellowbooks.jobs import Fault, Payload
from yellowbooks.mail import fold

# Names such as host.local and x.test are real ones in a company's own network; the SMTP server has the last word.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# Controls, line and paragraph separators, bidi controls, lone surrogates; and the mark of an encoded word, which a
# header parser may decode into a line break (CVE-2024-6923).
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|=\?")
PROVIDER = r"\w[\w .+-]{0,63}"
LOCALE = r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}"
_PROVIDER = re.compile(PROVIDER)
_LOCALE = re.compile(LOCALE)
# What most addresses look like; for these the long check would give back what it was given.
_WIRE = re.compile(r"[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?@(?:[a-z0-9]{1,60}\.){1,3}[a-z]{2,20}")
SHORT_PART = 2  # characters of a part of a name that says nothing by itself
_LONGEST = {"user_id": 256, "email": 254, "name": 256, "provider": 64, "user_agent": 4096, "ip_address": 64}
# For the OpenAPI document: what `faults` says of these texts is no pattern that a reader could read.
_PLAIN = {"format": "plain-text"}
_BARRED = "no control characters, no bidi controls, no «=?»"


def _shown(**schema: object) -> msgspec.Meta:
    """What the OpenAPI document says of a field; `faults` checks it, so that all faults are named at once."""
    return msgspec.Meta(extra_json_schema=schema)


class SignIn(Payload):
    """One sign-in: who, from where, with what, when."""

    user_id: Annotated[
        str,
        _shown(description=f"whom the limit counts; {_BARRED}", pattern=r"[^\s\x00-\x1f\x85]", maxLength=256, **_PLAIN),
    ]
    email: Annotated[str, _shown(description="who gets the mail", format="email", maxLength=254)]
    provider: Annotated[str, _shown(description="such as github", pattern=f"^{PROVIDER}$")]
    name: Annotated[str, _shown(description=f"for the greeting; {_BARRED}", maxLength=256, **_PLAIN)] | None = None
    ip_address: Annotated[str, _shown(anyOf=[{"format": "ipv4"}, {"format": "ipv6"}])] | None = None
    user_agent: Annotated[str, _shown(description=f"the browser's own; {_BARRED}", maxLength=4096, **_PLAIN)] | None = (
        None
    )
    timestamp: Annotated[datetime, _shown(description="2000 to 2099", format="date-time")] | None = None
    locale: Annotated[str, _shown(description="mn or en; any other is mn", pattern=f"^{LOCALE}$")] | None = None
    time_zone: Annotated[str, _shown(description="an IANA name", format="time-zone")] | None = None

    def key(self) -> str | None:
        """The limit of mails an hour counts the user."""
        return self.user_id

    def about(self) -> Mapping[str, str]:
        """The user, and the address in the form in which it gets the mail."""
        return {"user": self.user_id, "address": reached(self.email)}

    def private(self) -> Iterable[str]:
        """Whoever it is, whole and in parts; not the provider, the language and the zone, which are many people's."""
        return (*private_parts(self.user_id, self.email, self.name or ""), self.ip_address or "", self.user_agent or "")

    def dated(self, at: int) -> Self:
        """With its time, where the application sent none."""
        if self.timestamp is not None:
            return self
        return msgspec.structs.replace(self, timestamp=datetime.fromtimestamp(at / 1000, UTC))

    def faults(self) -> Iterable[Fault]:
        """What is wrong, field by field."""
        unsafe = False
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if not isinstance(value, str):
                continue
            if len(value) > _LONGEST.get(field, 256):
                unsafe = True
                yield Fault(_wire(field), f"is longer than {_LONGEST.get(field, 256)} characters; shorten it")
            elif _UNSAFE.search(value):
                unsafe = True
                yield Fault(_wire(field), "holds a control character, a bidi control or «=?»; remove it")
        if not unsafe:
            yield from self._field_faults()

    def _field_faults(self) -> Iterable[Fault]:
        if not self.user_id.strip():
            yield Fault("userId", "is empty; send the user's id")
        if why := _address_fault(self.email):
            yield Fault("email", why)
        if not _PROVIDER.fullmatch(self.provider):
            yield Fault("provider", "must be 1 to 64 letters, digits, spaces or . _ + -, such as github")
        if self.ip_address is not None and not _is_ip(self.ip_address):
            yield Fault("ipAddress", "is no IPv4 or IPv6 address; send one, such as 192.0.2.10, or leave it out")
        if self.timestamp is not None and (self.timestamp.tzinfo is None or not 2000 <= self.timestamp.year < 2100):
            yield Fault("timestamp", "has no offset or a year out of reach; send one such as 2025-12-18T23:00:00Z")
        if self.locale is not None and not _LOCALE.fullmatch(self.locale):
            yield Fault("locale", "is no language tag; send one such as mn or en-GB")
        if self.time_zone is not None and not is_zone(self.time_zone):
            yield Fault("timeZone", "is no IANA time zone; send one such as Asia/Ulaanbaatar")


def _wire(field: str) -> str:
    head, *tail = field.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _checked(address: str) -> email_validator.ValidatedEmail:
    return email_validator.validate_email(
        address, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False, strict=True
    )


def _address_fault(address: str) -> str | None:
    try:
        _checked(address)
    except email_validator.EmailNotValidError as error:
        return f"is no address that we can send to: {error}"
    if "." not in address.rpartition("@")[2]:
        return "is no address that we can send to: its domain has no dot"
    return None


def wire_address(address: str) -> str:
    """The address as SMTP takes it: an international domain in its ASCII form (RFC 5891)."""
    if _WIRE.fullmatch(address):
        return address
    checked = _checked(address)
    return str(checked.ascii_email or checked.normalized)


def private_parts(user_id: str, email: str, name: str = "") -> list[str]:
    """A person's id, address and name in the spellings and parts that somebody else's words may repeat."""
    names = [part for part in name.split() if len(part) > SHORT_PART]
    return [user_id, email, reached(email), email.rpartition("@")[0], name, *names]


def reached(address: str) -> str:
    """The one form of all spellings of an address that get the same mail; of what is no address, itself."""
    try:
        return fold(wire_address(address))
    except ValueError:
        return fold(address)


def shown_address(address: str) -> str:
    """The address as a person reads it: without what is invisible in an international domain."""
    return address if address.isascii() else str(_checked(address).normalized)


def _is_ip(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether it is the name of an IANA time zone."""
    try:
        return bool(ZoneInfo(name))
    except (ValueError, KeyError, OSError):  # a path, an unknown name, a folder such as «America»
        return False
