"""The stage of rolling restarts: servers, two of each role, sign-ins without a pause, and the count at the end."""

import asyncio
import collections
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiosmtpd.controller import Controller

from tests.conftest import ValkeyServer
from tests.rolling.balancer import Balancer
from tests.test_up import ROOT, environment, free_port
from yellowbooks.joblog import JobLog
from yellowbooks.jobs import Job, Queue, State

DRAIN = "1.5s"  # the balancer asks every 0.1 s; a busy machine is slow to answer
USERS = 4
READY_SECONDS = 90.0
ENDED = (State.COMPLETED, State.DEAD, State.CANCELLED)


class Sink:
    """An SMTP server that takes its time and counts mails by recipient."""

    def __init__(self) -> None:
        self.mails: collections.Counter[str] = collections.Counter()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail. (aiosmtpd names the method.)"""
        await asyncio.sleep(0.05)
        self.mails.update(envelope.rcpt_tos)
        return "250 2.0.0 queued"


@dataclass
class Tally:
    """What came of a campaign."""

    restarts: int = 0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    late: int = 0
    slowest: float = 0.0
    mails: int = 0
    lost: int = 0
    twice: int = 0
    attempts: int = 0
    crashes: int = 0
    returned: int = 0
    unlogged: int = 0
    unclean: list[str] = field(default_factory=list)

    def broken(self) -> list[str]:
        """Which promises were broken."""
        zero = ("failed", "late", "lost", "twice", "attempts", "crashes", "unlogged", "unclean")
        return [f"{name}: {value}" for name in zero if (value := getattr(self, name))]


class Role:
    """One process of a role, in its place; a place keeps its port."""

    def __init__(self, stage: "Stage", name: str, *words: str, **settings: str) -> None:
        self.stage, self.name, self.words, self.settings = stage, name, words, settings
        self.process: subprocess.Popen[bytes] | None = None
        self.log = stage.folder / f"{name}.log"

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        log = self.log.open("wb")
        given = environment(**self.stage.settings, **self.settings)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "yellowbooks", *self.words], env=given, cwd=ROOT, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + READY_SECONDS
        while b'"ready"' not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{self.name} is not ready:\n{self.log.read_text()}"
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """SIGTERM, and wait; whoever does not end with 0 is noted."""
        if self.process is None:
            return
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            status = await asyncio.to_thread(self.process.wait, 60)
        except subprocess.TimeoutExpired:
            status = None
            self.kill()
        if status != 0:
            self.stage.tally.unclean.append(f"{self.name} ended with {status}: {self.log.read_text()[-500:]}")

    async def restart(self) -> None:
        """As a rolling deploy does: a worker's successor comes first, an API's when its port is free."""
        self.stage.tally.restarts += 1
        if self.words[0] == "api":
            await self.stop()
            await self.start()
            await self.stage.wait_for(int(self.settings["YB_PORT"]))
            return
        old = self.process
        await self.start()
        new, self.process = self.process, old
        await self.stop()
        self.process = new

    def kill(self) -> None:
        """At the end of a campaign that failed."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Stage:
    """Two APIs behind a balancer, each with a recorder, two workers, a Valkey, a database and an SMTP server."""

    def __init__(self, folder: Path, valkey: ValkeyServer, sink: Sink, smtp: str, database: str, drain: str) -> None:
        self.folder, self.sink, self.tally = folder, sink, Tally()
        self.database = database or f"sqlite:///{folder}/joblog.sqlite3"
        self.settings = {
            "YB_VALKEY_URL": valkey.url, "YB_DATA_DIR": str(folder / "data"), "YB_DATABASE_URL": self.database,
            "YB_SMTP_URL": smtp, "YB_LOG_FORMAT": "json", "YB_LEASE_SECONDS": "30",
        }  # fmt: skip
        ports = [free_port() for _ in range(2)]
        self.balancer = Balancer(ports)
        self.apis = [Role(self, f"api-{n}", "api", YB_PORT=str(port), YB_DRAIN=drain) for n, port in enumerate(ports)]
        self.workers = [Role(self, f"worker-{n}", "worker", YB_CONCURRENCY="5") for n in range(2)]
        self.queue = Queue(valkey.url)
        self.asked: list[str] = []

    @property
    def roles(self) -> list[Role]:
        """Every place."""
        return [*self.apis, *self.workers]

    async def wait_for(self, port: int) -> None:
        """Wait until the balancer sends connections there."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.balancer.ready(port):
            assert time.monotonic() < deadline, f"the API on {port} is not ready"
            await asyncio.sleep(0.02)

    async def sign_in(self, client: httpx.AsyncClient, stop: asyncio.Event, place: int) -> None:
        """One browser after another: a sign-in, a short pause, the next. A request is made once."""
        number = 0
        while not stop.is_set():
            job_id, number = f"{place}-{number}", number + 1
            event = {"jobId": job_id, "userId": f"u-{job_id}", "email": f"{job_id}@example.com", "provider": "github"}
            self.tally.requests += 1
            began = time.monotonic()
            try:
                reply = await client.post("/api/jobs/signin-notification", json=event)
                if reply.status_code == 202:
                    self.asked.append(job_id)
                else:
                    self.tally.failed.append(f"{job_id}: {reply.status_code} {reply.text}")
            except httpx.HTTPError as error:
                self.tally.failed.append(f"{job_id}: {error!r}")
            self.tally.slowest = max(self.tally.slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)

    async def run(self, rounds: int) -> Tally:
        """Restart one of each role in each round, under load; the count."""
        await asyncio.gather(*(role.start() for role in self.roles))
        for api in self.apis:
            await self.wait_for(int(api.settings["YB_PORT"]))
        stop = asyncio.Event()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.balancer.port}", timeout=30) as client:
            users = [asyncio.create_task(self.sign_in(client, stop, place)) for place in range(USERS)]
            for number in range(rounds):
                turn = (self.apis[number % 2], self.workers[number % 2])  # an API's recorder goes and comes with it
                await asyncio.gather(*(role.restart() for role in turn))
            stop.set()
            await asyncio.gather(*users)
        await self.count()
        await self.read_log()
        return self.tally

    async def count(self) -> None:
        """Wait until every job has ended; then look at each, in the queue and at the SMTP server."""
        jobs = [await self._ended(job_id) for job_id in self.asked]
        tally = self.tally
        for job in jobs:
            tally.lost += job.state is not State.COMPLETED or not self.sink.mails[f"{job.id}@example.com"]
            tally.twice += self.sink.mails[f"{job.id}@example.com"] > 1
            tally.attempts += job.attempts != 1
            tally.crashes += job.crashes
            tally.returned += sum(event.name == "released" for event in job.history)
        tally.mails, tally.late = sum(self.sink.mails.values()), self.balancer.late

    async def read_log(self) -> None:
        """Wait until the job log has the end of each job."""
        log = JobLog(self.database)
        missing = set(self.asked)
        deadline = time.monotonic() + 30
        while missing and time.monotonic() < deadline:
            missing -= {job_id for job_id in missing if (row := log.find(job_id)) and row.state is State.COMPLETED}
            await asyncio.sleep(0.1)
        log.close()
        self.tally.unlogged = len(missing)

    async def _ended(self, job_id: str, seconds: float = 60.0) -> Job:
        deadline = time.monotonic() + seconds
        while True:
            job = await self.queue.show(job_id)
            assert job is not None, f"{job_id} was accepted, and nobody knows it"
            if job.state in ENDED or time.monotonic() > deadline:
                return job
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def stage(folder: Path, database: str = "", drain: str = DRAIN) -> AsyncIterator[Stage]:
    """Everything but the roles is started; at the end nothing of it runs."""
    valkey, sink = ValkeyServer(folder), Sink()
    valkey.start()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    it = Stage(folder, valkey, sink, f"smtp://127.0.0.1:{controller.port}", database, drain)
    try:
        async with it.balancer:
            yield it
            await asyncio.gather(*(role.stop() for role in it.roles))
    finally:
        for role in it.roles:
            role.kill()
        controller.stop()
        await it.queue.close()
        valkey.stop()
