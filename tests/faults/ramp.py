"""A mail server that takes nothing while mails pile up, then returns: `python -m tests.faults.ramp --jobs 100000`.

Promises: nobody hammers it while it is away, and no job spends itself on that; when it is back it is met by one mail,
then by some, then by more, over no more connections than are allowed; each mail is sent once, and none is dead.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ValkeyServer
from tests.faults.mailer import kind_of
from tests.parts import check_consistent
from yellowbooks.jobs import Queue, Survey
from yellowbooks.signin import SignIn

WORKERS, CONCURRENCY, SESSIONS = 2, 50, 10
LEASE = 10.0
BYE = b"221 2.0.0 bye\r\n"
STALLED_SECONDS = 120.0  # without one mail


@dataclass
class Provider:
    """An SMTP server that says 421 to everybody, or takes every mail; it counts."""

    away: bool = True
    mails: Counter[bytes] = field(default_factory=Counter)
    turned_away: int = 0
    open: int = 0
    peak: int = 0

    def connection(self) -> "Conversation":
        return Conversation(self)


class Conversation(asyncio.Protocol):
    """One connection. Replies are written in the order of what was read, so that it may be pipelined."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = b""
        self._recipient = b""
        self._text = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, it = transport, self._provider
        it.open += 1
        it.peak = max(it.peak, it.open)
        if it.away:
            it.turned_away += 1
            transport.write(b"421 4.3.2 come again later\r\n")
            transport.close()
        else:
            transport.write(b"220 provider.example\r\n")

    def connection_lost(self, _error: Exception | None) -> None:
        self._provider.open -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        said = b""
        while True:
            line, found, rest = self._buffer.partition(b"\r\n.\r\n" if self._text else b"\r\n")
            if not found:
                break
            self._buffer = rest
            said += self._answer(line)
        self._transport.write(said)
        if said.endswith(BYE):
            self._transport.close()

    def _answer(self, line: bytes) -> bytes:
        if self._text:
            self._text = False
            self._provider.mails[self._recipient] += 1
            return b"250 2.0.0 taken\r\n"
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line[9:-1]
        self._text = verb == b"DATA"
        others = {b"EHLO": b"250-provider.example\r\n250 PIPELINING\r\n", b"DATA": b"354 go on\r\n"}
        return others.get(verb, BYE if verb == b"QUIT" else b"250 2.0.0 ok\r\n")


@dataclass
class Outcome:
    """What came of it. `curve` has, for each second since the return, how many mails were taken in it."""

    jobs: int
    pace: float
    probes: int = 0
    spent: int = 0
    accepted: int = 0
    missing: int = 0
    doubled: int = 0
    dead: int = 0
    peak: int = 0
    held_again: int = 0
    seconds: float = 0.0
    curve: list[int] = field(default_factory=list)

    def broken(self) -> list[str]:
        """Which promises were broken."""
        found = [name for name in ("missing", "doubled", "dead") if getattr(self, name)]
        if self.peak > WORKERS * SESSIONS:
            found.append("peak")
        if self.spent > WORKERS * CONCURRENCY:
            found.append("spent")
        # At first no more than the pace and what it lets through at once; later more than that.
        if self.curve[0] > 2 * self.pace + 2 or max(self.curve[len(self.curve) // 2 :]) < 1.25 * self.pace:
            found.append("ramp")
        return found

    def __str__(self) -> str:
        step = max(1, len(self.curve) // 12)
        rates = [sum(self.curve[n : n + step]) / len(self.curve[n : n + step]) for n in range(0, len(self.curve), step)]
        return (
            f"| jobs | accepted | missing | doubled | dead | probes while away | attempts spent on it | from return to "
            f"drained (s) | most connections | held again |\n{'|---' * 10}|\n| {self.jobs} | {self.accepted} | "
            f"{self.missing} | {self.doubled} | {self.dead} | {self.probes} | {self.spent} | {self.seconds:.0f} | "
            f"{self.peak} of {WORKERS * SESSIONS} | {self.held_again} |\n\nmails a second, a mean of {step} s each: "
            + ", ".join(f"{rate:.0f}" for rate in rates)
        )


async def ramp(jobs: int, away: float, again: float, pace: float) -> Outcome:
    """Mails pile up for `away` seconds, each worker trying every `again` seconds; then the server is back."""
    provider, outcome = Provider(), Outcome(jobs, pace)
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        valkey = ValkeyServer(Path(path))
        valkey.start("--appendfsync", "everysec")
        queue = Queue(valkey.url, lease=LEASE)
        server = await asyncio.get_running_loop().create_server(provider.connection, "127.0.0.1", 0)
        smtp = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        pipe = asyncio.subprocess.PIPE
        nursery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.mailer", stdin=pipe, stdout=pipe, start_new_session=True
        )
        workers: list[int] = []
        try:
            kind, numbers = kind_of(), range(jobs)
            await queue.admit_many(
                kind, (SignIn(user_id=f"u{n}", email=f"bat{n}@example.com", provider="google") for n in numbers)
            )
            assert nursery.stdin
            assert nursery.stdout
            for _ in range(WORKERS):
                given = {"url": valkey.url, "lease": LEASE, "smtp": smtp, "concurrency": CONCURRENCY,
                         "sessions": SESSIONS, "again": again, "pace": pace}  # fmt: skip
                nursery.stdin.write(json.dumps(given).encode() + b"\n")
                workers.append(int(await nursery.stdout.readline()))
            await asyncio.sleep(away)
            outcome.probes, provider.away = provider.turned_away, False
            await _drain(queue, provider, outcome)
            outcome.spent = await _spent(queue)
            check_consistent(valkey.url, queue.tag)
        finally:
            for pid in workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            nursery.kill()
            await nursery.wait()
            server.close()
            await queue.close()
            valkey.stop()
    return outcome


def _waiting(survey: Survey) -> int:
    lines = dict(survey.lines).values()
    return sum(line.waiting for line in lines) + survey.scheduled + survey.processing


async def _drain(queue: Queue, provider: Provider, outcome: Outcome) -> None:
    """Until nothing waits; raises `AssertionError` where no mail came for long."""
    began = moved = time.monotonic()
    taken, held, tick = 0, True, 0
    while True:
        tick += 1
        await asyncio.sleep(max(0.0, began + tick - time.monotonic()))
        survey, count = await queue.survey(), provider.mails.total()
        holding = any(gate.by == "breaker" for gate in dict(survey.gates).values())
        outcome.held_again += holding and not held
        held = holding
        outcome.curve.append(count - taken)
        moved = time.monotonic() if count > taken else moved
        taken = count
        if _waiting(survey) == 0:
            break
        assert time.monotonic() - moved < STALLED_SECONDS, f"nothing moves: {survey}"
    outcome.seconds = time.monotonic() - began
    outcome.accepted, outcome.dead, outcome.peak = taken, survey.dead, provider.peak
    outcome.missing = outcome.jobs - len(provider.mails)
    outcome.doubled = taken - len(provider.mails)


async def _spent(queue: Queue) -> int:
    """Failed attempts that are told of."""
    spent, position = 0, "0-0"
    while events := await queue.read(0.01, after=position):
        spent += sum(event.name == "retried" for event in events)
        position = events[-1].position
    return spent


def main() -> int:
    """The exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--away", type=float, default=60.0, help="seconds")
    parser.add_argument("--again", type=float, default=5.0, help="seconds between tries of a worker; 15 in the product")
    parser.add_argument("--pace", type=float, default=Queue.pace, help="mails a second at first")
    given = parser.parse_args()
    outcome = asyncio.run(ramp(given.jobs, given.away, given.again, given.pace))
    print(outcome)
    print(f"broken: {', '.join(outcome.broken()) or 'nothing'}")
    return 1 if outcome.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
