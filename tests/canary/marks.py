"""Marked people and marked keys, and every form in which a mark may stand somewhere."""

import base64
import json
import quopri
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

LATIN, CYRILLIC, KEY = "qzxwvkjq", "щъюэфцщъ", "kqzvjxwk"
"""What every mark of a person, and of a key, holds: eight letters that nothing else has."""
NET4, NET6 = "198.18.", "2001:db8:cafe:"
LETTERS = "bdfghlmnprst"


@dataclass(frozen=True)
class Marked:
    """One person, all of whose data is marked."""

    number: int
    user_id: str
    email: str
    name: str
    ip_address: str
    user_agent: str

    def event(self, **more: Any) -> dict[str, Any]:
        """A sign-in of his, as an application sends it."""
        return {
            "userId": self.user_id, "email": self.email, "name": self.name, "ipAddress": self.ip_address,
            "userAgent": self.user_agent, "provider": "github",
        } | more  # fmt: skip


def marked(number: int, dice: random.Random) -> Marked:
    """A person; every third has an address in an international domain, every second an IPv6 address."""
    tail = "".join(dice.choice(LETTERS) for _ in range(6))
    domain = "жишээ.com" if number % 3 == 2 else "example.com"  # operators see it beside a masked name (P1)
    return Marked(
        number=number,
        user_id=f"u-{LATIN}{tail}",
        email=f"{LATIN}.{tail}@{domain}",
        name=f"{CYRILLIC.title()} {LATIN.title()}{tail}",
        ip_address=f"{NET6}{number:x}::{number + 1:x}" if number % 2 else f"{NET4}{number // 250}.{number % 250 + 1}",
        user_agent=f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/143.0.0.0 {LATIN}{tail}/1.0",
    )


def key(name: str) -> str:
    """A marked key, long enough for whatever it is for."""
    return f"{KEY}-{name}-0123456789abcdefghijklmnopqrstuvwxyz"


def _base64(data: bytes) -> set[bytes]:
    """What base64 makes of the bytes wherever they stand in a text: the characters that hang on them alone."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data).rstrip(b"=")
        found.add(encoded[-(-8 * shift // 6) : (shift + len(data)) * 8 // 6])
    return found | {one.replace(b"+", b"-").replace(b"/", b"_") for one in found}


def _forms() -> dict[str, set[bytes]]:
    forms: dict[str, set[bytes]] = {}
    for name, text in (("latin", LATIN), ("cyrillic", CYRILLIC), ("key", KEY), ("IPv4", NET4), ("IPv6", NET6)):
        for spelled in {text, text.upper(), text.title()}:
            plain = spelled.encode()
            for form, data in {
                "plain": {plain}, "base64": _base64(plain), "hex": {plain.hex().encode()},
                "UTF-16": {spelled.encode("utf-16-le"), spelled.encode("utf-16-be")},
                "percent": {quote(spelled, safe="").encode(), quote(spelled, safe="").lower().encode()},
                "quoted-printable": {quopri.encodestring(plain)}, "JSON": {json.dumps(spelled)[1:-1].encode()},
                "Latin-1 of UTF-8": {plain.decode("latin-1").encode()},
            }.items():  # fmt: skip
                known = {one for some in forms.values() for one in some}
                forms.setdefault(f"{name}, {form}", set()).update(one for one in data - known if len(one) >= 6)
    forms["IPv6, whole"] = {b"2001:0db8:cafe", b"20010db8cafe"}
    return {form: spellings for form, spellings in forms.items() if spellings}


FORMS = _forms()


def hits(data: bytes, secret: str = "") -> Counter[str]:
    """In which forms marks stand in some bytes, and how often; and a secret that bears no mark."""
    found: Counter[str] = Counter()
    if b"=\n" in data or b"=\r\n" in data:  # lines that quoted-printable broke
        data += data.replace(b"=\r\n", b"").replace(b"=\n", b"")
    more = {"issued key, plain": {secret.encode()}, "issued key, base64": _base64(secret.encode())} if secret else {}
    for form, spellings in (FORMS | more).items():
        for one in spellings:
            if one in data:
                found[form] += data.count(one)
    return found
