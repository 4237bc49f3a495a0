"""One session with a server that is set up: it sends mails one after another, pipelined where that is offered."""

import asyncio
import contextlib
import math
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

from yellowbooks.mail.message import Message
from yellowbooks.mail.reply import Phase, Reply, read

LINE_OCTETS = 2000  # of a reply; RFC 5321, section 4.5.3.1.5, has 512
REPLY_OCTETS = 16_384  # of all lines of a reply together
CLOSING_SECONDS = 0.5
ENVELOPE: tuple[Phase, ...] = ("mail", "rcpt", "data")

Commit = Callable[[], Awaitable[None]]


class Lost(Exception):
    """The session ended, or cannot be trusted any more, and this mail's text did not go. `word` says how.

    `committed` says that the commit was made before it.
    """

    def __init__(self, why: str, phase: Phase, word: str, *, committed: bool = False) -> None:
        super().__init__(why)
        self.phase, self.word, self.committed = phase, word, committed


class InDoubt(Exception):
    """The session ended after the mail's text went and before the server answered it."""

    def __init__(self, why: str, word: str) -> None:
        super().__init__(why)
        self.word = word


class _Asked:
    """Commands that were written together, and the replies to them so far."""

    __slots__ = ("due", "phases", "replies", "unwanted", "waiter")

    def __init__(self, phases: tuple[Phase, ...], *, unwanted: bool = False) -> None:
        self.phases = phases
        self.due = len(phases)
        self.unwanted = unwanted
        self.replies: list[tuple[int, bytes]] = []
        self.waiter: asyncio.Future[None] | None = None

    @property
    def phase(self) -> Phase:
        """What the next reply answers."""
        return self.phases[min(len(self.replies), len(self.phases) - 1)]


class Session(asyncio.Protocol):
    """A session's transport and what is awaited from it.

    The seconds that answers may take are those to a command, to DATA, and to the text with its dot; each counts from
    the command to the end of the whole reply, however slowly its octets drip. One mail at a time: whoever holds a
    session has it for himself (`Pool`). Every reply is matched to what it answers, the greeting too; one that answers
    nothing ends the session, as none after it could be trusted.

    Where mails wait for a session, the envelope of the next one goes in one write with a mail's text (RFC 2920 lets a
    text lead a group), so that a mail takes one round trip: `on_text` names the next mail, or None.
    """

    def __init__(self, host: str, times: tuple[float, float, float]) -> None:
        self.host = host
        self.pipelining = False
        self.mails = 0
        self.opened = self.used = time.monotonic()
        self.closing = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_end: Callable[[Session], None] = lambda _session: None
        self.on_text: Callable[[Session], Message | None] = lambda _session: None
        self.connected = False
        self._transport: asyncio.Transport
        command, data, dot = times
        self._times: dict[Phase, float] = dict.fromkeys(("connect", "login", "mail", "rcpt"), command)
        self._times |= {"data": data, "dot": dot}
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._lines: list[bytes] = []
        self._octets = 0
        self._greeting = _Asked(("connect",))
        self._greeting.waiter = self._loop.create_future()  # it may come before it is waited for
        self._asked: deque[_Asked] = deque([self._greeting])  # whose replies are not all there, the oldest first
        self._ahead: tuple[Message, _Asked] | None = None  # a mail whose envelope went before it had the session
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = math.inf
        self._broken, self._word = "", "lost"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self.connected = True
        self._transport = cast(asyncio.Transport, transport)  # an event loop's own need not inherit from it

    async def greeted(self, seconds: float) -> tuple[int, bytes]:
        """The code and the text of the greeting. Raises `Lost`."""
        command, self._times["connect"] = self._times["connect"], seconds
        try:
            return (await self._answers(self._greeting))[0]
        finally:
            self._times["connect"] = command

    async def ask(self, command: bytes, phase: Phase) -> tuple[int, bytes]:
        """The code and the text of the reply to one command of the set-up. Raises `Lost`."""
        return (await self._ask(command + b"\r\n", (phase,)))[0]

    async def secure(self, context: ssl.SSLContext, seconds: float) -> None:
        """Begin TLS, after the server said yes to STARTTLS. Raises `Lost`, and what the handshake raises.

        Whatever came with that yes is not from within TLS: somebody else may have written it (CVE-2011-0411).
        """
        if self._buffer or self._lines or not self.usable:
            self._fail("the server said more than yes to STARTTLS", "protocol")
            raise Lost(self._broken, "connect", "protocol")
        transport = await self._loop.start_tls(
            self._transport, self, context, server_hostname=self.host, ssl_handshake_timeout=seconds
        )
        if transport is None:
            raise Lost("the connection was lost in the TLS handshake", "connect", "lost")
        self._transport = transport

    @property
    def usable(self) -> bool:
        """Whether another mail may be sent."""
        return not self.closing and not self._broken and not self._transport.is_closing()

    @property
    def promised(self) -> bool:
        """Whether the envelope of a mail went that was not delivered: nobody else may use the session."""
        return self._ahead is not None

    async def deliver(self, message: Message, commit: Commit) -> Reply:
        """Send one mail; the server's last word on it. `commit` is awaited just before the text may go.

        Raises `Lost` (the text did not go), `InDoubt` (nobody knows), and what `commit` raises. Where it raises or is
        cancelled the session is closed, unless the server refused: that is a reply.
        """
        try:
            refused = await (self._pipelined(message) if self.pipelining else self._plain(message))
            if refused:
                return refused
            await self._committed(commit)
            return await self._text(message)
        except BaseException:
            self.abort()
            raise

    def quit(self) -> None:
        """End politely: the server closes, and counts this connection no more when `gone` is done; or time does."""
        if not self._transport.is_closing():
            self.closing = True
            self._asked.append(_Asked(("dot",), unwanted=True))
            self._transport.write(b"QUIT\r\n")
            self._loop.call_later(CLOSING_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """End at once."""
        self.closing = True
        self._transport.abort()

    # One mail

    async def _pipelined(self, message: Message) -> Reply | None:
        """Sender, recipient and DATA in one write (RFC 2920, section 3.1); the first refusal, or None."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            asked = self._write(_envelope(message), ENVELOPE)
        elif ahead[0] is message:
            asked = ahead[1]
        else:
            raise Lost("the envelope of another mail went before", "mail", "lost")
        replies = await self._answers(asked)
        if len(replies) < len(ENVELOPE):  # a 421 ended them early
            return self._refusal(replies[-1], ENVELOPE[len(replies) - 1])
        said = [
            (found, phase) for found, phase in zip(replies, ENVELOPE, strict=True) if not _positive(found[0], phase)
        ]
        if not said:
            return None
        refusals = [self._refusal(found, phase) for found, phase in said]  # each must be one: else they are shifted
        if replies[2][0] == 354:
            # It waits for a text although it refused the envelope: a lone dot ends that, and never the text does.
            self._swallow(b".\r\nRSET\r\n", ("dot", "rcpt"))
        else:
            self._swallow(b"RSET\r\n", ("rcpt",))
        return refusals[0]

    async def _plain(self, message: Message) -> Reply | None:
        commands = (_sender(message), _recipient(message), b"DATA\r\n")
        for phase, command in zip(ENVELOPE, commands, strict=True):
            [found] = await self._ask(command, (phase,))
            if not _positive(found[0], phase):
                reply = self._refusal(found, phase)
                with contextlib.suppress(Lost):  # the refusal stands, whatever becomes of the session
                    await self._ask(b"RSET\r\n", (phase,))
                return reply
        return None

    async def _committed(self, commit: Commit) -> None:
        self._hold(committed=False)
        await commit()
        self._hold(committed=True)

    def _hold(self, *, committed: bool) -> None:
        if not self.usable:
            raise Lost(self._broken or "the server closed", "data", self._word, committed=committed)

    async def _text(self, message: Message) -> Reply:
        data = message.data
        if not message.sound and (b"\r\n." in data or data.startswith(b".")):
            data = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
        data += b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n"
        following = self.on_text(self) if self.pipelining else None
        asked = self._write(data + _envelope(following) if following else data, ("dot",))
        if following:
            self._ahead = (following, _Asked(ENVELOPE))
            self._asked.append(self._ahead[1])
        try:
            [found] = await self._answers(asked)
        except Lost as lost:
            raise InDoubt(str(lost), lost.word) from None
        if found[0] // 100 not in (2, 4, 5):
            raise InDoubt(f"the server answered the mail with {found[0]}, which means nothing there", "protocol")
        self.mails += 1
        self.used = time.monotonic()
        return _read(found, "dot")

    def _refusal(self, found: tuple[int, bytes], phase: Phase) -> Reply:
        """What was said instead of yes; a yes of the wrong sort is none, and no refusal either."""
        if found[0] // 100 not in (4, 5):
            raise Lost(f"the server answered with {found[0]} where that means nothing", phase, "protocol")
        return _read(found, phase)

    # Replies

    def _write(self, command: bytes, phases: tuple[Phase, ...]) -> _Asked:
        """Write what has a reply for each of `phases`."""
        if not self.usable:
            raise Lost(self._broken or "the server closed", phases[0], self._word)
        asked = _Asked(phases)
        self._asked.append(asked)
        self._transport.write(command)
        return asked

    async def _ask(self, command: bytes, phases: tuple[Phase, ...]) -> list[tuple[int, bytes]]:
        return await self._answers(self._write(command, phases))

    async def _answers(self, asked: _Asked) -> list[tuple[int, bytes]]:
        """The replies; fewer where one of them is a 421."""
        if asked.due:
            if not asked.waiter:
                if not self.usable:
                    raise Lost(self._broken or "the server closed", asked.phase, self._word)
                asked.waiter = self._loop.create_future()
            self._deadline = self._loop.time() + self._times[asked.phase]
            self._watch()
            try:
                await asked.waiter
            finally:
                asked.waiter = None
                self._deadline = math.inf
        return asked.replies

    def _swallow(self, command: bytes, phases: tuple[Phase, ...]) -> None:
        """Write something whose replies nobody waits for; the last of them is a yes, or the session is of no use."""
        if self.usable:
            self._write(command, phases).unwanted = True

    def _watch(self) -> None:
        """One timer serves all waits, as most end long before it: it looks when the first of them would be late."""
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._deadline == math.inf:  # nothing is waited for now
            return
        if self._deadline > self._loop.time() + 0.001:  # a reply came in between, and the next one has its own time
            self._watch()
        else:
            # None where the answer came in this moment, and who waits for it has not run yet.
            phase = next((asked.phase for asked in self._asked if asked.waiter), None)
            if phase:
                self._fail(f"no answer in {self._times[phase]:g} s", "timeout")

    def data_received(self, data: bytes) -> None:
        """Cut replies out of what came."""
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()
        for line in lines:
            plain = line[3:4] == b" " and not self._lines and len(line) <= LINE_OCTETS and line[:3].isdigit()
            if not (self._reply(int(line[:3]), line[4:]) if plain else self._line(line)):  # nearly all are plain
                return
        if len(self._buffer) > LINE_OCTETS:
            self._fail(f"a line of a reply has more than {LINE_OCTETS} octets", "protocol")

    def _line(self, line: bytes) -> bool:
        """One line of a reply; whether to go on."""
        code, mark = line[:3], line[3:4]
        self._octets += len(line)
        fault = ""
        if not (len(code) == 3 and code.isdigit() and mark in b" -\r"):
            fault = "a line is no reply"
        elif len(line) > LINE_OCTETS or self._octets > REPLY_OCTETS:
            fault = "a reply is too long"
        elif self._lines and self._lines[0][:3] != code:
            fault = "the lines of a reply have different codes"
        if fault:
            return self._fail(fault, "protocol")
        if mark == b"-":
            self._lines.append(line)
            return True
        text = line[4:]
        if self._lines:
            text = b"\n".join([part[4:] for part in (*self._lines, line)])
            self._lines = []
        self._octets = 0
        return self._reply(int(code), text)

    def _reply(self, code: int, text: bytes) -> bool:
        if code == 421:  # it closes, whatever else was asked (RFC 5321, section 3.8)
            self.closing = True
            while self._asked and self._asked[0].waiter is None:
                self._asked.popleft()
        if not self._asked:
            return code == 421 or self._fail("a reply came that answers nothing", "protocol")
        asked = self._asked[0]
        asked.replies.append((code, text))
        asked.due -= 1
        if asked.due and code != 421:
            if asked.waiter:
                self._deadline = self._loop.time() + self._times[asked.phase]
            return True
        self._asked.popleft()
        if asked.unwanted and code // 100 != 2:
            return self._fail(f"RSET was answered with {code}", "protocol")
        if asked.waiter and not asked.waiter.done():
            asked.waiter.set_result(None)
        return True

    def _fail(self, why: str, word: str) -> bool:
        """Nothing that comes after this can be trusted."""
        if not self._broken:
            self._broken, self._word = why, word
        self._buffer, self._lines = b"", []
        self._tell_waiters(why, word)
        self._transport.abort()
        return False

    def _tell_waiters(self, why: str, word: str) -> None:
        for asked in self._asked:
            if asked.waiter and not asked.waiter.done():
                asked.waiter.set_exception(Lost(why, asked.phase, word))
        self._asked.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport's end."""
        if self._timer:
            self._timer.cancel()
        if not self.closing:
            self._fail(f"the connection was lost{f' ({type(exc).__name__})' if exc else ''}", "lost")
        self._tell_waiters("the server closed", "lost")
        if not self.gone.done():
            self.gone.set_result(None)
        self.on_end(self)


def _envelope(message: Message) -> bytes:
    return _sender(message) + _recipient(message) + b"DATA\r\n"


def _sender(message: Message) -> bytes:
    return b"MAIL FROM:<%s>\r\n" % message.sender.encode("ascii")


def _recipient(message: Message) -> bytes:
    return b"RCPT TO:<%s>\r\n" % message.recipient.encode("ascii")


def _read(found: tuple[int, bytes], phase: Phase) -> Reply:
    return read(found[0], found[1].decode("utf-8", "replace"), phase)


def _positive(code: int, phase: Phase) -> bool:
    return code == 354 if phase == "data" else code // 100 == 2
