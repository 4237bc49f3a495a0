"""Text in quoted-printable, and texts that are encoded once and filled in many times (RFC 2045, section 6.7).

Any encoded line may end with a soft break, so a value that stands in lines of its own fits between two pieces that were
encoded before, whatever its length. Base64 has no such seam: it would be encoded anew for each mail.
"""

import html
import re
from binascii import a2b_qp, b2a_qp
from collections.abc import Mapping, Sequence
from functools import lru_cache

_SOFT = b"=\r\n"
LINE_OCTETS = 76  # RFC 2045, section 6.7, rule 5
_BARE = re.compile(rb"(?<!\r)\n")
_DOTS = re.compile(rb"^\.+", re.MULTILINE)


class Quoted(bytes):
    """A text as it stands in a mail: ASCII, CRLF alone, no line over 76 octets or that begins with a dot.

    So neither the last gate nor SMTP, which doubles such dots (RFC 5321, section 4.5.2), need look through it again.
    """

    __slots__ = ()

    def plain(self) -> str:
        """The text that it stands for, with `\\n`."""
        return a2b_qp(self).decode().replace("\r\n", "\n")


def quoted(text: str) -> Quoted:
    """Encode a whole text. Raises `UnicodeEncodeError` where a half of a character stands alone."""
    return Quoted(_encode(_crlf(text)))


class Skeleton:
    """A text with gaps: `pieces` are the constant texts before, between and after the values of `names`.

    In a skeleton of HTML the values are escaped as they are filled in.
    """

    def __init__(self, pieces: Sequence[str], names: Sequence[str], *, is_html: bool) -> None:
        self._is_html = is_html
        self._parts: list[bytes] = []
        self._gaps: list[tuple[int, str]] = []
        behind_gap, line_begins = False, True
        for piece, name in zip(pieces, (*names, ""), strict=True):
            if text := _crlf(piece):
                if behind_gap and not text.startswith("\r\n"):
                    self._parts.append(_SOFT)
                self._parts.append(_room(_encode(text)))
                behind_gap, line_begins = False, text.endswith("\r\n")
            if name:
                if behind_gap or not line_begins:
                    self._parts.append(_SOFT)
                self._gaps.append((len(self._parts), name))
                self._parts.append(b"")
                behind_gap = True

    def fill(self, values: Mapping[str, str]) -> Quoted:
        """The whole text. Raises `KeyError` for a value that is missing."""
        parts = self._parts.copy()
        for place, name in self._gaps:
            parts[place] = _value(values[name], self._is_html)
        return Quoted(b"".join(parts))


@lru_cache(maxsize=4096)  # providers, browsers and minutes are the same in many mails
def _value(text: str, is_html: bool) -> bytes:
    return _room(_encode(html.escape(text) if is_html else text))


def _crlf(text: str) -> str:
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


def _room(encoded: bytes) -> bytes:
    """With a last line that has room for the `=` of a soft break."""
    if len(encoded) - (encoded.rfind(b"\n") + 1) < LINE_OCTETS:
        return encoded
    last = 3 if encoded[-3:-2] == b"=" else 1  # a character, or an octet in hexadecimal
    return encoded[:-last] + _SOFT + encoded[-last:]


def _encode(text: str) -> bytes:
    octets = b2a_qp(text.encode())
    if b"\n" in octets:
        octets = _BARE.sub(b"\r\n", octets)
    if octets[:1] == b"." or b"\n." in octets:
        # A line of its own for each, as three octets for one may be more than the line has room for.
        octets = _DOTS.sub(lambda dots: (b"=2E" + _SOFT) * len(dots[0]), octets)
    return octets
