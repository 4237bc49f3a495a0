"""Taskiq: the list broker of taskiq-redis, no result backend, its receiver in this process, uvloop."""

import asyncio
import time

import uvloop
from tally import ACT, COUNT, TALLY, URL, event, report
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(URL)


@broker.task(task_name="handle")
async def handle(**_event: str) -> None:
    TALLY.hit()


async def main() -> None:
    if ACT == "enqueue":
        await broker.startup()
        began = time.perf_counter()
        for start in range(0, COUNT, 100):
            many = range(start, min(COUNT, start + 100))
            await asyncio.gather(*(handle.kiq(**event(n)) for n in many))
        report(time.perf_counter() - began)
    else:
        await run_receiver_task(broker, run_startup=True, max_async_tasks=100, max_prefetch=100)


uvloop.run(main())
