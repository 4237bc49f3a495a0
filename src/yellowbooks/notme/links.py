"""The link of one mail: it proves the job, the user and its end, and shows none of them.

A token is sealed with AES-SIV (RFC 5297), whose first half is a keyed hash over all of it: nobody makes one or changes
one without the key, and the same mail has the same token on every attempt, so that its bytes stay the same. It is
sealed and not only signed because an application ends sessions by its user's id, which must not stand in an address.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

LINK_SECONDS = 7 * 86_400  # as long as the queue knows an id: a second press is known for one
PATH = "/not-me/"
LONGEST = 1_024  # characters of a token
_VERSION = b"\x01"


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a link stands for. `expires` is seconds since 1970."""

    job_id: str
    user_id: str
    language: str
    expires: int


class BadLink(ValueError):
    """A token that is not one of ours."""


class Links:
    """Makes and reads links under `base` (https://host, no path behind it). The first key seals, all of them open."""

    def __init__(self, base: str, keys: Sequence[str]) -> None:
        self._base = base.rstrip("/")
        self._ciphers = [AESSIV(_key(key)) for key in keys]

    def make(self, job_id: str, user_id: str, language: str, moment: datetime) -> str:
        """The address for the mail of a job, which was written at `moment`."""
        claim = Claim(job_id, user_id, language, int(moment.timestamp()) + LINK_SECONDS)
        sealed = self._ciphers[0].encrypt(msgspec.msgpack.encode(claim), [_VERSION])
        return f"{self._base}{PATH}{base64.urlsafe_b64encode(_VERSION + sealed).decode().rstrip('=')}"

    def read(self, token: str) -> Claim:
        """What a token stands for, also where it has ended. Raises `BadLink`."""
        try:
            if len(token) > LONGEST or not token.isascii():
                raise BadLink("is too long, or not of letters")
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            raise BadLink("is not base64") from None
        if raw[:1] != _VERSION or len(raw) <= 17:
            raise BadLink("is of another version")
        for cipher in self._ciphers:
            try:
                return msgspec.msgpack.decode(cipher.decrypt(raw[1:], [_VERSION]), type=Claim)
            except InvalidTag:
                continue
        raise BadLink("was not made with our keys")


def _key(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=64, person=b"yb-not-me").digest()
