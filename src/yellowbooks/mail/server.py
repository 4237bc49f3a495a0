"""One SMTP server: how it is written, and how long it may take."""

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")

StartTls = Literal["required", "auto", "never"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """One server and how to speak to it."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    implicit_tls: bool = False
    starttls: StartTls = "auto"
    cafile: str | None = None
    helo: str | None = None

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Read `smtp://[user:password@]host[:587]` or `smtps://…[:465]`.

        Options: `?starttls=required|auto|never`, `&cafile=` (our own authorities), `&helo=` (the full domain name by
        which this server is to know us). STARTTLS is required unless the host is this machine and no password is
        sent. Raises `ValueError`.
        """
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or options.keys() - _OPTIONS:
            raise ValueError("an SMTP server is written smtp://user:password@host:587 or smtps://host:465")
        implicit = parts.scheme == "smtps"
        default = "auto" if host in LOOPBACK and not parts.password else "required"
        starttls = options.get("starttls", default)
        if starttls not in ("required", "auto", "never"):
            raise ValueError("starttls is one of required, auto and never, as in smtp://host:587?starttls=required")
        helo = options.get("helo")
        if helo is not None and not _DOMAIN.fullmatch(helo):
            raise ValueError("helo is a full domain name, as in smtp://host:587?helo=mail.example.com")
        return cls(
            host, port or (465 if implicit else 587), unquote(parts.username or ""), unquote(parts.password or ""),
            implicit, starttls, options.get("cafile"), helo,  # type: ignore[arg-type]  # one of the three, by the lines above
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


_OPTIONS = {"starttls", "cafile", "helo"}
_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")


@dataclass(frozen=True, slots=True)
class Times:
    """How many seconds a server may take (RFC 5321, section 4.5.3.2); `connect` is ours, for TCP and the look-up.

    `dot` below 600 would make second copies of mails that a slow server has taken.
    """

    connect: float = 30.0
    greeting: float = 300.0
    command: float = 300.0
    data: float = 120.0
    block: float = 180.0
    dot: float = 600.0
