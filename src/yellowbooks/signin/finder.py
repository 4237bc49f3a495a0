"""What a sign-in's job is found by, as keyed hashes, and what of it anybody may see."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from yellowbooks.jobs import KEY_LENGTH
from yellowbooks.mail import name_in, name_of
from yellowbooks.signin.event import reached, shown_address
from yellowbooks.signin.letter import mask

USER, EMAIL, MESSAGE = "userId", "email", "messageId"
SHOWN = frozenset({"provider", "locale", "timeZone", "timestamp", "window", "due"})  # says nothing of a person
HIDDEN = "•••"


class About(Protocol):
    """What is known of whom a mail is about: a sign-in, or the summary of some."""

    user_id: str
    email: str


class SignInFinder:
    """Finds by user, address and Message-ID. `secret` gives the key of the hashes at the first need, and b"" where
    there is none: then nothing is hashed and nothing found; `mail_secret` is that of the Message-IDs."""

    def __init__(self, secret: Callable[[], bytes], mail_secret: bytes) -> None:
        self._find_secret = secret
        self._mail_secret = mail_secret
        self._secret: bytes | None = None

    def keys(self, job_id: str, payload: About) -> Sequence[str]:
        """Of the user, first; of the address in the form in which it gets the mail; of the mail's id."""
        secret = self._key()
        if not secret:
            return ()
        return (
            _key_of(USER, payload.user_id, secret),
            _key_of(EMAIL, reached(payload.email), secret),
            _key_of(MESSAGE, name_of(job_id, self._mail_secret), secret),
        )

    def keys_of(self, user_id: str | None, address: str | None) -> Sequence[str]:
        """The keys of a user and of an address, for who knows which is which."""
        secret = self._key()
        named = ((USER, user_id), (EMAIL, None if address is None else reached(address)))
        return [_key_of(word, value, secret) for word, value in named if value is not None and secret]

    def sought(self, text: str) -> Sequence[tuple[str, str]]:
        """A Message-ID of ours is nothing else; what has an @ may be an address; all may be a user's id."""
        secret, text = self._key(), text.strip()
        if not secret:
            return ()
        if name := name_in(text):
            return ((MESSAGE, _key_of(MESSAGE, name, secret)),)
        found = [(USER, _key_of(USER, text, secret))]
        if "@" in text:
            found.insert(0, (EMAIL, _key_of(EMAIL, reached(text), secret)))
        return found

    def masked(self, payload: About) -> Mapping[str, Any]:
        """The address keeps a letter and its domain, the user's id two; whatever else is personal keeps nothing."""
        seen: dict[str, Any] = msgspec.to_builtins(payload)
        for name in seen.keys() - SHOWN - {"jobId"}:
            seen[name] = HIDDEN
        return seen | {"email": mask(shown_address(payload.email)), "userId": mask_id(payload.user_id)}

    def _key(self) -> bytes:
        if self._secret is None:
            self._secret = self._find_secret()
        return self._secret


def mask_id(user_id: str) -> str:
    """The first two characters and three stars; of a short id nothing. One that is an address is masked as one."""
    if "@" in user_id:
        return mask(user_id)
    return f"{user_id[:2] if len(user_id) > 4 else ''}***"


def _key_of(word: str, value: str, secret: bytes) -> str:
    digest = hashlib.blake2b(f"{word}\0{value}".encode(), key=secret[:64], digest_size=KEY_LENGTH * 3 // 4).digest()
    return base64.urlsafe_b64encode(digest).decode()
