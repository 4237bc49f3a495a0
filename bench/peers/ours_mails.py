"""Yellow Books Jobs: one worker process, the real handler, 20 connections, limits, fencing and events on; uvloop."""

import asyncio
import json
import sys
import time
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default

import uvloop
from signins import event, quiet

from yellowbooks.jobs import Backoff, Lease, Queue, Rate, Worker
from yellowbooks.mail import Bounds, Mailbox, Message, SmtpMailer, SmtpServer
from yellowbooks.signin import Letters, SignIn, SignInHandler, kind

ACT, URL, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
SENDER = Mailbox("Yellow Books", "no-reply@example.mn")
CONCURRENCY = 200


def mailer() -> SmtpMailer:
    """The pool as the product has it."""
    return SmtpMailer([SmtpServer.parse(sys.argv[4])], "mail.example.mn", bounds=Bounds(sessions=20))


async def enqueue() -> None:
    """The backlog."""
    queue = Queue(URL)
    await queue.admit_many(kind(rate=Rate(10, 3600), backoff=Backoff()), [event(number) for number in range(COUNT)])
    await queue.close()
    print(json.dumps({"count": COUNT}))


async def work() -> None:
    """Send what is there; the CPU (us) of this process a mail, from the first handler on."""
    stop, sender = asyncio.Event(), mailer()
    send, done, began = SignInHandler(Letters(), sender, SENDER), 0, 0.0

    async def handle(lease: Lease, sign_in: SignIn) -> None:
        nonlocal done, began
        began = began or time.process_time()
        await send(lease, sign_in)
        done += 1
        if done == COUNT:
            stop.set()

    first = kind(handle, rate=Rate(10, 3600), backoff=Backoff())
    worker = Worker(lambda: Queue(URL), [first], concurrency=CONCURRENCY, grace=5, tell=quiet)
    await worker.run(stop, asyncio.Event())
    print(json.dumps({"cpu": (time.process_time() - began) / COUNT * 1e6}))
    await sender.aclose()


async def written(sign_in: SignIn) -> Message:
    """The mail that the real handler makes of an event."""
    made: list[Message] = []

    class Keeps:
        async def send(self, message: Message, _commit: object) -> str:
            made.append(message)
            return ""

        async def aclose(self) -> None: ...

    now = int(time.time() * 1000)
    lease = Lease("one", "signin-notification", 1, now, now, 0, "", b"", None)  # type: ignore[arg-type]
    await SignInHandler(Letters(), Keeps(), SENDER)(lease, sign_in)
    return made[0]


async def letter() -> None:
    """Our letter with holes for the user's fields: the peer sends the same text and HTML."""
    one = event(0)
    one.name = "NAME"
    mail = BytesParser(_class=EmailMessage, policy=default).parsebytes((await written(one)).data)
    parts = {kind: mail.get_body((kind,)).get_content() for kind in ("plain", "html")}  # type: ignore[union-attr]
    text, html = (part.replace("203.0.113.7", "ADDRESS") for part in parts.values())
    print(json.dumps({"subject": mail["Subject"], "text": text, "html": html}))


async def transaction() -> None:
    """Ready bytes to the server's answer, 100 at once: the CPU (us) of this process a mail."""
    sender, message = mailer(), await written(event(0))

    async def commit() -> None:
        await asyncio.sleep(0)

    async def some() -> None:
        for _ in range(COUNT // CONCURRENCY):
            await sender.send(message, commit)

    await some()
    began = time.process_time()
    await asyncio.gather(*(some() for _ in range(CONCURRENCY)))
    print(json.dumps({"cpu": (time.process_time() - began) / COUNT * 1e6}))
    await sender.aclose()


uvloop.run({"enqueue": enqueue, "work": work, "transaction": transaction, "letter": letter}[ACT]())
