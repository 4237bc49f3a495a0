"""Personal data stays in the mail and, until it is sent, in the queue: nowhere else (domain checklist, P2 to P4)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.mail.test_smtp import Server, mailer
from tests.parts import Told, eventually
from tests.signin.cases import LETTERS
from tests.test_up import free_port
from yellowbooks import signin
from yellowbooks.joblog import JobLog
from yellowbooks.jobs import Backoff, Job, Kind, Queue, Rate, State, Worker
from yellowbooks.mail import Inbox, Mailer, SuppressionList, mailbox
from yellowbooks.signin import SignIn
from yellowbooks.views import job_view

CANARIES = ("canary-address", "canary-name", "203.0.113.77", "canary-agent", "canary-user")
EVENT = SignIn(
    user_id="canary-user", email="canary-address@example.com", name="canary-name", provider="github",
    ip_address="203.0.113.77", user_agent="canary-agent/1.0",
)  # fmt: skip


async def run(
    queue: Queue, open_queue: Callable[[], Queue], mailer: Mailer, mails: SuppressionList
) -> tuple[Job, Told]:
    """One sign-in to its end, and what the worker told of it."""
    handler = signin.SignInHandler(LETTERS, mailer, mailbox("no-reply@example.mn"), b"secret", suppressions=mails)
    kind: Kind[SignIn] = signin.kind(handler, rate=Rate(10, 3600), backoff=Backoff(attempts=2, base=0.01))
    told, stop = Told(), asyncio.Event()
    running = asyncio.create_task(
        Worker(open_queue, [kind], concurrency=2, grace=1, tell=told).run(stop, asyncio.Event())
    )
    job_id, _ = await queue.admit(kind, EVENT)

    async def ended() -> Job | None:
        job = await queue.show(job_id)
        return job if job and job.state in (State.COMPLETED, State.DEAD) else None

    job: Job = await eventually(ended)
    stop.set()
    await running
    return job, told


def stored(client: "Valkey[bytes]", *patterns: str) -> str:
    """Every key with its value, as it lies at the server."""
    found: list[Any] = []
    for pattern in patterns:
        for key in client.scan_iter(pattern, count=10_000):
            match client.type(key):
                case b"string":
                    value: Any = client.get(key)
                case b"hash":
                    value = client.hgetall(key)
                case b"list":
                    value = client.lrange(key, 0, -1)
                case b"zset":
                    value = client.zrange(key, 0, -1)
                case b"stream":
                    value = client.xrange(key)
                case other:
                    raise AssertionError(f"what is in a {other!r}?")
            found.append((key, value))
    assert len(found) > 3
    return str(found)


def mail_list(queue: Queue, name: str) -> SuppressionList:
    async def execute(*command: str | int | bytes) -> object:
        return await queue.link.reach(lambda: queue.link.client.execute_command(*command))

    return SuppressionList(execute, b"secret", name=name)


async def test_p2_p4_after_a_mail_is_sent_nothing_of_it_is_left(
    queue: Queue, open_queue: Callable[[], Queue], queue_name: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    mails = mail_list(queue, queue_name)
    job, told = await run(queue, open_queue, Inbox(tmp_path / "inbox"), mails)
    assert job.state is State.COMPLETED
    client = valkey.client()
    left = stored(client, f"{queue.tag}:*", f"{{yb:{queue_name}}}:*")
    client.close()
    outside = f"{told.lines} {job_view(job)}"
    for canary in CANARIES:
        assert canary not in outside
        assert canary not in left


async def test_p2_p3_a_dead_job_names_nobody_where_it_is_shown_told_or_logged(
    queue: Queue, open_queue: Callable[[], Queue], queue_name: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    mails = mail_list(queue, queue_name)
    server = Server()  # it knows nobody, and repeats the address
    server.answers["RCPT"] = f"550 5.1.1 <{EVENT.email}>: unknown"
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    sender = mailer(f"smtp://127.0.0.1:{controller.port}?starttls=never")
    job, told = await run(queue, open_queue, sender, mails)
    await sender.aclose()
    await asyncio.sleep(0.05)  # the server sees the end of what was closed
    controller.stop()
    assert job.state is State.DEAD
    assert job.error
    assert "(address)" in job.error
    log = JobLog(f"sqlite:///{tmp_path}/log.sqlite3")
    log.migrate()
    events = await queue.read(0.1, after="0-0")
    log.append(events)
    logged = log.find(job.id)
    log.close()
    assert logged
    database = (tmp_path / "log.sqlite3").read_bytes().decode("latin-1")
    for canary in CANARIES:
        assert canary not in f"{told.lines} {job_view(job)} {job_view(logged)} {events}"
        assert canary not in database
