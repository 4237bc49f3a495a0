"""Seals payloads with AES-256-GCM (NIST SP 800-38D); the first key seals, all open."""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from yellowbooks.jobs import BrokenSeal, UnknownKey

KEY_ID = 4  # bytes of a sealed payload that name its key
NONCE = 12  # bytes, random: one key may seal four thousand million payloads (SP 800-38D, section 8.3)


class Keyring:
    """Keys of YB_SECRET_KEYS, each a secret of at least 32 random characters.

    A sealed payload is the key's id, the nonce, and the text with its tag: 32 bytes more than it was.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {derive(key, b"yb key id", KEY_ID): AESGCM(derive(key, b"yb payload", 32)) for key in keys}
        self._first = next(iter(self._keys))
        self.secret = derive(keys[0], b"yb hashes", 32)

    def close(self, plain: bytes, about: bytes) -> bytes:
        """The payload as nobody without the first key can read it."""
        nonce = os.urandom(NONCE)
        return self._first + nonce + self._keys[self._first].encrypt(nonce, plain, about)

    def open(self, closed: bytes, about: bytes) -> bytes:
        """The payload. Raises `UnknownKey` and `BrokenSeal`."""
        key = self._keys.get(closed[:KEY_ID])
        if key is None:
            raise UnknownKey(closed[:KEY_ID].hex())
        try:
            return key.decrypt(closed[KEY_ID : KEY_ID + NONCE], closed[KEY_ID + NONCE :], about)
        except (InvalidTag, ValueError):
            raise BrokenSeal from None

    def is_current(self, closed: bytes) -> bool:
        """Whether the first key sealed it."""
        return closed.startswith(self._first)


def derive(key: str, purpose: bytes, size: int) -> bytes:
    """A key for one purpose; what is given is random already, so that one keyed hash is enough (NIST SP 800-108)."""
    return hashlib.blake2b(purpose, key=hashlib.sha512(key.encode()).digest(), digest_size=size).digest()
