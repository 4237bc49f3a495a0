"""BullMQ for Python: addBulk of 1,000, concurrency 100, completed jobs removed, uvloop."""

import asyncio
import time

import uvloop
from bullmq import Queue, Worker
from tally import ACT, COUNT, TALLY, URL, event, report


async def handle(_job: object, _token: str) -> None:
    TALLY.hit()


async def main() -> None:
    if ACT == "enqueue":
        queue = Queue("bench", {"connection": URL})
        began = time.perf_counter()
        for start in range(0, COUNT, 1000):
            many = range(start, min(COUNT, start + 1000))
            await queue.addBulk(
                [{"name": "signin", "data": event(n), "opts": {"removeOnComplete": True}} for n in many]
            )
        report(time.perf_counter() - began)
    else:
        Worker("bench", handle, {"connection": URL, "concurrency": 100})
        await asyncio.sleep(600)


uvloop.run(main())
