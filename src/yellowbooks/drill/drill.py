"""The exercise: a Valkey, two workers and a mail server of its own, on this machine; a worker is killed, Valkey is
frozen, the mail server hangs up after the dot. It ends only what it started."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from yellowbooks.drill.report import Report
from yellowbooks.drill.sink import NOBODY, Sink
from yellowbooks.embedded import valkey_command, valkey_environment
from yellowbooks.jobs import Backoff, Job, Queue, Rate, State, patiently
from yellowbooks.processes import Child, role
from yellowbooks.settings import NAMES, inherited
from yellowbooks.signin import SignIn, kind

WORKERS = 2
LEASE_SECONDS = 2
FROZEN_SECONDS = 3.0
DROPS = 2  # with three in a row the breaker would hold the mails for its 15 s
DEAD_EVERY = 40  # of the sign-ins, one is for an address that is refused
NAMED = 200
REACH_SECONDS = 30.0  # what a call gets to reach a queue that is frozen or starts
END_SECONDS = 2.0
UNDER_WAY = (State.SCHEDULED, State.ENQUEUED, State.PROCESSING, State.RETRYING)

Say = Callable[[str], None]


class Drill:
    """One exercise with so many mails, over within about so many seconds; `say` hears each step."""

    def __init__(self, mails: int, seconds: float, say: Say) -> None:
        self._mails = mails
        self._until = time.monotonic() + seconds
        self._say = say
        self._kind = kind(rate=Rate(10**6, 3600), backoff=Backoff(5, 0.2))
        self._sink = Sink()
        self._jobs: dict[str, str] = {}
        self._children: list[Child] = []
        self._report = Report()

    async def run(self) -> Report:
        """Everything, from the start of the servers to their end. Raises `QueueUnavailable`, `OSError`."""
        folder = Path(tempfile.mkdtemp(prefix="ybdrill"))
        try:
            async with self._system(folder) as queue:
                await self._exercise(queue)
                self._step("waiting until every job has ended")
                jobs = await self._ended(queue)
                self._report.count({address: jobs[job_id] for address, job_id in self._jobs.items()}, self._sink.taken)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return self._report

    async def _exercise(self, queue: Queue) -> None:
        quarter = max(1, self._mails // 4)
        await self._accept(queue, quarter)
        killed = self._children[1]
        sending = await self._sending(queue, killed.pid)
        os.kill(killed.pid, signal.SIGKILL)
        self._step(f"worker {killed.pid} is killed while it sends {sending} mails")
        await self._accept(queue, quarter)
        await asyncio.to_thread(killed.end, END_SECONDS)
        killed.start()
        self._step(f"another worker starts: {killed.pid}")
        self._step(f"Valkey is frozen for {FROZEN_SECONDS:.0f} s, and sign-ins go on coming")
        valkey = self._children[0].pid
        os.kill(valkey, signal.SIGSTOP)
        try:
            accepting = asyncio.create_task(self._accept(queue, quarter))
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            os.kill(valkey, signal.SIGCONT)
        await accepting
        self._step(f"the mail server takes {DROPS} mails and hangs up before it says so")
        self._sink.drops = DROPS
        await self._accept(queue, max(quarter, self._mails - len(self._jobs)))
        self._step(f"{len(self._jobs)} sign-ins were accepted")

    async def _accept(self, queue: Queue, count: int) -> None:
        """Take sign-ins in until each is accepted: one whose answer was lost is sent again with its id."""
        first = len(self._jobs)
        for number in range(first, first + count):
            name = NOBODY if number % DEAD_EVERY == DEAD_EVERY - 1 else "person"
            address = f"{name}-{number}@drill.example"
            event = SignIn(job_id=f"drill-{number}", user_id=f"user-{number}", email=address, provider="github")
            _, receipt = await patiently(partial(queue.admit, self._kind, event), REACH_SECONDS)
            if receipt.word in ("admitted", "seen"):
                self._jobs[address] = f"drill-{number}"

    async def _sending(self, queue: Queue, pid: int) -> int:
        """Wait until this worker has mails under way, taking in more where all were sent; how many it has."""
        while True:
            survey = await patiently(lambda: queue.survey(NAMED), REACH_SECONDS)
            ours = {name for name, one in dict(survey.workers).items() if one.about.endswith(f":{pid}")}
            sending = sum(one.worker in ours for one in survey.running)
            if sending or time.monotonic() > self._until:
                return sending
            await self._accept(queue, 5)

    async def _ended(self, queue: Queue) -> dict[str, Job | None]:
        """Every job as it is when all have ended, or the time is up."""
        ids = list(self._jobs.values())
        while True:
            found = {job_id: await patiently(partial(queue.show, job_id), REACH_SECONDS) for job_id in ids}
            waits = [job for job in found.values() if job and job.state in UNDER_WAY]
            if not waits or time.monotonic() > self._until:
                return found
            await asyncio.sleep(0.25)

    @asynccontextmanager
    async def _system(self, folder: Path) -> AsyncIterator[Queue]:
        await self._sink.start()
        (folder / "valkey").mkdir()
        url = f"unix://{folder}/valkey.sock"
        ours = {
            "YB_VALKEY_URL": url, "YB_DATA_DIR": str(folder), "YB_LEASE_SECONDS": str(LEASE_SECONDS),
            "YB_SMTP_URL": f"smtp://127.0.0.1:{self._sink.port}?starttls=never", "YB_RETRY": "attempts=5,base=0.2s",
        }  # fmt: skip
        environment = inherited(**(dict.fromkeys(NAMES, "") | ours))
        log = (folder / "log").open("wb")
        valkey = Child("valkey", valkey_command(folder), inherited(**valkey_environment()), log=log.fileno())
        workers = [Child("worker", role("worker", "--grace=1"), environment, log=log.fileno()) for _ in range(WORKERS)]
        self._children = [valkey, *workers]
        queue = Queue(url, lease=LEASE_SECONDS)
        try:
            for child in self._children:
                child.start()
            await patiently(queue.ping, REACH_SECONDS)
            self._step(f"a Valkey ({valkey.pid}), {WORKERS} workers and a mail server of its own have started")
            yield queue
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(valkey.pid, signal.SIGCONT)
            await queue.close()
            for child in reversed(self._children):
                await asyncio.to_thread(child.end, END_SECONDS)
            log.close()
            await self._sink.close()

    def _step(self, what: str) -> None:
        self._report.steps.append(what)
        self._say(what)
