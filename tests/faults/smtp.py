"""Mail servers that misbehave, and what becomes of the jobs: `python -m tests.faults.smtp [--times N]`.

A worker has forty mails; the server does one evil thing to every connection for a while, then is well again. Promises:
no mail is missing and no job is dead for it; a second copy comes only where the server may have taken the first; the
evil is met by some connections and then by one now and then; and when it is over all is sent.
"""

import argparse
import asyncio
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trustme

from tests.conftest import ValkeyServer
from tests.faults.mailer import SENDER
from tests.faults.mails import recipient
from tests.mail.scripted import DROP, Answer, Scripted, drip, then
from tests.parts import check_consistent
from yellowbooks.jobs import Backoff, Job, Kind, Queue, Rate, State, Worker
from yellowbooks.mail import Bounds, SmtpMailer, SmtpServer, Times
from yellowbooks.signin import Letters, SignIn, SignInHandler, ambiguous, kind

MAILS, SESSIONS = 40, 5
EVIL_SECONDS, AGAIN = 2.0, 0.3
TIMES = Times(connect=1, greeting=0.5, command=0.5, data=0.5, block=0.25, dot=0.25)
MB = b"x" * 1_000_000
COLUMNS = (
    "tried", "mails", "missing", "dead", "in doubt", "second copies", "connections meanwhile", "failures of a job",
    "recovery p50", "p99",
)  # fmt: skip
FAULTS: dict[str, dict[str, Answer | list[Answer]]] = {
    "22 nobody listens": {},
    "22 the name is not found": {},
    "22 a certificate of an authority that nobody knows": {},
    "23 421 at the greeting": {"CONNECT": "421 4.3.2 later"}, "23 421 to EHLO": {"EHLO": "421 4.3.2 later"},
    "23 421 to MAIL": {"MAIL": "421 4.3.2 later"}, "23 421 to RCPT": {"RCPT": "421 4.3.2 later"},
    "23 421 to DATA": {"DATA": "421 4.3.2 later"}, "23 421 to the dot": {"DOT": "421 4.3.2 later"},
    "25 silence instead of a greeting": {"CONNECT": None}, "25 silence after DATA": {"DATA": None},
    "25 silence after the dot": {"DOT": None}, "26 the mail is taken, the connection dropped": {"DOT": DROP},
    "27 a greeting that drips": {"CONNECT": drip(b"220-x")}, "27 a reply to EHLO that drips": {"EHLO": drip(b"250-x")},
    "27 a reply to MAIL that drips": {"MAIL": drip(b"250-x")},
    "27 a greeting without end": {"CONNECT": then(*[b"220-x\r\n" * 500] * 50, pause=0)},
    "27 a reply to EHLO without end": {"EHLO": then(*[b"250-x\r\n" * 500] * 50, pause=0)},
    "27 a line of 1 MB to MAIL": {"MAIL": b"250 " + MB + b"\r\n"},
    "27 a line of 1 MB to the dot": {"DOT": then(b"250 " + MB)},
    "27 lines of two codes to MAIL": {"MAIL": b"250-x\r\n550 y\r\n"},
    "27 a last line that is missing": {"RCPT": b"250-x\r\n"},
    "27 every reply at once, before it is asked": {"CONNECT": b"220 x\r\n" + b"250 x\r\n" * 3 + b"354 x\r\n250 x\r\n"},
    "27 a reply to the text before the text": {"DATA": b"354 x\r\n250 x\r\n"},
    "27 more than yes to STARTTLS": {"EHLO": b"250-x\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n250 x\r\n"},
    "27 no text at all": {"MAIL": b"\x00\xff\r\x1b[31m\r\n"},
}  # fmt: skip
IN_DOUBT = {name for name, answers in FAULTS.items() if "DOT" in answers and not name.startswith("23")}
"""Where the server may have taken the mail: a second copy may come, and a job twice in doubt waits for a person."""


@dataclass
class Count:
    """What came of one fault. `seconds` are those from its end to the last mail."""

    times: int = 0
    mails: int = 0
    connections: int = 0
    attempts: int = 0
    doubts: int = 0
    copies: int = 0
    missing: int = 0
    dead: int = 0
    seconds: list[float] = field(default_factory=list)

    def line(self) -> str:
        """The figures, as `COLUMNS` has them."""
        figures = (
            self.times, self.mails, self.missing, self.dead, self.doubts, self.copies, self.connections, self.attempts,
            f"{statistics.median(self.seconds):.1f} s", f"{max(self.seconds):.1f} s",
        )  # fmt: skip
        return " | ".join(map(str, figures))


class Evil:
    """A server with one fault, and a worker that has mails for it."""

    def __init__(self, fault: str, queue: Queue, open_queue: Callable[[], Queue]) -> None:
        self.fault, self.queue, self.open_queue = fault, queue, open_queue
        self.server = Scripted(dict(FAULTS[fault]))

    async def run(self, count: Count) -> None:
        """Once; raises `AssertionError` where a promise was broken."""
        with self._begun():
            await self.server.start()
            if self.fault == "22 nobody listens":
                await self.server.stop()
            host = "mail.invalid" if "name" in self.fault else "127.0.0.1"
            url = f"smtp://{host}:{self.server.port}?starttls=auto"
            mailer = SmtpMailer(
                [SmtpServer.parse(url)], "mail.example.mn", times=TIMES, bounds=Bounds(sessions=SESSIONS), again=AGAIN
            )  # fmt: skip
            mine = kind(SignInHandler(Letters(), mailer, SENDER), rate=Rate(10**6, 3600), backoff=Backoff(5, 0.5))
            stop = asyncio.Event()
            worker = Worker(self.open_queue, [mine], concurrency=20, grace=5, tell=lambda *_, **__: None)
            running = asyncio.create_task(worker.run(stop, asyncio.Event()))
            try:
                events = [SignIn(user_id=f"u{n}", email=f"bat{n}@example.com", provider="google") for n in range(MAILS)]
                ids = [job_id for job_id, _ in await self.queue.admit_many(mine, events)]
                await asyncio.sleep(EVIL_SECONDS)
                met = self.server.connections
                began = time.monotonic()
                await self._heal()
                jobs = await self._ended(mine, ids)
                self._count(count, jobs, ids, met)
                count.seconds.append(time.monotonic() - began)
            finally:
                stop.set()
                await running
                await mailer.aclose()
                await self.server.stop()

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """Names are not found, and a certificate is made, where that is the fault."""
        loop: Any = asyncio.get_running_loop()
        self.found = "name" not in self.fault
        if "certificate" in self.fault:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

            async def upgrade(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"220 go\r\n")
                await writer.start_tls(context)

            self.server.answers = {"EHLO": b"250-x\r\n250 STARTTLS\r\n", "STARTTLS": upgrade}
        look_up = loop.getaddrinfo

        async def asked(host: str, port: int, **options: Any) -> Any:
            if host != "mail.invalid":
                return await look_up(host, port, **options)
            if not self.found:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return await look_up("127.0.0.1", port, **options)

        loop.getaddrinfo = asked
        try:
            yield
        finally:
            loop.getaddrinfo = look_up

    async def _heal(self) -> None:
        self.found = True
        self.server.answers.clear()
        if self.fault == "22 nobody listens":
            await self.server.start(self.server.port)

    async def _ended(self, mine: Kind[SignIn], ids: list[str]) -> list[Job]:
        """Until all are; who was in doubt twice is requeued, as a person would."""
        deadline = time.monotonic() + 90
        while True:
            jobs = [job for job in await self.queue.shown(ids) if job]
            left = [job for job in jobs if job.state is not State.COMPLETED]
            doubtful = [job.id for job in left if job.state is State.DEAD and ambiguous(job.history[-1])]
            if not left or (len(left) > len(doubtful) and all(job.state is State.DEAD for job in left)):
                return jobs
            await self.queue.requeue(doubtful, by="the campaign")
            assert time.monotonic() < deadline, Counter(f"{job.state} {job.error}" for job in left)
            await asyncio.sleep(0.05)

    def _count(self, count: Count, jobs: list[Job], ids: list[str], met: int) -> None:
        taken: dict[str, int] = defaultdict(int)
        for mail in self.server.mails if self.fault not in IN_DOUBT else self.server.texts:
            taken[recipient(mail)] += bool(mail)
        doubts = {job.id: sum(ambiguous(event) for event in job.history) for job in jobs}
        copies = {job_id: max(0, taken[f"bat{n}@example.com"] - 1) for n, job_id in enumerate(ids)}
        assert all(copies[job_id] <= doubts[job_id] for job_id in ids), "a copy that nobody counted"
        assert len(jobs) == MAILS
        count.times += 1
        count.mails += MAILS
        count.connections = max(count.connections, met)
        count.attempts = max(count.attempts, *(sum(e.name == "retried" for e in job.history) for job in jobs))
        count.doubts += sum(doubts.values())
        count.copies += sum(copies.values())
        count.missing += sum(not taken[f"bat{n}@example.com"] for n in range(MAILS))
        count.dead += sum(job.state is not State.COMPLETED for job in jobs)


async def campaign(faults: list[str], times: int) -> list[str]:
    """Each fault so often; prints a line each, and gives those that broke a promise."""
    broken: list[str] = []
    print("| fault | " + " | ".join(COLUMNS) + " |\n|---" + "|---" * len(COLUMNS) + "|", flush=True)
    async with AsyncExitStack() as stack:
        valkey = ValkeyServer(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yb"))))
        valkey.start()
        stack.callback(valkey.stop)
        for fault in faults:
            count = Count()
            try:
                for turn in range(times):
                    open_queue = partial(Queue, valkey.url, name=f"evil-{faults.index(fault)}-{turn}", lease=2.0)
                    queue = open_queue()
                    await Evil(fault, queue, open_queue).run(count)
                    await queue.close()
                    check_consistent(valkey.url, queue.tag)
                assert count.missing == count.dead == 0
                assert count.doubts == 0 or fault in IN_DOUBT
            except AssertionError as error:
                broken.append(fault)
                print(f"| {fault} | BROKEN: {error} {count}", flush=True)
                continue
            print(f"| {fault} | {count.line()} |", flush=True)
    return broken


def main() -> int:
    """The exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="", help="faults that hold this text")
    given = parser.parse_args()
    broken = asyncio.run(campaign([fault for fault in FAULTS if given.only in fault], given.times))
    print(f"{len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
