"""An older worker beside this one, and an older API before it: jobs of both are done by both."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts import eventually
from tests.rolling.older import commit, unpack
from tests.rolling.stage import Role, Stage, stage
from tests.test_up import environment
from yellowbooks.jobs import State, Wanted, causes, find

OLDER = commit()
pytestmark = pytest.mark.skipif(OLDER is None, reason="the repository's history is not here")


@pytest.fixture
async def older(short_folder: Path) -> AsyncIterator[tuple[Stage, str]]:
    assert OLDER
    path = str(unpack(OLDER, short_folder / "older"))
    where = "import yellowbooks; print(yellowbooks.__file__)"
    found = subprocess.check_output([sys.executable, "-c", where], env=environment(PYTHONPATH=path), text=True)
    assert found.startswith(path)
    async with stage(short_folder) as it:
        yield it, path
        assert it.tally.broken() == [], "".join(role.read_text() for role in short_folder.glob("*.log"))


def old(stage: Stage, path: str, role: Role) -> Role:
    """The same role, of the older version."""
    return Role(stage, f"old-{role.name}", *role.words, PYTHONPATH=path, **role.settings)


async def post(role: Role, first: int, count: int, name: str = "") -> list[str]:
    ids = [f"{name}{number}" for number in range(first, first + count)]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{role.settings['YB_PORT']}", timeout=30) as client:
        for job_id in ids:
            event = {"jobId": job_id, "userId": f"u-{job_id}", "email": f"{job_id}@example.com", "provider": "github"}
            assert (await client.post("/api/jobs/signin-notification", json=event)).status_code == 202
    return ids


async def no_such_user(_server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
    """aiosmtpd's `handle_RCPT`."""
    if address.startswith("nobody"):
        return "550 5.1.1 no such user"
    envelope.rcpt_tos.append(address)
    return "250 2.1.5 ok"


async def died(it: Stage, ids: list[str], total: int) -> None:
    async def counted() -> bool:
        found = await causes(it.queue)
        return len(found) == 1 and found[0].count == total

    await eventually(counted, 60)
    [cause] = await causes(it.queue)
    assert cause.fingerprint.cause.endswith(":rcpt:550/5.1.1")
    assert {job.id async for job in find(it.queue, Wanted(cause_is=cause.fingerprint.cause))} >= set(ids)


async def test_an_older_version_beside_this_one(older: tuple[Stage, str]) -> None:
    it, path = older
    api, worker = it.apis[0], it.workers[0]
    old_api, old_worker = old(it, path, it.apis[1]), old(it, path, it.workers[1])
    setattr(it.sink, "handle_RCPT", no_such_user)  # noqa: B010  aiosmtpd looks for it by name
    await asyncio.gather(api.start(), old_api.start())
    it.asked = [*await post(api, 0, 15), *await post(old_api, 100, 15)]
    await old_worker.start()
    await it.count()  # what either asked for is done by the older worker
    await died(it, await post(old_api, 600, 3, "nobody"), 3)  # and the dead of one are counted by the other
    await worker.start()
    it.asked += [*await post(old_api, 200, 30), *await post(api, 300, 30)]
    await it.count()
    done_by = {(await it._ended(job_id)).history[1].worker for job_id in it.asked[30:]}
    await old_worker.stop()
    it.asked += [*await post(old_api, 400, 15), *await post(api, 500, 15)]
    await it.count()  # and by this one
    await died(it, await post(api, 700, 2, "nobody"), 5)
    await old_api.stop()
    await it.read_log()  # an older recorder may not know what this version tells; the seat is free now
    assert len(done_by) == 2
    assert sum(it.sink.mails.values()) == len(it.asked) == 120
    for job_id in it.asked:
        assert (await it._ended(job_id)).state is State.COMPLETED
