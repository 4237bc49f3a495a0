"""The queue away: what is answered 202 is on the disk, and gets into the queue once, in order, under its id."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.parts import Told, eventually
from yellowbooks import signin
from yellowbooks.api import ApiParts, create_app
from yellowbooks.intake import Intake
from yellowbooks.jobs import Backoff, Kind, Queue, Rate
from yellowbooks.sealing import Keyring
from yellowbooks.signin import SignIn
from yellowbooks.spool import Spool

KIND = signin.kind(rate=Rate(10, 3600), backoff=Backoff())
PATH = "/api/jobs/signin-notification"
CANARY = "canary-7d1e@example.com"


class Desk:
    """An API with a spool, over a server that a test may stop."""

    def __init__(self, server: ValkeyServer, folder: Path) -> None:
        self.server, self.folder, self.told = server, folder, Told()
        self.queue = Queue(server.url, lease=0.8)

    @asynccontextmanager
    async def api(self, kind: Kind[SignIn] = KIND, **limits: int) -> AsyncIterator[httpx.AsyncClient]:
        async def nobody(_job_id: str) -> None:
            return None

        intake = Intake(self.queue, [kind], Spool(self.folder, **limits), self.told)
        app = create_app(ApiParts(
            queue=self.queue, intake=intake, kinds=[kind], find=nobody, inbox=None, api_keys=(), admin_keys=(),
            tell=self.told, close=_nothing,
        ))  # fmt: skip
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3333", timeout=30) as client,
            app.lifespan(),
        ):
            yield client

    def admitted(self) -> list[str]:
        """The ids of all events «admitted», in their order."""
        client = Valkey.from_url(self.server.url)
        names = [key.decode().rpartition(":")[2] for key in client.scan_iter("{yb:jobs:0}:job:*", count=1000)]
        client.close()
        return names

    async def order(self) -> list[str]:
        leases, _ = await self.queue.claim([KIND], 100)
        return [lease.job_id for lease in leases]


async def _nothing() -> None:
    return None


def body(number: int, **more: str) -> dict[str, str]:
    return {"userId": f"u{number}", "email": "bat@example.com", "provider": "github"} | more


@pytest.fixture
async def desk(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(own_valkey, tmp_path / "spool")
    yield desk
    await desk.queue.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}  # a call to a server that was killed ends with its loop
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def back(desk: Desk) -> None:
    desk.server.start()
    await eventually(lambda: "spooled_in" in desk.told.words(), 20)


async def test_killed_and_back_every_202_is_a_job_in_its_order(desk: Desk) -> None:
    async with desk.api() as client:
        assert (await client.post(PATH, json=body(0, jobId="before"))).status_code == 202
        desk.server.kill()
        replies = [await client.post(PATH, json=body(n)) for n in range(1, 8)]
        assert {reply.status_code for reply in replies} == {202}
        ids = [reply.json()["jobId"] for reply in replies]
        assert len(set(ids)) == 7
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "spooling", "waiting": 7})
        shown = (await client.get(f"/api/jobs/{ids[0]}")).json()
        assert (shown["jobId"], shown["status"]) == (ids[0], "enqueued")
        await back(desk)
        assert (await client.get("/readyz")).json() == {"status": "ok"}
        assert (await client.get(f"/api/jobs/{ids[0]}")).json()["history"][0]["event"] == "admitted"
        assert await desk.order() == ["before", *ids]
        assert list(desk.folder.glob("*")) == []
        assert (await client.post(PATH, json=body(9))).status_code == 202  # straight into the queue again
        assert list(desk.folder.glob("*")) == []


async def test_the_mail_says_when_it_happened_and_not_when_the_queue_came_back(desk: Desk) -> None:
    async with desk.api() as client:
        desk.server.kill()
        began = time.time()
        assert (await client.post(PATH, json=body(1))).status_code == 202
        taken = time.time()
        await asyncio.sleep(1.1)
        await back(desk)
        [lease], _ = await desk.queue.claim([KIND], 1)
        happened = KIND.decode(lease.payload).timestamp
        assert happened
        assert began - 0.001 <= happened.timestamp() <= taken


async def test_a_server_that_hangs_is_left_alone_and_nothing_is_taken_in_twice(desk: Desk) -> None:
    assert desk.server.process
    async with desk.api() as client:
        assert (await client.post(PATH, json=body(0))).status_code == 202  # connections are open
        desk.server.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            first = await client.post(PATH, json=body(1))  # its admission lies in the socket, and will be done
            waited = time.monotonic() - began
            others = [await client.post(PATH, json=body(n)) for n in range(2, 5)]
            rest = time.monotonic() - began - waited
        finally:
            desk.server.process.send_signal(signal.SIGCONT)
        assert {reply.status_code for reply in (first, *others)} == {202}
        assert waited < 8
        assert rest < waited  # only the first one waited
        await eventually(lambda: "spooled_in" in desk.told.words(), 20)
        ids = [reply.json()["jobId"] for reply in (first, *others)]
        assert sorted((await desk.order())[1:]) == sorted(ids)
        assert len(desk.admitted()) == 5


async def test_a_repeated_id_is_one_job_before_while_and_after(desk: Desk) -> None:
    async with desk.api() as client:
        await client.post(PATH, json=body(1, jobId="one"))
        desk.server.kill()
        for job_id in ("one", "two", "two"):
            assert (await client.post(PATH, json=body(1, jobId=job_id))).json()["jobId"] == job_id
        await back(desk)
        assert (await client.post(PATH, json=body(1, jobId="two"))).status_code == 409
        assert await desk.order() == ["one", "two"]


async def test_whoever_is_over_the_limit_then_was_told_202_and_gets_it_later(desk: Desk) -> None:
    async with desk.api() as client:
        for _ in range(10):
            assert (await client.post(PATH, json=body(1))).status_code == 202
        desk.server.kill()
        job_id = (await client.post(PATH, json=body(1))).json()["jobId"]
        await back(desk)
        job = await desk.queue.show(job_id)
        assert job
        assert job.state == "scheduled"
        assert job.due
        assert 3500 < job.due / 1000 - time.time() < 3601
        assert (await client.post(PATH, json=body(1))).status_code == 429


async def test_a_full_server_and_a_full_disk(desk: Desk) -> None:
    async with desk.api(max_bytes=1500) as client:
        desk.server.client().config_set("maxmemory", 1)
        replies = [await client.post(PATH, json=body(n)) for n in range(20)]
        words = [reply.status_code for reply in replies]
        taken = words.count(202)
        assert words == [202] * taken + [503] * (20 - taken)
        assert 3 < taken < 20
        assert replies[-1].headers["retry-after"]
        assert "disk" not in replies[-1].json()["detail"]  # whoever asks need not know
        assert "spool_full" in desk.told.words()
        assert (await client.get("/readyz")).status_code == 503
        desk.server.client().config_set("maxmemory", 0)
        await eventually(lambda: "spooled_in" in desk.told.words(), 20)
        assert await desk.order() == [reply.json()["jobId"] for reply in replies[:taken]]


async def test_a_folder_that_cannot_be_written_promises_nothing(desk: Desk) -> None:
    desk.folder.write_text("in the way")
    async with desk.api() as client:
        desk.server.kill()
        assert (await client.post(PATH, json=body(1))).status_code == 503
        desk.folder.unlink()
        assert (await client.post(PATH, json=body(2))).status_code == 202


async def test_without_a_spool_it_is_503_as_ever(desk: Desk) -> None:
    intake = Intake(desk.queue, [KIND], None, desk.told)
    desk.server.kill()
    with pytest.raises(ConnectionError):
        await intake.admit(KIND, SignIn(user_id="u", email="bat@example.com", provider="github"))
    assert not intake.takes()


@pytest.mark.parametrize(("keys", "seen"), [((), True), (("k" * 40,), False)])
async def test_on_disk_a_payload_has_the_seal_it_would_have_in_the_queue(
    desk: Desk, keys: tuple[str, ...], seen: bool
) -> None:
    kind = replace(KIND, seal=Keyring(keys) if keys else None)
    async with desk.api(kind) as client:
        desk.server.kill()
        assert (await client.post(PATH, json=body(1, email=CANARY))).status_code == 202
        [path] = desk.folder.glob("*.spool")
        assert (CANARY.encode() in path.read_bytes()) == seen
        await back(desk)
        [lease], _ = await desk.queue.claim([kind], 1)
        assert kind.decode(lease.payload).email == CANARY


async def test_a_record_that_cannot_be_read_lets_the_others_pass_and_stays(desk: Desk) -> None:
    async with desk.api(replace(KIND, seal=Keyring(["old" * 20]))) as client:
        desk.server.kill()
        lost = (await client.post(PATH, json=body(1))).json()["jobId"]
    desk.server.start()
    async with desk.api() as client:
        await eventually(lambda: "spool_unread" in desk.told.words(), 20)
        desk.server.kill()
        assert (await client.post(PATH, json=body(2))).status_code == 202
        await back(desk)
    async with desk.api(replace(KIND, seal=Keyring(["new" * 20, "old" * 20]))):
        await eventually(lambda: lost in desk.admitted(), 20)


KILLED = """
import asyncio, os, sys
from pathlib import Path
from tests.intake.trapped import deadly
from yellowbooks import signin
from yellowbooks.intake import Intake
from yellowbooks.jobs import Backoff, Queue, Rate
from yellowbooks.signin import SignIn
from yellowbooks.spool import Spool

async def main(url, folder, at):
    kind = signin.kind(rate=Rate(10, 3600), backoff=Backoff())
    intake = Intake(Queue(url), [kind], Spool(Path(folder), disk=deadly(int(at))), lambda *words, **more: None)
    following = asyncio.create_task(intake.run())
    for number in range(6):
        event = SignIn(user_id=f"u{number}", email="bat@example.com", provider="github")
        job_id, receipt = await intake.admit(kind, event)
        os.write(1, f"{job_id}\\n".encode())
        if number == 2:
            os.write(1, b"up\\n")
            sys.stdin.readline()
    while intake.waiting or intake.away:
        await asyncio.sleep(0.01)
    os.write(1, b"through\\n")

asyncio.run(main(*sys.argv[1:]))
"""


async def kill_at(desk: Desk, at: int) -> tuple[list[str], bool]:
    """Run it until its n-th call to the disk, with the server coming back amid; the ids it was answered."""
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, desk.server.url, str(desk.folder), str(at),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stdin
    answered = []
    while line := (await process.stdout.readline()).decode().strip():
        if line == "up":
            desk.server.start()
            process.stdin.write(b"\n")
        else:
            answered.append(line)
    await process.wait()
    through = answered[-1:] == ["through"]
    assert through or process.returncode == -signal.SIGKILL
    return answered[: len(answered) - through], through


@pytest.mark.parametrize("start", [0, 3])
async def test_killed_at_each_call_to_the_disk_no_answered_job_is_lost_or_doubled(desk: Desk, start: int) -> None:
    at, answered, killed = start, list[str](), 0
    while True:
        desk.server.stop()
        some, through = await kill_at(desk, at)
        answered += some
        if through:
            break
        at, killed = at + 6, killed + 1
    assert killed >= 2
    if desk.server.process and desk.server.process.poll() is not None:
        desk.server.start()
    async with desk.api():
        present: Callable[[], bool] = lambda: set(answered) <= set(desk.admitted())  # noqa: E731  it is waited for
        await eventually(present, 20)
        await eventually(lambda: list(desk.folder.glob("*.spool")) == [], 20)
    # One whose answer was cut off by the kill may be there too, as a sender who repeats it finds out.
    assert len(desk.admitted()) <= len(answered) + killed
    events = [event.job for event in await desk.queue.read(0.1, entries=1000) if event.name == "admitted"]
    assert len(events) == len(set(events))


def test_the_record_on_disk_is_plain_to_read() -> None:
    """Its layout is a promise to the next release: positions, as MessagePack."""
    import msgspec

    from yellowbooks.intake import Kept

    raw = msgspec.msgpack.encode(Kept("signin-notification", "a", b"payload", 5, "r", b"t"))
    assert json.loads(json.dumps(msgspec.msgpack.decode(raw), default=repr)) == [
        "signin-notification", "a", "b'payload'", 5, "r", "b't'",
    ]  # fmt: skip
