"""What it costs that the job log keeps what was sent until a job ends: `python -m bench.bodies --jobs 20000`.

The recorder's CPU time (this process; not the database's) and the bytes of the database, without and with bodies, for
jobs that wait and for jobs that came and ended within one batch. Ratios are what counts.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import psycopg
from tests.conftest import PostgresServer, ValkeyServer

from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.joblog.recorder import Keep
from yellowbooks.jobs import Kind, Payload, Queue
from yellowbooks.jobs.outcome import Completed
from yellowbooks.sealing import Keyring


class Sent(Payload):
    """As large as a sign-in."""

    user: str
    about: str = "x" * 160

    def key(self) -> str | None:
        """The user."""
        return self.user


KIND = Kind("sent", Sent, seal=Keyring(["a-key-that-is-only-for-measuring-costs"]))


async def measure(valkey: ValkeyServer, url: str, jobs: int, keep: Keep, *, ends: bool) -> tuple[float, float]:
    """Microseconds of CPU and bytes of the database, a job."""
    queue = Queue(valkey.url, name=f"cost-{time.monotonic_ns()}")
    log, stop = JobLog(url), asyncio.Event()
    log.migrate()
    before = size(url)
    await queue.admit_many(KIND, (Sent(user=f"u{n}") for n in range(jobs)))
    while ends and (leases := (await queue.claim([KIND], 100))[0]):
        await queue.settle_many([(lease, Completed()) for lease in leases])
    recorder = Recorder(queue, log, on_trouble=print, on_recovered=lambda: None, keep=keep)
    began = time.process_time()
    running = asyncio.create_task(recorder.run(stop))
    while await queue.link.client.xlen(f"{queue.tag}:events"):
        await asyncio.sleep(0.05)
    spent = time.process_time() - began
    stop.set()
    await running
    await queue.close()
    log.close()
    return spent * 1e6 / jobs, (size(url) - before) / jobs


def size(url: str) -> int:
    """Bytes of the database."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert found
        return int(found[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20_000)
    jobs = parser.parse_args().jobs
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    valkey, postgres = ValkeyServer(folder), PostgresServer()
    valkey.start()
    print("| store | jobs | CPU a job, without | with | bytes a job, without | with |\n|---|---|---|---|---|---|")
    try:
        for store in ("sqlite", "postgresql"):
            for ends in (False, True):
                found = []
                for keep in ("none", "sealed"):
                    path = f"sqlite:///{folder}/{keep}-{ends}.sqlite3"
                    url = path if store == "sqlite" else postgres.new_database()
                    found.append(asyncio.run(measure(valkey, url, jobs, keep, ends=ends)))
                (cpu, size_), (cpu_with, size_with) = found
                words = "came and ended" if ends else "wait"
                print(
                    f"| {store} | {words} | {cpu:.0f} us | {cpu_with:.0f} us | {size_:.0f} | {size_with:.0f} |",
                    flush=True,
                )
    finally:
        valkey.stop()
        postgres.server.cleanup()


if __name__ == "__main__":
    main()
