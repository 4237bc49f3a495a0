"""RQ: enqueue_many, a SimpleWorker (no fork a job) in burst mode, results dropped."""

import time

from redis import Redis
from rq import Queue, SimpleWorker
from tally import ACT, COUNT, TALLY, URL, event, report

connection = Redis.from_url(URL)
queue = Queue(connection=connection)


def handle(**_event: str) -> None:
    TALLY.hit()


if __name__ == "__main__" and ACT == "enqueue":
    began = time.perf_counter()
    for start in range(0, COUNT, 1000):
        many = range(start, min(COUNT, start + 1000))
        queue.enqueue_many([Queue.prepare_data("peer_rq.handle", kwargs=event(n), result_ttl=0) for n in many])
    report(time.perf_counter() - began)
elif __name__ == "__main__":
    import sys

    sys.modules["peer_rq"] = sys.modules["__main__"]
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
