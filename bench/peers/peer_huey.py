"""Huey: results off, 4 threads."""

import time

from huey import RedisHuey
from tally import ACT, COUNT, TALLY, URL, event, report

huey = RedisHuey("bench", url=URL, results=False)


@huey.task()
def handle(**_event: str) -> None:
    TALLY.hit()


if ACT == "enqueue":
    began = time.perf_counter()
    for n in range(COUNT):
        handle(**event(n))
    report(time.perf_counter() - began)
else:
    consumer = huey.create_consumer(workers=4, worker_type="thread", periodic=False)
    consumer.start()
    time.sleep(600)
