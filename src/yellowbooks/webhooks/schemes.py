"""How a sender proves that a request is its own. Every comparison is in constant time and over the raw body."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

TOLERANCE_SECONDS = 300
SHORTEST_TOKEN = 16
SIGNATURES = 20
"""So many signatures of one request are looked at."""


class Forged(Exception):
    """A request that nobody with a known secret has signed; says what was wrong with its headers."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: its headers by lower-case names, its raw body, and when it came, in seconds since 1970."""

    headers: Mapping[str, str]
    body: bytes
    at: float


class Scheme(Protocol):
    """One way to prove it."""

    def key(self, secret: str) -> bytes:
        """What the setting's text means. Raises `ValueError`."""

    def verify(self, sent: Sent, keys: Sequence[bytes]) -> None:
        """Passes where one of the keys made a signature of this body. Raises `Forged`."""


class StandardWebhooks:
    """Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature` (or Svix's older `svix-` names).

    The signature header is a list, so that a sender may sign by an old and a new secret while it changes them; the
    specification (standard-webhooks/standard-webhooks, spec/standard-webhooks.md, «Signature scheme») parts it by
    spaces, and Supabase Auth by a comma and a space (supabase/auth, internal/hooks), which is taken too. Only `v1`
    (HMAC-SHA256) is known; other versions are passed over, as the specification asks.
    """

    def key(self, secret: str) -> bytes:
        """A secret such as `whsec_…`; Supabase writes it `v1,whsec_…`. 24 to 64 bytes, as the specification says."""
        text = secret.removeprefix("v1,").removeprefix("whsec_")
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            raise ValueError("is not «whsec_» and base64") from None
        if not 24 <= len(key) <= 64:
            raise ValueError("does not hold 24 to 64 bytes of base64")
        return key

    def verify(self, sent: Sent, keys: Sequence[bytes]) -> None:
        """Raises `Forged`."""
        names = [f"{prefix}-{part}" for prefix in ("webhook", "svix") for part in ("id", "timestamp", "signature")]
        for three in (names[:3], names[3:]):
            message, stamp, signatures = (sent.headers.get(name, "") for name in three)
            if message and stamp and signatures:
                break
        else:
            raise Forged("it lacks one of the headers webhook-id, webhook-timestamp and webhook-signature")
        _fresh(stamp, 1, sent.at)
        signed = b".".join([message.encode("latin-1", "replace"), stamp.encode(), sent.body])
        wanted = [hmac.digest(key, signed, "sha256") for key in keys]
        offered = [_base64(one.strip(",").removeprefix("v1,")) for one in signatures.split() if one.startswith("v1,")]
        if not _same(wanted, offered):
            raise Forged("no v1 signature of webhook-signature fits the body; compare the secret with the sender's")


class HexSignature:
    """A header that holds the HMAC-SHA256 of the body in hexadecimal. It has no time, so a copy of a request is
    known by the event's own id and age."""

    def __init__(self, header: str) -> None:
        self.header = header

    def key(self, secret: str) -> bytes:
        """The secret's own bytes."""
        return _token(secret)

    def verify(self, sent: Sent, keys: Sequence[bytes]) -> None:
        """Raises `Forged`."""
        offered = sent.headers.get(self.header, "").lower()
        wanted = [hmac.digest(key, sent.body, "sha256").hex().encode() for key in keys]
        if not _same(wanted, [offered.encode("latin-1", "replace")]):
            raise Forged(f"the header {self.header} does not fit the body; compare the secret with the sender's")


class WorkOsSignature:
    """`WorkOS-Signature: t=<milliseconds>, v1=<hex>`, HMAC-SHA256 over `t.body`
    (workos/workos-node, src/common/crypto/signature-provider.ts; workos.com/docs/events/data-syncing/webhooks)."""

    def key(self, secret: str) -> bytes:
        """The secret's own bytes."""
        return _token(secret)

    def verify(self, sent: Sent, keys: Sequence[bytes]) -> None:
        """Raises `Forged`."""
        parts = [part.strip().partition("=") for part in sent.headers.get("workos-signature", "").split(",")]
        stamp = next((value for name, _, value in parts if name == "t"), "")
        offered = [value.lower().encode("latin-1", "replace") for name, _, value in parts if name == "v1"]
        _fresh(stamp, 1000, sent.at)
        wanted = [hmac.digest(key, stamp.encode() + b"." + sent.body, "sha256").hex().encode() for key in keys]
        if not _same(wanted, offered):
            raise Forged("WorkOS-Signature does not fit the body; compare the secret with the sender's")


class Token:
    """A secret in a header, as it is or after «Bearer ». The sender signs nothing, so TLS must keep it secret."""

    def __init__(self, header: str = "authorization") -> None:
        self.header = header

    def key(self, secret: str) -> bytes:
        """The secret's hash: compared by it, keys of any length take the same time."""
        return hashlib.sha256(_token(secret.removeprefix("Bearer "))).digest()

    def verify(self, sent: Sent, keys: Sequence[bytes]) -> None:
        """Raises `Forged`."""
        given = sent.headers.get(self.header, "")
        token = given[7:] if given[:7].lower() == "bearer " else given
        if not _same(keys, [hashlib.sha256(token.encode("latin-1", "replace")).digest()]):
            raise Forged(f"the header {self.header} does not hold the secret; compare it with the sender's")


def _token(secret: str) -> bytes:
    if len(secret) < SHORTEST_TOKEN:
        raise ValueError(f"has fewer than {SHORTEST_TOKEN} characters")
    return secret.encode()


def _fresh(stamp: str, per_second: int, now: float) -> None:
    if not re.fullmatch(r"[0-9]{1,16}", stamp):
        raise Forged("its timestamp is no whole number")
    if abs(now - int(stamp) / per_second) > TOLERANCE_SECONDS:
        raise Forged(f"its timestamp is more than {TOLERANCE_SECONDS} s away from our clock; send it anew, signed now")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        return b""


def _same(wanted: Iterable[bytes], offered: Sequence[bytes]) -> bool:
    """Whether one of these is one of those; all are compared, always."""
    return bool(sum(hmac.compare_digest(one, other) for one in wanted for other in offered[:SIGNATURES]))
