"""A sign-in of an address that gets no mail: its job is dead, says why, and leaves once the address is lifted."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.mail.reports import SECRET, report
from tests.parts import Told, eventually
from tests.signin.cases import FULL, LETTERS
from yellowbooks import signin
from yellowbooks.jobs import Backoff, Job, Queue, Rate, State, Worker
from yellowbooks.mail import BounceIntake, Inbox, Message, SuppressionList, lifted, mailbox


async def test_a_bounced_address_gets_no_further_mail_until_it_is_lifted(
    queue: Queue, open_queue: Callable[[], Queue], queue_name: str, tmp_path: Path
) -> None:
    async def execute(*command: str | int | bytes) -> object:
        return await queue.link.reach(lambda: queue.link.client.execute_command(*command))

    mails, inbox = SuppressionList(execute, SECRET, name=queue_name), Inbox(tmp_path)
    handler = signin.SignInHandler(LETTERS, inbox, mailbox("no-reply@example.mn"), SECRET, suppressions=mails)
    kind = signin.kind(handler, rate=Rate(10, 3600), backoff=Backoff())
    stop, told = asyncio.Event(), Told()
    worker = Worker(open_queue, [kind], concurrency=2, grace=1, tell=told)
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))

    async def ended(job_id: str, state: State) -> Job:
        async def look() -> Job | None:
            job = await queue.show(job_id)
            return job if job and job.state is state else None

        found: Job = await eventually(look)
        return found

    first, _ = await queue.admit(kind, FULL)
    await ended(first, State.COMPLETED)
    source = inbox.read(inbox.entries(1)[0].id).source.encode()
    kept = Message("", "", FULL.email, "", source.replace(b"\n", b"\r\n") if b"\r\n" not in source else source)
    assert [taken.word for taken in await BounceIntake(mails, SECRET).take(report(kept))] == ["suppressed"]

    second, _ = await queue.admit(kind, FULL)
    dead = await ended(second, State.DEAD)
    assert dead.cause == "suppressed"
    assert dead.attempts == 1
    assert dead.error
    assert "5.1.1" in dead.error
    assert f"yellowbooks mail suppression lift {mails.ref(FULL.email)}, then requeue this job" in dead.error
    # What is kept and told of it names no address (P2, P3).
    assert FULL.email not in f"{dead} {told.lines}"

    await mails.change(mails.ref(FULL.email), lifted)
    await queue.requeue([second])
    await ended(second, State.COMPLETED)
    assert len(inbox.entries(10)) == 2
    stop.set()
    await running
