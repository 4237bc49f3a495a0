"""SAQ: asyncio, concurrency 100, results dropped, uvloop."""

import asyncio
import time

import uvloop
from saq import Queue, Worker
from tally import ACT, COUNT, TALLY, URL, event, report


async def handle(_context: object, **_event: str) -> None:
    TALLY.hit()


async def main() -> None:
    queue = Queue.from_url(URL)
    await queue.connect()
    if ACT == "enqueue":
        began = time.perf_counter()
        for start in range(0, COUNT, 100):
            many = range(start, min(COUNT, start + 100))
            await asyncio.gather(*(queue.enqueue("handle", ttl=-1, **event(n)) for n in many))
        report(time.perf_counter() - began)
    else:
        await Worker(queue, functions=[handle], concurrency=100).start()


uvloop.run(main())
