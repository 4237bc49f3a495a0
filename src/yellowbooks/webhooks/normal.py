"""The normal form of a sign-in, whoever tells of it, and the job that is made of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from yellowbooks.jobs import JOB_ID, Fault, Invalid
from yellowbooks.signin import SignIn
from yellowbooks.webhooks.body import Found

FRESH_SECONDS = 86_400.0
"""An event that is older makes no mail: it helps nobody, and a copy of it that somebody kept may be sent again only
while its id is remembered, which is for seven days."""

# What a mail can do without: where one of these cannot be used it is left out, and the alert goes all the same.
_OPTIONAL = {
    "name": "name", "ipAddress": "ip_address", "userAgent": "user_agent", "locale": "locale", "timeZone": "time_zone",
}  # fmt: skip
_PROVIDERS = {
    "google-oauth2": "google", "windowslive": "microsoft", "auth0": "password", "email/signup": "email",
    "sso/saml": "saml",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """One sign-in as every source is brought to tell it: who, by what, from where, when.

    `event_id` is the same for every copy of one event. `email_verified` is None where the source does not say.
    """

    event_id: str
    user_id: str
    email: str
    provider: str
    occurred_at: datetime | None = None
    email_verified: bool | None = None
    name: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    client_hints: Mapping[str, str] = field(default_factory=dict)
    is_new_user: bool | None = None
    session_id: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that makes no mail, and why. `missed` is a sign-in whose person would have wanted one."""

    why: str
    missed: bool = False


def provider_of(word: str) -> str:
    """A source's word for how somebody signed in, as a mail may show it: `google-oauth2` is google."""
    return re.sub(r"[^\w .+-]|^\W+", " ", _PROVIDERS.get(word, word)).strip()[:64] or "unknown"


def passed_over(event: SignedIn, now: datetime) -> Ignored | None:
    """Why this sign-in makes no mail, whoever tells of it; None where it does."""
    if event.email_verified is False:
        return Ignored("the address is not verified, so it may be somebody else's", missed=True)
    if event.occurred_at and (now - event.occurred_at.astimezone(UTC)).total_seconds() > FRESH_SECONDS:
        return Ignored("the sign-in is more than 24 hours old", missed=True)
    return None


def job_id(source: str, event_id: str) -> str:
    """The id of the job of one event, the same for every copy of it."""
    plain = f"{source}.{event_id}"
    if JOB_ID.fullmatch(plain):
        return plain
    return f"{source}.{hashlib.sha256(event_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def sign_in(source: str, event: SignedIn) -> tuple[SignIn, list[str]]:
    """The payload of the job, and which optional fields were left out because a mail cannot show them.

    Raises `Invalid` with the path in the source's own body where user, address or time cannot be used.
    """
    payload = SignIn(
        job_id=job_id(source, event.event_id), user_id=str(event.user_id), email=str(event.email),
        provider=provider_of(event.provider), name=_plain(event.name), ip_address=_without_port(event.ip_address),
        user_agent=_plain(event.user_agent), timestamp=event.occurred_at, locale=_plain(event.locale),
        time_zone=_plain(event.time_zone),
    )  # fmt: skip
    dropped: list[str] = []
    while faults := list(payload.faults()):
        optional = [fault.field for fault in faults if fault.field in _OPTIONAL]
        if not optional:
            raise Invalid([Fault(_path(event, fault.field), fault.why) for fault in faults])
        dropped += optional
        payload = msgspec.structs.replace(payload, **{_OPTIONAL[name]: None for name in optional})
    return payload, dropped


def _without_port(address: str | None) -> str | None:
    """`192.0.2.1:51234` and `[2001:db8::1]:51234` as the address alone: Kratos tells the socket's, where it sees no
    proxy (session/session.go, `SaveSessionMeta`)."""
    if address is None:
        return None
    found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", address)
    return str(found[1] or found[2]) if found else str(address)


def _plain(text: str | None) -> str | None:
    """A `Found` as the text that it is: a payload is stored by the exact type."""
    return None if text is None else str(text)


def _path(event: SignedIn, field_name: str) -> str:
    values = {"userId": event.user_id, "email": event.email, "provider": event.provider}
    value = values.get(field_name)
    return value.path if isinstance(value, Found) else field_name
