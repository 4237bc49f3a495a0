"""streaQ: concurrency and prefetch 100, results dropped."""

import time

import anyio
from streaq import Worker
from tally import ACT, COUNT, TALLY, URL, event, report

worker = Worker(redis_url=URL, concurrency=100, prefetch=100)


@worker.task(ttl=0)
async def handle(number: int, fields: dict) -> None:  # type: ignore[type-arg]
    TALLY.hit()


async def main() -> None:
    if ACT == "enqueue":
        async with worker:
            began = time.perf_counter()
            for start in range(0, COUNT, 1000):
                many = range(start, min(COUNT, start + 1000))
                await worker.enqueue_many([handle.enqueue(n, event(n)) for n in many])
            report(time.perf_counter() - began)
    else:
        await worker.run_async()


anyio.run(main, backend="asyncio", backend_options={"use_uvloop": True})
