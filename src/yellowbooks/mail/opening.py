"""How a session with a server is set up: look-up, TCP, greeting, EHLO, STARTTLS, login (RFC 5321, 3207, 4954)."""

import asyncio
import base64
import hmac
import socket
import ssl

from yellowbooks.mail.reply import Phase, read, redact
from yellowbooks.mail.server import SmtpServer, Times
from yellowbooks.mail.session import Lost, Session

MOST_ADDRESSES = 4  # of one server's, tried one after another
NO_EHLO = (500, 502, 504)  # of a server that knows HELO alone (RFC 5321, section 3.2)


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

    Every reply of it is held to the rules of `Session`: none before its command, and bounded in size and in time.
    """
    session = await _open(server, context, times)
    try:
        code, text = await session.greeted(times.greeting)
        if code // 100 != 2:
            raise _refused(code, text, "connect")
        offers = await _hello(session, server.helo or helo)
        if not server.implicit_tls and server.starttls != "never":
            offers = await _secure(session, server, helo, context, times, offers)
        if server.username:
            await _log_in(session, server, offers)
    except BaseException as error:
        session.abort()
        if isinstance(error, Lost):
            raise SetUpFailed(str(error), error.phase, error.word) from None
        raise
    session.pipelining = "PIPELINING" in offers
    return session


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


async def _open(server: SmtpServer, context: ssl.SSLContext, times: Times) -> Session:
    """A connection, in TLS where the server's port begins with it."""
    connection = await _connect(server, times)
    session = Session(server.host, (times.command, times.data, times.block + times.dot))
    loop = asyncio.get_running_loop()
    try:
        if server.implicit_tls:
            await loop.create_connection(
                lambda: session, sock=connection, ssl=context, server_hostname=server.host,
                ssl_handshake_timeout=times.command,
            )  # fmt: skip
        else:
            await loop.create_connection(lambda: session, sock=connection)
    except OSError as error:
        raise _of_tls(error) from None
    finally:
        if not session.connected:
            connection.close()
    return session


async def _hello(session: Session, name: str) -> dict[str, str]:
    """What the server offers: each keyword in capitals, with its words."""
    code, text = await session.ask(b"EHLO " + name.encode("ascii"), "connect")
    if code in NO_EHLO:
        code, text = await session.ask(b"HELO " + name.encode("ascii"), "connect")
        text = b""
    if code // 100 != 2:
        raise _refused(code, text, "connect")
    lines = [line.strip().upper().replace("AUTH=", "AUTH ") for line in text.decode("latin-1").split("\n")[1:]]
    return {keyword: words for keyword, _, words in (line.partition(" ") for line in lines)}


async def _secure(
    session: Session, server: SmtpServer, helo: str, context: ssl.SSLContext, times: Times, offers: dict[str, str]
) -> dict[str, str]:
    """Begin TLS where it is offered; what the server offers then, and nothing of what it said before counts."""
    if "STARTTLS" not in offers:
        if server.starttls == "auto":
            return offers
        why = "the server does not offer STARTTLS; for a server without TLS add ?starttls=never"
        raise SetUpFailed(why, "connect", "unsupported", ours=True)
    code, text = await session.ask(b"STARTTLS", "connect")
    if code != 220:
        raise _refused(code, text, "connect")
    try:
        await session.secure(context, times.command)
    except OSError as error:
        raise _of_tls(error) from None
    return await _hello(session, server.helo or helo)


async def _log_in(session: Session, server: SmtpServer, offers: dict[str, str]) -> None:
    """PLAIN, LOGIN or CRAM-MD5, the first of them that is offered (RFC 4616, RFC 2195)."""
    user, password = server.username.encode(), server.password.encode()
    known = offers.get("AUTH", "").split()
    if "PLAIN" in known:
        code, text = await session.ask(b"AUTH PLAIN " + base64.b64encode(b"\0%b\0%b" % (user, password)), "login")
    elif "LOGIN" in known:
        code, text = await session.ask(b"AUTH LOGIN", "login")
        for part in (user, password):
            if code == 334:
                code, text = await session.ask(base64.b64encode(part), "login")
    elif "CRAM-MD5" in known:
        code, text = await session.ask(b"AUTH CRAM-MD5", "login")
        if code == 334:
            answer = hmac.digest(password, _challenge(text), "md5").hex().encode()
            code, text = await session.ask(base64.b64encode(user + b" " + answer), "login")
    else:
        why = "the server offers no login by PLAIN, LOGIN or CRAM-MD5; where none is needed write no user into the URL"
        raise SetUpFailed(why, "login", "unsupported", ours=True)
    if code != 235:
        raise _refused(code, text, "login")


def _challenge(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise SetUpFailed("the challenge of CRAM-MD5 is no base64", "login", "protocol") from None


def _refused(code: int, text: bytes, phase: Phase) -> SetUpFailed:
    words = text.decode("utf-8", "replace")
    why = f"{code} {redact(words)}"
    if code not in range(400, 600):
        return SetUpFailed(f"{why}, which means nothing there", phase, "protocol")
    ours = read(code, words, phase).verdict == "config"
    return SetUpFailed(why, phase, str(code), ours=ours, busy=code // 100 == 4)


def _of_tls(error: OSError) -> SetUpFailed:
    """A handshake that failed; one that took too long is told by its words alone."""
    why = _trouble(error)
    word = "tls" if isinstance(error, ssl.SSLError) else "timeout" if "longer than" in why else "lost"
    return SetUpFailed(why, "connect", word)


def _trouble(error: OSError) -> str:
    return redact(f"{type(error).__name__} {error}".strip())
