"""Workers that send real mails and die at a chosen point: `python -m tests.faults.mailer` forks one for each line.

A line of standard input is a JSON object: `url`, `lease`, `smtp`, `concurrency`, and where to die: `point` and `nth`,
the passing that is the last one; and `sessions`, `again` and `pace`, where they are to differ. It answers with the
worker's process id. Forking saves the time of the imports.
"""

import asyncio
import json
import os
import signal
import sys
import time
from typing import Any

import uvloop

from yellowbooks.jobs import Backoff, Kind, Lease, Queue, Rate, Worker
from yellowbooks.mail import Bounds, Mailbox, Reply, SmtpMailer, SmtpServer
from yellowbooks.mail.breaker import AGAIN_SECONDS
from yellowbooks.mail.session import Session
from yellowbooks.signin import Letters, SignIn, SignInHandler, kind

SENDER = Mailbox("Yellow Books", "no-reply@example.mn")
POINTS = (
    "before the claim", "after the claim", "before the envelope", "after the 354, before the commit",
    "after the commit, before the text", "in the middle of the text", "after the dot, before its answer",
    "after the 250, before the settlement", "the settlement's answer is lost", "after the settlement",
)  # fmt: skip
COPIES_AT = frozenset(POINTS[6:8])
"""Where a death may make a second copy: the text is out, and the queue does not know of the answer."""


def kind_of(handler: Any = None) -> Kind[SignIn]:
    """The real kind, with a limit that nobody meets."""
    options: dict[str, Any] = {"rate": Rate(10**6, 3600), "backoff": Backoff(5, 0.2)}
    return kind(handler, **options) if handler else kind(**options)


class Fuse:
    """Dies at the `nth` passing of one point, as by a power cut: SIGKILL."""

    def __init__(self, point: str, nth: int) -> None:
        self.point, self.left = point, nth

    def hit(self, point: str) -> bool:
        if point == self.point:
            self.left -= 1
        return point == self.point and self.left == 0

    def __call__(self, point: str) -> None:
        if self.hit(point):
            die()


def die() -> None:
    """Now."""
    os.kill(os.getpid(), signal.SIGKILL)


def fused_queue(fuse: Fuse, url: str, lease: float, reopening: float) -> Queue:
    """A queue whose verbs are points."""

    class Fused(Queue):
        pace = reopening

        async def claim(self, *args: Any, **options: Any) -> Any:
            fuse(POINTS[0])
            found = await super().claim(*args, **options)
            if found[0]:
                fuse(POINTS[1])
            return found

        async def commit(self, lease: Lease) -> None:
            fuse(POINTS[3])
            await super().commit(lease)
            fuse(POINTS[4])

        async def settle_many(self, *args: Any, **options: Any) -> list[str]:
            answers = await super().settle_many(*args, **options)
            fuse(POINTS[8])
            return answers

    return Fused(url, lease=lease)


def fuse_sessions(fuse: Fuse) -> None:
    """Make points of a session's steps."""
    deliver, text = Session.deliver, Session._text

    async def fused_deliver(self: Session, *args: Any) -> Reply:
        fuse(POINTS[2])
        reply = await deliver(self, *args)
        fuse(POINTS[7])
        return reply

    async def fused_text(self: Session, message: Any) -> Reply:
        if fuse.hit(POINTS[5]):
            self._transport.write(message.data[: len(message.data) // 2])
            time.sleep(0.02)
            die()
        if fuse.hit(POINTS[6]):
            self._transport.write(message.data + b".\r\n")
            time.sleep(0.02)
            die()
        return await text(self, message)

    Session.deliver = fused_deliver  # type: ignore[method-assign]
    Session._text = fused_text  # type: ignore[method-assign]


async def work(options: dict[str, Any]) -> None:
    """Be a worker until SIGTERM, or until the fuse burns down."""
    fuse = Fuse(options.get("point", ""), options.get("nth", 0))
    fuse_sessions(fuse)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mailer = SmtpMailer(
        [SmtpServer.parse(options["smtp"])], "mail.example.mn", bounds=Bounds(sessions=options.get("sessions", 5)),
        again=options.get("again", AGAIN_SECONDS),
    )  # fmt: skip

    def tell(word: str, **_fields: Any) -> None:
        if word == "completed":
            fuse(POINTS[9])

    worker = Worker(
        lambda: fused_queue(fuse, options["url"], options["lease"], options.get("pace", Queue.pace)),
        [kind_of(SignInHandler(Letters(), mailer, SENDER))],
        concurrency=options["concurrency"],
        grace=5,
        tell=tell,
    )
    await worker.run(stop, asyncio.Event())
    await mailer.aclose()


def main() -> None:
    """Fork a worker for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them; the kernel buries them
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            uvloop.run(work(json.loads(line)))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
