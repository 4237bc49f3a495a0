"""A key: its text, which is shown once, and its record, which is kept and does not give it away.

    yb_admin_k3v9x2mq_<43 letters and digits, 256 random bits><6, a checksum>

The beginning lets scanners of source code and logs find a key that was left there; the checksum tells a key that was
cut off from one that nobody made, before anything is looked up.
"""

import base64
import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

ROLES = ("api", "admin")
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 8, 43, 6  # 62 ** 43 is over 2 ** 256, 62 ** 6 over 2 ** 32
_DIGITS = string.digits + string.ascii_letters
_FORM = re.compile(rf"(yb_(api|admin)_([a-z0-9]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{6}})")


@dataclass(frozen=True, slots=True)
class Given:
    """A key as somebody has it. Its text is a secret."""

    id: str
    role: str
    text: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key. Times are seconds since 1970; `expires` 0: never; `kinds` empty: every kind.

    `under` names the secret of the server that keyed the `hash`. The hash is over the record too: who can write where
    records are kept, and does not have that secret, can neither make a key nor give one more rights. Of a key that
    `signs` requests the hash is a random text: with it, the record and that secret its own secret is made again.
    """

    id: str
    role: str
    name: str
    kinds: tuple[str, ...] = ()
    made: int
    expires: int = 0
    under: str = ""
    hash: str = ""
    signs: bool = False

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return bool(self.expires) and now >= self.expires


class Secrets:
    """The server's secrets that key the hashes: the first makes them, each is tried."""

    def __init__(self, every: Sequence[bytes]) -> None:
        self._every = {hashlib.blake2b(one, digest_size=4, person=b"yb-keys-id").hexdigest(): one for one in every}
        self.first = next(iter(self._every))

    def __contains__(self, name: str) -> bool:
        return name in self._every

    def sign(self, record: Record, text: str) -> Record:
        """The record with the hash of its key under the first secret."""
        signed = msgspec.structs.replace(record, under=self.first)
        return msgspec.structs.replace(signed, hash=self._hash(signed, text))

    def fits(self, record: Record, text: str) -> bool:
        """Whether the text is this record's key; compared in constant time. False where its secret is not here."""
        if record.under not in self:
            return False
        return hmac.compare_digest(record.hash.encode(), self._hash(record, text).encode())

    def signer(self, record: Record) -> Record:
        """The record of a key that signs."""
        return msgspec.structs.replace(record, under=self.first, hash=secrets.token_hex(16), signs=True)

    def signing_key(self, record: Record) -> bytes:
        """What a key signs by: kept nowhere, and another one after any change of the record. Raises `KeyError` where
        its secret is not here."""
        return bytes.fromhex(self._hash(record, f"signing\0{record.hash}"))

    def mark(self, said: bytes) -> str:
        """A keyed hash of something else that only this server may have said."""
        return f"{self.first}:{self._mark(self.first, said)}"

    def marked(self, said: bytes, mark: str) -> bool:
        """Whether one of the secrets made that mark."""
        under, _, given = mark.partition(":")
        return under in self and hmac.compare_digest(self._mark(under, said).encode(), given.encode())

    def _mark(self, under: str, said: bytes) -> str:
        return hmac.digest(self._every[under], b"mark\0" + said, "sha256").hex()

    def _hash(self, record: Record, text: str) -> str:
        rights = [record.id, record.role, record.name, ",".join(record.kinds), str(record.expires)]
        said = "\0".join([*rights, text]).encode()
        return hmac.digest(self._every[record.under], said, "sha256").hex()


def make_key(role: str) -> Given:
    """A key that nobody can guess."""
    key_id = "".join(secrets.choice(string.digits + string.ascii_lowercase) for _ in range(ID_LENGTH))
    body = f"yb_{role}_{key_id}_" + "".join(secrets.choice(_DIGITS) for _ in range(SECRET_LENGTH))
    return Given(key_id, role, body + _check(body))


def issue_key(
    known: Secrets, role: str, name: str, kinds: Sequence[str], made: int, expires: int
) -> tuple[Given, Record]:
    """A key, and what is to be kept of it; without a name it is called by its id."""
    given = make_key(role)
    record = Record(id=given.id, role=role, name=name or given.id, kinds=tuple(kinds), made=made, expires=expires)
    return given, known.sign(record, given.text)


def issue_signer(
    known: Secrets, name: str, kinds: Sequence[str], made: int, expires: int
) -> tuple[str, Record]:  # fmt: skip
    """A secret that signs requests, as Standard Webhooks writes them, and what is to be kept of it."""
    key_id = make_key("api").id
    plain = Record(id=key_id, role="api", name=name or key_id, kinds=tuple(kinds), made=made, expires=expires)
    record = known.signer(plain)
    return f"whsec_{base64.b64encode(known.signing_key(record)).decode()}", record


def read_key(text: str) -> Given | None:
    """The key that a text is; None where it is none of ours, or not all of one."""
    found = _FORM.fullmatch(text)
    if not found or _check(found[1]) != found[4]:
        return None
    return Given(found[3], found[2], text)


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, rest = divmod(number, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits
