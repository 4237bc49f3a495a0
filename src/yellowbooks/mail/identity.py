"""A mail's own id: the same for the same job, and proof later that we sent that mail to that address.

A report that an address is dead counts only where it carries the id of a mail that went there: so nobody can stop
another's mails by a report that he wrote himself.
"""

import hashlib
import hmac
import re

_ID = re.compile(r"<?([0-9a-f]{24})([0-9a-f]{16})@[^<>@\s]{1,255}>?")


def identify(key: str, recipient: str, secret: bytes) -> str:
    """40 hexadecimal digits: a hash of the job's `key`, then the proof of its recipient; both keyed with `secret`."""
    name = name_of(key, secret)
    return name + _proof(name, recipient, secret)


def name_of(key: str, secret: bytes) -> str:
    """The part of a mail's id that names its job: 24 hexadecimal digits."""
    return hashlib.blake2b(key.encode(), key=secret[:64], digest_size=12).hexdigest()


def name_in(message_id: str) -> str | None:
    """The part of a Message-ID that names its job, or None where it is not one of ours."""
    match = _ID.fullmatch(message_id.strip())
    return match[1] if match else None


def proves(message_id: str, recipient: str, secret: bytes) -> bool:
    """Whether a Message-ID is that of a mail which we sent to `recipient`. Without a secret nothing is proved."""
    match = _ID.fullmatch(message_id.strip())
    return match is not None and secret != b"" and hmac.compare_digest(match[2], _proof(match[1], recipient, secret))


def fold(address: str) -> str:
    """An address as it is compared: letter case is ignored, as every large provider does."""
    return address.strip().lower()


def _proof(name: str, recipient: str, secret: bytes) -> str:
    text = f"{name} {fold(recipient)}".encode()
    return hashlib.blake2b(text, key=secret[:64], digest_size=8, person=b"yb-recipient").hexdigest()
