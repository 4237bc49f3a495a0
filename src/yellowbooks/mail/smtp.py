"""Sends by SMTP: sessions that are kept and used again, and one mail at a time in each (RFC 5321)."""

import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from yellowbooks.mail.message import Message, check
from yellowbooks.mail.reply import Reply, read, redact

IDLE_SECONDS = 20.0  # a session unused for longer is closed rather than trusted
MAILS_PER_SESSION = 100
SESSIONS_KEPT = 20
DOT_SECONDS = 600.0  # RFC 5321, section 4.5.3.2.6: a shorter wait makes second copies
LOOPBACK = ("127.0.0.1", "::1", "localhost")

StartTls = Literal["required", "auto", "never"]
Commit = Callable[[], Awaitable[None]]


class Refused(Exception):
    """The server refused the mail; `reply` has its words."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"the SMTP server said {reply}")
        self.reply = reply


class Unreachable(Exception):
    """No server took the mail as far as its text; it was not sent."""


class DeliveryUncertain(Exception):
    """The connection was lost between the mail's text and the server's answer: nobody knows (RFC 1047)."""


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

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Read `smtp://[user:password@]host[:587]` or `smtps://…[:465]`; `?starttls=required|auto|never`, `&cafile=`.

        STARTTLS is required unless the host is this machine and no password is sent. Raises `ValueError`.
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
        return cls(
            host, port or (465 if implicit else 587), unquote(parts.username or ""), unquote(parts.password or ""),
            implicit, starttls, options.get("cafile"),  # type: ignore[arg-type]  # one of the three, by the lines above
        )  # fmt: skip


_OPTIONS = {"starttls", "cafile"}


@dataclass(slots=True)
class _Session:
    client: aiosmtplib.SMTP
    mails: int = 0
    used: float = 0.0


class SmtpMailer:
    """Sends mails through the first of `servers` that answers.

    `helo` names us to the server; `timeout` is seconds for each command, `dot_timeout` for the answer to a mail.
    """

    def __init__(
        self, servers: Sequence[SmtpServer], helo: str, timeout: float, dot_timeout: float = DOT_SECONDS
    ) -> None:
        self._servers = servers
        self._helo = helo
        self._timeout = timeout
        self._dot_timeout = dot_timeout
        self._idle: list[_Session] = []
        self._contexts: dict[SmtpServer, ssl.SSLContext] = {}  # one takes milliseconds to make

    async def send(self, message: Message, commit: Commit) -> str:
        """Send one mail; gives the server's words. `commit` is called just before the mail's text may go.

        Raises `Refused`, `Unreachable`, `DeliveryUncertain`, `MessageRefused`, and what `commit` raises.
        """
        check(message.data, message.signatures)
        session = await self._addressed(message)
        try:
            await commit()
            reply = await self._text(session, message)
        except BaseException:
            session.client.close()
            raise
        if reply.verdict != "done":
            session.client.close()
            raise Refused(reply)
        session.mails += 1
        session.used = time.monotonic()
        if session.mails < MAILS_PER_SESSION and len(self._idle) < SESSIONS_KEPT:
            self._idle.append(session)
        else:
            session.client.close()
        return str(reply)

    async def aclose(self) -> None:
        """Close the sessions that are kept."""
        while self._idle:
            session = self._idle.pop()
            try:
                await session.client.quit(timeout=1)
            except (aiosmtplib.SMTPException, OSError):
                session.client.close()

    async def _addressed(self, message: Message) -> _Session:
        """A session that has accepted sender and recipient; one that turns out dead is replaced by a new one."""
        while session := self._kept():
            try:
                return await self._envelope(session, message)
            except Unreachable:
                continue
        return await self._envelope(await self._connect(), message)

    def _kept(self) -> _Session | None:
        while self._idle:
            session = self._idle.pop()
            if session.client.is_connected and time.monotonic() - session.used < IDLE_SECONDS:
                return session
            session.client.close()
        return None

    async def _envelope(self, session: _Session, message: Message) -> _Session:
        try:
            await session.client.mail(message.sender, timeout=self._timeout)
            await session.client.rcpt(message.recipient, timeout=self._timeout)
        except aiosmtplib.SMTPResponseException as error:
            session.client.close()
            if error.code == 421:
                raise Unreachable(f"the SMTP server closes: {redact(error.message)}") from None
            raise Refused(read(error.code, error.message)) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            session.client.close()
            raise Unreachable(f"the SMTP server was lost before the mail ({type(error).__name__})") from None
        except BaseException:
            session.client.close()
            raise
        return session

    async def _text(self, session: _Session, message: Message) -> Reply:
        try:
            answer = await session.client.data(message.data, timeout=self._dot_timeout)
        except aiosmtplib.SMTPResponseException as error:
            if error.code < 0:
                raise DeliveryUncertain("the SMTP server was lost after the mail's text; it may have it") from None
            return read(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError):
            raise DeliveryUncertain("the SMTP server was lost after the mail's text; it may have it") from None
        return read(answer.code, answer.message)

    async def _connect(self) -> _Session:
        troubles = []
        for server in self._servers:
            client: aiosmtplib.SMTP | None = None
            try:
                client = self._client(server)
                await client.connect()
                if server.username:
                    await client.login(server.username, server.password, timeout=self._timeout)
            except (aiosmtplib.SMTPException, OSError) as error:
                _close(client)
                troubles.append(f"{server.host}:{server.port}: {_trouble(error)}")
                continue
            except BaseException:
                _close(client)
                raise
            return _Session(client)
        raise Unreachable(f"no SMTP server can be used ({'; '.join(troubles)}); see YB_SMTP_URL")

    def _client(self, server: SmtpServer) -> aiosmtplib.SMTP:
        starttls = {"required": True, "auto": None, "never": False}[server.starttls]
        context = self._contexts.get(server)
        if context is None:
            context = self._contexts[server] = ssl.create_default_context(cafile=server.cafile)
        return aiosmtplib.SMTP(
            hostname=server.host, port=server.port, use_tls=server.implicit_tls,
            start_tls=False if server.implicit_tls else starttls, tls_context=context, timeout=self._timeout,
            local_hostname=self._helo,
        )  # fmt: skip


def _close(client: aiosmtplib.SMTP | None) -> None:
    if client:
        client.close()


def _trouble(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {redact(error.message)}"
    hint = "; for a server without TLS add ?starttls=never" if "STARTTLS" in str(error) else ""
    return redact(f"{type(error).__name__} {error}") + hint
