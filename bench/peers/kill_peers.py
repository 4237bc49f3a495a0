"""Jobs of 20 ms on each peer, to be killed: `kill_peers.py PEER enqueue|work URL COUNT JOURNAL`.

The effect of a job is its number in a file, once its 20 ms are over.
"""

import asyncio
import os
import sys
import time

PEER, ACT, URL, COUNT, JOURNAL = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
SECONDS, AT_ONCE = 0.02, 20
FILE = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def effect(number: int) -> None:
    """One short append is whole or not there."""
    os.write(FILE, f"{number}\n".encode())


def handle(number: int) -> None:
    """A job in a thread."""
    time.sleep(SECONDS)
    effect(number)


def celery(**settings: object) -> None:
    """Celery, 20 threads; early acknowledgement unless the settings say otherwise."""
    from celery import Celery

    app = Celery("kill_peers", broker=URL)
    app.conf.update(task_ignore_result=True, worker_redirect_stdouts=False, worker_prefetch_multiplier=1, **settings)
    task = app.task(name="handle")(handle)
    if ACT == "enqueue":
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(COUNT):
                task.apply_async(args=(number,), producer=producer)
    else:
        app.worker_main(["worker", "--pool=threads", f"--concurrency={AT_ONCE}", "--loglevel=ERROR"])


def celery_late() -> None:
    """Celery with late acknowledgement; its visibility timeout is the default of an hour."""
    celery(task_acks_late=True, task_reject_on_worker_lost=True)


def huey() -> None:
    """Huey, 20 threads."""
    from huey import RedisHuey

    app = RedisHuey("kills", url=URL, results=False)
    task = app.task(name="handle")(handle)
    if ACT == "enqueue":
        for number in range(COUNT):
            task(number)
    else:
        app.create_consumer(workers=AT_ONCE, worker_type="thread", periodic=False).run()


def dramatiq() -> None:
    """Dramatiq with its own middlewares, 20 threads."""
    import dramatiq as library
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=URL)
    library.set_broker(broker)
    actor = library.actor(actor_name="handle")(handle)
    if ACT == "enqueue":
        for number in range(COUNT):
            actor.send(number)
    else:
        library.Worker(broker, worker_threads=AT_ONCE).start()
        time.sleep(600)


def saq() -> None:
    """SAQ, 20 at once."""
    from saq import Queue, Worker

    async def run(_context: object, *, number: int) -> None:
        await asyncio.sleep(SECONDS)
        effect(number)

    run.__qualname__ = "handle"

    async def main() -> None:
        queue = Queue.from_url(URL)
        await queue.connect()
        if ACT == "enqueue":
            for number in range(COUNT):
                await queue.enqueue("handle", ttl=-1, number=number, retries=5)
        else:
            await Worker(queue, functions=[("handle", run)], concurrency=AT_ONCE).start()

    asyncio.run(main())


def ours() -> None:
    """Yellow Books Jobs, 20 at once, the lease of 30 s that it ships with; the job commits before its effect."""
    from yellowbooks.jobs import Kind, Lease, Payload, Queue, Worker

    class Numbered(Payload):
        number: int

    async def run(lease: Lease, job: Numbered) -> None:
        await asyncio.sleep(SECONDS)
        await lease.commit()
        effect(job.number)

    kind = Kind("handle", Numbered, run)

    async def main() -> None:
        if ACT == "enqueue":
            queue = Queue(URL)
            await queue.admit_many(kind, [Numbered(job_id=f"j{number}", number=number) for number in range(COUNT)])
            await queue.close()
        else:
            worker = Worker(lambda: Queue(URL), [kind], concurrency=AT_ONCE, grace=5, tell=lambda *_, **__: None)
            await worker.run(asyncio.Event(), asyncio.Event())

    asyncio.run(main())


if __name__ == "__main__":
    {"celery": celery, "celery_late": celery_late, "huey": huey, "dramatiq": dramatiq, "saq": saq, "ours": ours}[PEER]()
