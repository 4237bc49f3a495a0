"""A worker process to be hurt: each job commits, makes its effect (a line in a file), and says so in the same file."""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from yellowbooks.jobs import Backoff, Kind, Lease, Partitions, Payload, Permanent, Queue, Worker
from yellowbooks.jobs.outcome import Doubt


class Work(Payload):
    """What a job is to do: how long (s) before and after its effect, and in which bad way."""

    before: float = 0.0
    after: float = 0.0
    way: str = ""


def effect(journal: Path, job_id: str) -> None:
    """The effect, once and whole: one short append."""
    with journal.open("ab", buffering=0) as file:
        file.write(f"{job_id}\n".encode())


def kind_of(journal: Path, doubt: Doubt = "resend_once") -> Kind[Work]:
    """The kind of this campaign."""

    async def handle(lease: Lease, work: Work) -> None:
        if work.way == "abort":
            os.kill(os.getpid(), signal.SIGKILL)
        if work.way == "block":
            time.sleep(work.before)  # the event loop stands still
        else:
            await asyncio.sleep(work.before)
        if work.way == "fail" and lease.attempt < 3:
            raise ValueError("not yet")
        if work.way == "die":
            raise Permanent("it can never be done")
        await lease.commit()
        effect(journal, lease.job_id)
        await asyncio.sleep(work.after)

    return Kind("work", Work, handle, backoff=Backoff(attempts=5, base=0.05), doubt=doubt)


def open_queue(options: dict[str, Any]) -> Queue:
    """The queue that these options name."""
    named = {name: options[name] for name in ("name", "lease", "replicas") if name in options}
    if "partitions" in options:
        return Partitions(options["url"], options["partitions"], **named)
    return Queue(options["url"], **named)


async def main() -> None:
    """Run until SIGTERM; a second one ends at once."""
    options = json.loads(sys.argv[1])
    if "files" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["files"], options["files"]))
    stop, at_once = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        (at_once if stop.is_set() else stop).set()

    loop.add_signal_handler(signal.SIGTERM, end)
    worker = Worker(
        lambda: open_queue(options),
        [kind_of(Path(options["journal"]), options.get("doubt", "resend_once"))],
        concurrency=options.get("concurrency", 10),
        grace=options.get("grace", 5.0),
        tell=lambda word, **fields: print(word, fields, file=sys.stderr, flush=True),
    )
    await worker.run(stop, at_once)


if __name__ == "__main__":
    uvloop.run(main())
