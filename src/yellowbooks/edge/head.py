"""What is wrong with a whole head that llhttp let pass. Pure."""

import re
from collections.abc import Sequence

from yellowbooks.edge.refusal import Refusal, malformed

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"})
ONCE = frozenset(
    {b"host", b"authorization", b"content-type", b"content-encoding", b"transfer-encoding", b"content-length"}
)
HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%\[\]:-]*")
ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


def head_fault(
    method: bytes, version: str, target: bytes, fields: Sequence[tuple[bytes, bytes]], most_body: int
) -> Refusal | None:
    """Why this head is refused, if it is. `fields` have lower-case names; `most_body` is in bytes."""
    if version not in ("1.1", "1.0"):
        return malformed(f"HTTP/{version} is not spoken here, HTTP/1.1 is", 505)
    if method not in METHODS:
        return malformed("this method is not known here; /schema lists them", 501)
    one: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in ONCE:
            if name in one:
                return malformed("a field that stands once in a request stands there twice")
            one[name] = value
    if target.startswith(b"/") and b"host" in one:
        host = one[b"host"]
    else:
        fault = _other_form(method, version, target, one.get(b"host"))
        if fault:
            return fault
        host = one.get(b"host", b"")
    if not HOST.fullmatch(host) or b"#" in target or b"%00" in target:
        return malformed("the field Host is wrong, or the target has a «#» or a NUL in it")
    return _framing_fault(version, one, most_body)


def _other_form(method: bytes, version: str, target: bytes, host: bytes | None) -> Refusal | None:
    """RFC 9112, section 3.2: Host must be there; a target may be absolute, and then names the same host, or «*»."""
    if host is None and version == "1.1":
        return malformed("the field Host is missing")
    if target.startswith(b"/"):
        return None
    if target == b"*":
        return None if method == b"OPTIONS" else malformed("the target «*» is for OPTIONS alone")
    absolute = ABSOLUTE.match(target)
    if not absolute:
        return malformed("the target does not begin with «/»")
    if host is not None and absolute[1].lower() != host.lower():
        return malformed("the field Host names another host than the target")
    return None if target[absolute.end() :].startswith(b"/") else malformed("the target has no path")


def _framing_fault(version: str, one: dict[bytes, bytes], most_body: int) -> Refusal | None:
    """RFC 9112, section 6.1: no other coding than chunked, and none in HTTP/1.0."""
    coding, length = one.get(b"transfer-encoding"), one.get(b"content-length", b"0").strip()
    if coding is not None and (version == "1.0" or coding.strip().lower() != b"chunked"):
        return malformed("of transfer codings only «chunked» is known here, and in HTTP/1.1", 501)
    if not length.isdigit() or len(length) > 20:
        return malformed("the field Content-Length is not a number")
    if int(length) > most_body:
        return Refusal("body_too_large", 413, "the body is over 1 MiB; send less")
    return None
