"""Dramatiq: the Redis broker without the middlewares that an empty handler does not need, 8 threads."""

import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from tally import ACT, COUNT, TALLY, URL, event, report

broker = RedisBroker(url=URL, middleware=[dramatiq.middleware.Retries()])
dramatiq.set_broker(broker)


@dramatiq.actor
def handle(**_event: str) -> None:
    TALLY.hit()


if ACT == "enqueue":
    began = time.perf_counter()
    for n in range(COUNT):
        handle.send(**event(n))
    report(time.perf_counter() - began)
else:
    dramatiq.Worker(broker, worker_threads=8).start()
    time.sleep(600)
