"""What stands between a payload and the queue's server: a seal that only the holders of a key can open."""

from typing import Protocol

MARK = b"\0\0"  # opens a sealed payload; no payload's own mark is the same, see `Stored`


class UnknownKey(LookupError):
    """Sealed with a key that is not here; another process may have it."""


class Broken(ValueError):
    """No key of ours sealed this, or it was changed since."""


class Seal(Protocol):
    """Closes and opens payloads. `about` is what a payload belongs to, and opens with that alone.

    `secret` keys the hashes by which users and requests are told apart, at most 64 bytes.
    """

    secret: bytes

    def close(self, plain: bytes, about: bytes) -> bytes:
        """The payload as nobody can read it."""
        ...

    def open(self, closed: bytes, about: bytes) -> bytes:
        """The payload. Raises `UnknownKey` and `Broken`."""
        ...

    def is_current(self, closed: bytes) -> bool:
        """Whether it was closed with the key that closes now."""
        ...
