"""Celery: JSON, results ignored, one process of threads that fetches far ahead (its fastest way in one process)."""

import time

from celery import Celery
from tally import ACT, COUNT, TALLY, URL, event, report

app = Celery("peer_celery", broker=URL)
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=100,
    worker_send_task_events=False,
    worker_redirect_stdouts=False,
)


@app.task(name="handle")
def handle(**_event: str) -> None:
    TALLY.hit()


if __name__ == "__main__" and ACT == "enqueue":
    began = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for n in range(COUNT):
            handle.apply_async(kwargs=event(n), producer=producer)
    report(time.perf_counter() - began)
elif __name__ == "__main__":
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
    app.worker_main(["worker", "--pool=solo", *flags])
