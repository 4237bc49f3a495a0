"""A system in one process for the commands about a person: queue, recorder, log, inbox, over real servers."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ValkeyServer
from yellowbooks import privacy, wiring
from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.jobs import Kind, Queue, parts_of
from yellowbooks.settings import Settings, load
from yellowbooks.signin import SignIn
from yellowbooks.wiring import every_kind

KEY, OLD_KEY = "k" * 40, "o" * 40
USER, ADDRESS = "canary-user-77", "canary-bat@example.com"
EVENT: dict[str, Any] = {
    "user_id": USER, "email": ADDRESS, "name": "canary-name", "provider": "github", "ip_address": "203.0.113.77",
    "user_agent": "Mozilla/5.0 (canary-agent) Chrome/143.0",
}  # fmt: skip
OTHER = {
    **EVENT, "user_id": "somebody-else", "email": "dorj@example.com", "name": "other-name", "ip_address": "192.0.2.9",
    "user_agent": "Mozilla/5.0 Firefox/150.0",
}  # fmt: skip
MARKS = ("canary", "203.0.113.77")


@dataclass
class Rig:
    settings: Settings
    queue: Queue
    log: JobLog
    kinds: list[Kind[Any]]

    @property
    def sign_in(self) -> Kind[SignIn]:
        return self.kinds[0]

    async def admit(self, event: dict[str, Any] = EVENT, **options: Any) -> str:
        job_id, receipt = await self.queue.admit(self.sign_in, SignIn(**event), **options)
        assert receipt.word == "admitted"
        return job_id

    async def recorded(self) -> None:
        """Wait until the log has every event."""
        async with asyncio.timeout(30):
            for part in parts_of(self.queue):
                while await part.read(0.01):
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def held(self, patience: float = 30.0) -> AsyncIterator[wiring.Holdings]:
        async with wiring.holdings(self.settings, patience) as held:
            yield held

    async def export(self, user: str | None = USER, address: str | None = None) -> dict[str, Any]:
        async with self.held() as held:
            person = wiring.find_person(user, address)
            return privacy.as_json(await privacy.gather(held.parts, person), person, "now")

    async def erase(
        self, user: str | None = USER, address: str | None = None, patience: float = 30.0
    ) -> privacy.Erasure:
        async with self.held(patience) as held:
            person = wiring.find_person(user, address)
            erasure = await privacy.erase(held.parts, person, lambda: held.trail.write(person, "the test", "erase"))
            if erasure.touched:
                erasure.files = await privacy.rewrite_files(held.ways, 30)
            return erasure


def settings_of(server: ValkeyServer, folder: Path, **given: str) -> Settings:
    texts = {"YB_VALKEY_URL": server.url, "YB_DATA_DIR": str(folder), "YB_MAIL_SECRET": "a-secret-of-the-tests",
             "YB_RATE_LIMIT": "100/hour"}  # fmt: skip
    return load(texts | given, folder / "none").settings


@asynccontextmanager
async def rig(server: ValkeyServer, folder: Path, *, recorder: bool = True, **given: str) -> AsyncIterator[Rig]:
    """The parts, and a recorder that runs."""
    settings = settings_of(server, folder, **given)
    queue, log = wiring.open_queue(settings), JobLog(wiring.database_url(settings))
    stop, tasks = asyncio.Event(), []
    await asyncio.to_thread(log.migrate)
    if recorder:
        quiet: dict[str, Any] = {"on_trouble": lambda _trouble: None, "on_recovered": lambda: None, "seat_seconds": 1.0}
        keep: Any = settings.log_payloads
        tasks = [asyncio.create_task(Recorder(part, log, keep=keep, **quiet).run(stop)) for part in parts_of(queue)]
    try:
        yield Rig(settings, queue, log, every_kind(settings))
    finally:
        stop.set()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        log.close()
        await queue.close()


def items(found: dict[str, Any], part: str) -> list[Any]:
    """What one part of an export holds."""
    return next(list(one["items"]) for one in found["parts"] if one["part"] == part)


def gaps(erasure: privacy.Erasure) -> dict[str, list[str]]:
    return {one.part.name: one.found.gaps for one in erasure.seen if one.found.gaps}


def lies_in(folder: Path, marks: tuple[str, ...] = MARKS) -> list[str]:
    """Files under a folder in which a mark stands."""
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                data = Path(root, name).read_bytes()
                found += [f"{name}: {mark}" for mark in marks if mark.encode() in data]
    return found
