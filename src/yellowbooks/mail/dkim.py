"""Signs mails by DKIM (RFC 6376), relaxed/relaxed, with RSA (RFC 8301) or Ed25519 (RFC 8463), or with both at once.

The same mail has the same signatures on every attempt: both algorithms are deterministic, and `t=` is the mail's Date.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from yellowbooks.mail.message import Message

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

SIGNED = (
    "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted", "Reply-To",
)  # fmt: skip
# Named once more than they stand in a mail: a second one that somebody adds breaks the signature (RFC 6376, 8.15).
OVERSIGNED = ("From", "To", "Subject", "Date", "Reply-To")
RSA_BITS = range(2048, 4097)  # RFC 8301, section 3.2: 1,024 is too short, and a verifier need not take over 4,096
LINE_CHARACTERS = 72

_SELECTOR = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True, slots=True)
class Key:
    """A private key and the selector under which its public half is published; `sign` gives the signature of octets."""

    selector: str
    algorithm: Algorithm
    private: Any
    sign: Callable[[bytes], bytes]

    @classmethod
    def read(cls, selector: str, path: Path) -> "Key":
        """Read a key without a password from a PEM file. Raises `ValueError`, which says what to do next."""
        _check_selector(selector)
        algorithm, private = _load(path)
        return cls(selector, algorithm, private, _signing(private) if algorithm == "rsa-sha256" else _hashing(private))

    def record(self) -> str:
        """The TXT record to publish at `<selector>._domainkey.<domain>` (RFC 6376, section 3.6.1)."""
        name = self.algorithm.partition("-")[0]
        return f"v=DKIM1; k={name}; p={base64.b64encode(self.public()).decode()}"

    def public(self) -> bytes:
        """The public half as `p=` holds it: RSA as SubjectPublicKeyInfo, Ed25519 bare (RFC 8463, section 4)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if self.algorithm == "rsa-sha256":
            return bytes(self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        return bytes(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def _check_selector(selector: str) -> None:
    if not _SELECTOR.fullmatch(selector):
        raise ValueError(f"«{selector}» is no selector; use letters, digits and hyphens, for example mail2026")


def _load(path: Path) -> tuple[Algorithm, Any]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    make_one = "make one with `yellowbooks mail dkim-key`"
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); correct the path, or {make_one}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} holds no private key in PEM without a password; {make_one}") from None
    if isinstance(private, Ed25519PrivateKey):
        return "ed25519-sha256", private
    if not isinstance(private, RSAPrivateKey):
        raise ValueError(f"{path} holds a key that is neither RSA nor Ed25519; {make_one}")
    if private.key_size not in RSA_BITS:
        raise ValueError(f"{path} holds an RSA key of {private.key_size} bits, not 2,048 to 4,096; {make_one}")
    return "rsa-sha256", private


def _signing(private: Any) -> Callable[[bytes], bytes]:
    """RSA signs the octets, by way of their SHA-256 (RFC 6376, section 3.3.3)."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda data: bytes(private.sign(data, padding, algorithm))


def _hashing(private: Any) -> Callable[[bytes], bytes]:
    """Ed25519 signs the SHA-256 of the octets as if it were the text (RFC 8463, section 3)."""
    return lambda data: bytes(private.sign(hashlib.sha256(data).digest()))


def make_key(selector: str, path: Path, name: Literal["rsa", "ed25519"]) -> Key:
    """Make a key in a new file that only its owner can read. Raises `ValueError`, also where the file is there."""
    _check_selector(selector)
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private: Any = rsa.generate_private_key(65_537, 2048) if name == "rsa" else ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    except FileExistsError:
        raise ValueError(f"{path} is there already, and a key that signs is not overwritten; choose another") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be written ({error.strerror}); choose another") from None
    return Key.read(selector, path)


class Signer:
    """Signs the mails of `domain` with each of `keys`, as a verifier may know only one of the algorithms."""

    def __init__(self, domain: str, keys: Sequence[Key]) -> None:
        self.domain = domain.lower()
        self.keys = tuple(keys)

    def sign(self, message: Message) -> Message:
        """The same mail with a DKIM-Signature a key at its head; `signatures` says how many, for the last gate."""
        if not self.keys:
            return message
        head, _, body = message.data.partition(b"\r\n\r\n")
        fields = [line.partition(b":") for line in _FOLD.sub(b"", head).split(b"\r\n")]
        places, names = _chosen(tuple(name.lower() for name, _, _ in fields))
        covered = b"".join([relaxed_header(fields[place][0], fields[place][2]) + b"\r\n" for place in places])
        date = next(value for name, _, value in fields if name == b"Date").decode()
        body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        at = int(parsedate_to_datetime(date).timestamp())
        headers = [self._signature(key, covered, names, body_hash, at) for key in self.keys]
        data = b"".join([*headers, message.data])
        return msgspec.structs.replace(message, data=data, signatures=len(headers))

    def _signature(self, key: Key, covered: bytes, names: str, body_hash: str, at: int) -> bytes:
        head = (
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={key.selector}; t={at};\r\n h={names};\r\n bh={body_hash};\r\n b="
        ).encode()
        name, _, value = head.partition(b":")
        signature = base64.b64encode(key.sign(covered + relaxed_header(name, _FOLD.sub(b"", value)))).decode()
        lines = [signature[n : n + LINE_CHARACTERS] for n in range(0, len(signature), LINE_CHARACTERS)]
        return head + "\r\n ".join(lines).encode() + b"\r\n"


@lru_cache(maxsize=16)
def _chosen(there: tuple[bytes, ...]) -> tuple[tuple[int, ...], str]:
    """Which headers are hashed, in order, and the names for `h=`; one that is not there is named all the same."""
    places: list[int] = []
    names: list[str] = []
    for name in SIGNED:
        # From the last one up (RFC 6376, section 5.4.2).
        found = [place for place, known in enumerate(there) if known == name.lower().encode()][::-1]
        places += found
        names += [name] * max(len(found), 1)
    names += OVERSIGNED
    half = len(names) // 2
    return tuple(places), ":".join(names[:half]) + ":\r\n " + ":".join(names[half:])


def relaxed_header(name: bytes, value: bytes) -> bytes:
    """One unfolded header without its line's end (RFC 6376, section 3.4.2)."""
    return name.lower() + b":" + _single_spaced(value).strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """A body whose lines end in CRLF (RFC 6376, section 3.4.4)."""
    body = _single_spaced(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _single_spaced(text: bytes) -> bytes:
    """Each run of spaces and tabs as one space: a few searches, a twentieth of the time of a pattern."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text
