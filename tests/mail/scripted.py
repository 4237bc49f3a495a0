"""A raw SMTP server that says what a test wants, good or evil, and keeps what it heard."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.mail.test_message import DATE, SENDER
from yellowbooks.mail import Bounds, Message, SmtpMailer, SmtpServer, Times, compose

Evil = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = bytes | str | Evil | None
"""What to say at a step: bytes as they are, a line, something worse, or nothing ever again."""

DROP = b""
CALM = Times(connect=5, greeting=5, command=5, data=5, block=2, dot=5)
SLOW = Times(connect=5, greeting=2, command=2, data=2, block=1, dot=1)  # what does not drip comes within it
QUICK = Times(connect=1, greeting=0.25, command=0.25, data=0.25, block=0.1, dot=0.15)


def letter(key: str = "job-1", text: str = "hello\n", to: str = "bat@example.com") -> Message:
    """A mail whose bytes tell it from others."""
    return compose(
        sender=SENDER, recipient=to, subject="Сайн уу", text=text, html="<p>hello</p>", language="mn",
        key=key, date=DATE,
    )  # fmt: skip


def mailer(*urls: str, **options: Any) -> SmtpMailer:
    """A mailer with these servers."""
    return SmtpMailer([SmtpServer.parse(url) for url in urls], "mail.example.mn", **({"times": CALM} | options))


class Commit:
    """Counts, and may refuse; `seen` is what the server had heard by then."""

    def __init__(self, server: Any = None, error: Exception | None = None) -> None:
        self.calls = 0
        self.seen: list[str] = []
        self.server, self.error = server, error

    async def __call__(self) -> None:
        self.calls += 1
        self.seen = list(self.server.steps) if self.server else []
        if self.error:
            raise self.error


@dataclass
class Scripted:
    """`answers` are by step: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, DOT, RSET, QUIT; of a list the last
    one stays.

    `decide` may answer a step by its recipient instead; "" leaves it at the usual.
    """

    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    pipelining: bool = True
    steps: list[str] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    peak: int = 0
    delay: float = 0.0
    decide: Callable[[str, str], Answer] = lambda _step, _recipient: ""
    url: str = ""
    _server: asyncio.Server | None = None
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def __aenter__(self) -> "Scripted":
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"smtp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close every connection, and listen no more."""
        assert self._server
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            self.open -= 1
            writer.close()
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await self._say("CONNECT", "220 evil.example ESMTP", reader, writer) == DROP:
            return
        buffer, recipient = b"", ""
        while data := await reader.read(65_536):
            self.reads.append(data)
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                verb = line.strip()[:4].decode("latin-1").upper().replace("STAR", "STARTTLS")
                ok = "250-evil.example\r\n250 PIPELINING" if self.pipelining and verb == "EHLO" else "250 2.0.0 OK"
                usual = {"DATA": "354 go on", "QUIT": "221 2.0.0 bye"}.get(verb, ok)
                recipient = line[9:-2].decode() if verb == "RCPT" else recipient
                said = await self._say(verb, self.decide(verb, recipient) or usual, reader, writer)
                if said == DROP or verb == "QUIT":
                    return
                if verb == "DATA" and said.startswith(b"354"):
                    while b"\r\n.\r\n" not in b"\r\n" + buffer:
                        more = await reader.read(65_536)
                        if not more:
                            return
                        self.reads.append(more)
                        buffer += more
                    text, _, buffer = (b"\r\n" + buffer).partition(b"\r\n.\r\n")
                    self.texts.append(text[2:] + b"\r\n" if text else b"")
                    said = await self._say(
                        "DOT", self.decide("DOT", recipient) or "250 2.0.0 queued as 7", reader, writer
                    )
                    if said == DROP:
                        return
                    if text and said.startswith(b"250"):  # a lone dot is no mail
                        self.mails.append(text[2:] + b"\r\n")

    async def _say(self, step: str, usual: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        self.steps.append(step)
        answer = self.answers.get(step, usual)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if self.delay:
            await asyncio.sleep(self.delay)
        if answer is None:
            await asyncio.sleep(60)
        if callable(answer):
            await answer(reader, writer)
            return b"?"
        assert answer is not None
        said = answer if isinstance(answer, bytes) else answer.encode() + b"\r\n"
        writer.write(said)
        await writer.drain()
        return said


def then(*parts: bytes, pause: float = 0.05, ends: bool = False) -> Callable[..., Any]:
    """Says one thing after another, and nothing more."""

    async def evil(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if ends:
            writer.close()
        else:
            await asyncio.sleep(60)

    return evil


def drip(text: bytes) -> Callable[..., Any]:
    """An octet at a time, for ever."""
    return then(*(text[n : n + 1] for n in range(len(text))), *[text[-1:]] * 2000, pause=0.02)


ONE = Bounds(sessions=1)
