"""Yellow Books Jobs: admit_many, one worker process, leases, limits, fencing and events on; uvloop."""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from signins import event, quiet

from yellowbooks.jobs import Backoff, Kind, Lease, Queue, Rate, Worker
from yellowbooks.jobs.outcome import Completed
from yellowbooks.signin import SignIn

ACT, URL, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Drain:
    """Counts as the peers' tally does."""

    def __init__(self) -> None:
        self.done, self.began = 0, 0.0
        self.stop = asyncio.Event()

    async def handle(self, _lease: Lease, _event: SignIn) -> None:
        self.done += 1
        if self.done == 1:
            self.began = time.perf_counter()
        if self.done == COUNT:
            print(json.dumps({"seconds": time.perf_counter() - self.began}), flush=True)
            self.stop.set()


def kind_of(handler: object) -> Kind[SignIn]:
    """The kind as the product has it."""
    return Kind("signin-notification", SignIn, handler, Rate(10, 3600), Backoff())  # type: ignore[arg-type]


async def enqueue() -> None:
    """Bulk, timed."""
    queue, kind = Queue(URL), kind_of(Drain().handle)
    events = [event(number) for number in range(COUNT)]
    began = time.perf_counter()
    receipts = await queue.admit_many(kind, events)
    seconds = time.perf_counter() - began
    assert all(receipt.word == "admitted" for _, receipt in receipts)
    print(json.dumps({"seconds": seconds}))
    await queue.close()


async def work() -> None:
    """Drain what is there; with a fourth argument only that many jobs, and the queue stays as full as it is."""
    drain = Drain()
    worker = Worker(lambda: Queue(URL), [kind_of(drain.handle)], concurrency=600, grace=5, tell=quiet)
    await worker.run(drain.stop, asyncio.Event())


async def latency() -> None:
    """From before `admit` to the start of the handler, both in this process."""
    waits: list[float] = []
    rate, sent = float(sys.argv[4]), {}

    async def handle(lease: Lease, _event: SignIn) -> None:
        waits.append(time.perf_counter() - sent[lease.job_id])

    stop, queue = asyncio.Event(), Queue(URL)
    kind = kind_of(handle)
    worker = Worker(lambda: Queue(URL), [kind], concurrency=200, grace=5, tell=quiet)
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))
    await asyncio.sleep(0.3)
    began, admitted = time.perf_counter(), []
    for number in range(COUNT):
        ahead = began + number / rate - time.perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        job_id = f"latency-{os.getpid()}-{number}"
        one = event(number)
        one.job_id = job_id
        sent[job_id] = time.perf_counter()
        admitted.append(asyncio.create_task(queue.admit(kind, one)))
    await asyncio.gather(*admitted)
    while len(waits) < COUNT:
        await asyncio.sleep(0.01)
    waits.sort()
    print(json.dumps({"p50": waits[COUNT // 2] * 1000, "p99": waits[int(COUNT * 0.99)] * 1000}))
    stop.set()
    await running
    await queue.close()


async def done() -> None:
    """From admission to the end of the attempt, with the real handler and the inbox, at a rate; by the queue's clock."""
    from yellowbooks.mail import Inbox, mailbox
    from yellowbooks.signin import Letters, SignInHandler

    with tempfile.TemporaryDirectory() as folder:
        handler = SignInHandler(Letters(), Inbox(Path(folder)), mailbox("Yellow Books <no-reply@example.mn>"))
        kind, stop, queue, rate = kind_of(handler), asyncio.Event(), Queue(URL), float(sys.argv[4])
        worker = Worker(lambda: Queue(URL), [kind], concurrency=20, grace=5, tell=quiet)
        running = asyncio.create_task(worker.run(stop, asyncio.Event()))
        began, ids = time.perf_counter(), []
        for number in range(COUNT):
            ahead = began + number / rate - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            ids.append((await queue.admit(kind, event(number)))[0])
        await asyncio.sleep(1)
        jobs = [job for job_id in ids if (job := await queue.show(job_id))]
        assert all(job.state == "completed" for job in jobs)
        took = sorted((job.ended or 0) - job.created for job in jobs)
        print(json.dumps({f"p{p}": took[len(took) * p // 100] for p in (50, 95, 99)}))
        stop.set()
        await running
        await queue.close()


async def growth() -> None:
    """What a job costs (admit, claim, settle) while so many others wait, in this process and in the server."""
    queue, kind = Queue(URL, backlog=10**9), kind_of(Drain().handle)
    # A rewrite of the AOF is a cost of its own, and would fall into some of the measurements.
    await queue.link.client.config_set("auto-aof-rewrite-percentage", 0)
    for start in range(0, COUNT, 10_000):
        await queue.admit_many(kind, [event(n) for n in range(start, min(COUNT, start + 10_000))])
    many, cycles = 100, 300

    async def cycle(number: int) -> None:
        await queue.admit_many(kind, [event(10**7 + number * many + n) for n in range(many)])
        leases, _ = await queue.claim([kind], many)
        await queue.settle_many([(lease, Completed()) for lease in leases])

    for number in range(50):
        await cycle(number)
    cpu, began = await _server_cpu(queue), time.perf_counter()
    for number in range(50, 50 + cycles):
        await cycle(number)
    wall, spent = time.perf_counter() - began, await _server_cpu(queue) - cpu
    print(json.dumps({"wall": wall / cycles / many * 1e6, "server": spent / cycles / many * 1e6}))
    await queue.close()


async def fair() -> None:
    """Behind so many jobs of one user, the first one of another: how many of the one's start before it, and when."""
    started: list[bool] = []
    first, moment = asyncio.Event(), 0.0

    async def handle(_lease: Lease, event: SignIn) -> None:
        started.append(event.user_id == "heavy")
        await asyncio.sleep(0.005)
        if event.user_id != "heavy":
            nonlocal moment
            moment = time.perf_counter()
            first.set()

    queue, stop = Queue(URL), asyncio.Event()
    kind = Kind("signin-notification", SignIn, handle, backoff=Backoff())
    heavy, other = event(0), event(1)
    heavy.user_id = "heavy"
    await queue.admit_many(kind, [heavy] * COUNT)
    worker = Worker(lambda: Queue(URL), [kind], concurrency=20, grace=5, tell=quiet)
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))
    await asyncio.sleep(0.5)
    before, began = len(started), time.perf_counter()
    await queue.admit(kind, other)
    await first.wait()
    print(json.dumps({"before": started.index(False) - before, "ms": (moment - began) * 1000}))
    stop.set()
    await running
    await queue.close()


async def _server_cpu(queue: Queue) -> float:
    info = await queue.link.client.info("cpu")
    return float(info["used_cpu_user_main_thread"] + info["used_cpu_sys_main_thread"])


ACTS = {"enqueue": enqueue, "work": work, "latency": latency, "done": done, "growth": growth, "fair": fair}
uvloop.run(ACTS[ACT]())
