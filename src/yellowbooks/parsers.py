"""What the text of a setting may be: each parser gives a value, or raises `ValueError` with what is wrong."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit


def integer(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(text)

    return parse


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> float:
    """Seconds, from a number with a unit."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", text)
    if not match:
        raise ValueError("is not a number with a unit of s, m, h or d")
    return float(match[1]) * _UNITS[match[2]]


def rate(text: str) -> tuple[int, float]:
    """So many in so many seconds."""
    match = re.fullmatch(r"([1-9]\d{0,4})/(second|minute|hour|day)", text)
    if not match:
        raise ValueError("is not a number of jobs and «/second», «/minute», «/hour» or «/day»")
    return int(match[1]), float(_UNITS[match[2][0]])


def retry(text: str) -> tuple[int, float]:
    """Attempts, and the first wait in seconds."""
    match = re.fullmatch(r"attempts=([1-9]\d?),base=(\d{1,4}(?:\.\d{1,3})?)s", text)
    if not match:
        raise ValueError("is not «attempts=» from 1 to 99, a comma and «base=» in seconds")
    return int(match[1]), float(match[2])


def url(*schemes: str) -> Callable[[str], str]:
    """A URL of one of these schemes."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
            raise ValueError(f"is not a URL that begins with {', '.join(s + '://' for s in schemes)}")
        return text

    return parse


def site(text: str) -> str:
    """The address of a web site: https, or http on this machine; nothing behind the host."""
    parts = urlsplit(text)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "https" or local) or not parts.hostname or "@" in parts.netloc or parts.path.strip("/"):
        raise ValueError("is not «https://» and a host alone")
    return text.rstrip("/")


def endpoint(text: str) -> str:
    """An address that is sent to: http or https, a host, no name and password."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("is not a URL that begins with https:// or http://, without a name and password")
    return text


def servers(text: str) -> tuple[str, ...]:
    """SMTP servers, the first is tried first."""
    one = url("smtp", "smtps")
    return tuple(one(part.strip()) for part in text.split(",") if part.strip())


def keys(text: str) -> tuple[str, ...]:
    """Keys of 16 characters or more."""
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    if any(len(key) < 16 for key in keys):
        raise ValueError("holds a key of fewer than 16 characters")
    return keys


def sealing_keys(text: str) -> tuple[str, ...]:
    """Keys that seal payloads."""
    found = keys(text)
    if any(len(key) < 32 for key in found):
        raise ValueError("holds a key of fewer than 32 characters")
    return found


def secret(text: str) -> str:
    """One secret of 16 characters or more."""
    if len(text) < 16:
        raise ValueError("has fewer than 16 characters")
    return text


def modules(text: str) -> tuple[str, ...]:
    """Names of Python modules."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) for name in names):
        raise ValueError("is not a list of Python modules")
    return names


def signing_keys(text: str) -> tuple[tuple[str, Path], ...]:
    """Selectors and the files of their keys."""
    pairs = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    if not all(selector and path for selector, _, path in pairs):
        raise ValueError("is not «selector:path of a key», comma-separated where there are several")
    return tuple((selector.strip(), folder(path.strip())) for selector, _, path in pairs)


def source_secrets(text: str) -> tuple[tuple[str, str], ...]:
    """Sources of webhooks and their secrets."""
    # A secret of Supabase has a comma in it («v1,whsec_…»): a new pair begins only at a comma that a name follows.
    pairs = [part.strip().partition(":") for part in re.split(r",(?=\s*[a-z][a-z0-9-]*:)", text) if part.strip()]
    if not all(re.fullmatch(r"[a-z][a-z0-9-]*", name) and secret for name, _, secret in pairs):
        raise ValueError("is not «source:secret», comma-separated where there are several")
    return tuple((name, secret) for name, _, secret in pairs)


_ALERTS = ("dead>N", "failures>P%", "processing>Ns", "depth>N", "oldest>Ns", "workers<N", "away>Ns", "log>Ns")
_NUMBERS = {"N": r"(\d{1,9})", "P": r"(\d{1,2}(?:\.\d)?)"}


def alerts(text: str) -> tuple[tuple[str, float], ...]:
    """Conditions and their bounds."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        forms = (re.fullmatch(re.sub("[NP]", lambda one: _NUMBERS[one[0]], form), part) for form in _ALERTS)
        match = next((one for one in forms if one), None)
        if not match:
            raise ValueError(f"has «{part}», which is none of {', '.join(_ALERTS)}")
        found.append((re.split("[<>]", part)[0], float(match[1]) / (100 if part.endswith("%") else 1)))
    return tuple(found)


def word(*words: str) -> Callable[[str], str]:
    """One of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text

    return parse


def printable(text: str) -> str:
    """Any text that can be printed."""
    if not text or not text.isprintable():
        raise ValueError("is empty or holds a control character")
    return text


def folder(text: str) -> Path:
    """A path, made absolute."""
    try:
        return Path(printable(text)).expanduser().absolute()
    except RuntimeError:
        raise ValueError("begins with «~» and the name of a user who is not known here") from None
