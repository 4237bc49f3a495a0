"""One SMTP server: how it is written, how long it may take, and how a session with it is set up."""

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from yellowbooks.mail.reply import Phase, read, redact
from yellowbooks.mail.session import Session

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MOST_ADDRESSES = 4  # of one server's, tried one after another

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


class SetUpFailed(Exception):
    """No session with this server; `word` says how in one word or a reply's code, `phase` when.

    `ours` says that the login was refused or cannot be made: another try would end alike. `busy` says that the server
    asked for another try (4xx).
    """

    def __init__(self, why: str, phase: Phase, word: str, *, ours: bool = False, busy: bool = False) -> None:
        super().__init__(why)
        self.phase, self.word, self.ours, self.busy = phase, word, ours, busy


async def set_up(server: SmtpServer, helo: str, context: ssl.SSLContext, times: Times) -> Session:
    """Connect, greet, begin TLS and log in. Raises `SetUpFailed`.

    The library does the set-up, as it is where TLS and logins are easily made wrong, and hands its transport over.
    """
    phase: Phase = "connect"
    connection = await _connect(server, times)
    client = _client(server, helo, context, connection, times)
    try:
        await client.connect(timeout=times.greeting)
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        phase = "login"
        if server.username:
            await client.login(server.username, server.password)
        return Session.over(client, server.host, times.command, times.data, times.block + times.dot)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        _drop(client)
        raise _failed(error, phase) from None
    except BaseException:
        _drop(client)
        raise
    finally:
        if client.transport is None:
            connection.close()


async def _connect(server: SmtpServer, times: Times) -> socket.socket:
    """A connected socket to the first of the server's addresses that answers."""
    loop = asyncio.get_running_loop()
    why, word = "no address was found", "dns"
    try:
        async with asyncio.timeout(times.connect):
            found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found[:MOST_ADDRESSES]:
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(times.connect):
                    await loop.sock_connect(connection, address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
            except BaseException as error:
                connection.close()
                if not isinstance(error, OSError):
                    raise
                why, word = _trouble(error), "timeout" if isinstance(error, TimeoutError) else "refused"
    except socket.gaierror as error:
        why = f"the name was not found ({error.strerror})"
    except TimeoutError:
        why = "the look-up of the name took too long"
    raise SetUpFailed(why, "connect", word)


def _client(
    server: SmtpServer, helo: str, context: ssl.SSLContext, connection: socket.socket, times: Times
) -> aiosmtplib.SMTP:
    starttls = {"required": True, "auto": None, "never": False}[server.starttls]
    return aiosmtplib.SMTP(
        hostname=server.host, sock=connection, use_tls=server.implicit_tls, timeout=times.command,
        start_tls=False if server.implicit_tls else starttls, tls_context=context,
        local_hostname=server.helo or helo,
    )  # fmt: skip


def _drop(client: aiosmtplib.SMTP) -> None:
    """At once: nobody waits for the other side's end of TLS."""
    if client.transport:
        cast(asyncio.WriteTransport, client.transport).abort()
    client.close()


def _failed(error: Exception, phase: Phase) -> SetUpFailed:
    why = _trouble(error)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if error.code not in range(400, 600):
            return SetUpFailed(why, phase, "protocol")
        reply = read(error.code, error.message, phase)
        return SetUpFailed(why, phase, str(error.code), ours=reply.verdict == "config", busy=error.code // 100 == 4)
    if isinstance(error, TimeoutError):
        return SetUpFailed(why, phase, "timeout")
    if isinstance(error, ssl.SSLError):
        return SetUpFailed(why, phase, "tls")
    if isinstance(error, OSError):
        return SetUpFailed(why, phase, "tls" if "CERTIFICATE" in why or "SSL" in why else "lost")
    # What the server does not offer (STARTTLS, AUTH) and we must have: every session would end so.
    return SetUpFailed(why, phase, "unsupported", ours=True)


def _trouble(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {redact(error.message)}"
    hint = "; for a server without TLS add ?starttls=never" if "STARTTLS" in str(error) else ""
    return redact(f"{type(error).__name__} {error}".strip()) + hint
