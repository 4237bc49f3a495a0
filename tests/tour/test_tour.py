"""A tour in ten short tests, in reading order: what this system is."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
from tests.parts import Ping, Told, eventually

from yellowbooks import signin
from yellowbooks.api import ApiParts, create_app
from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.jobs import Backoff, Kind, Lease, Payload, Queue, Rate, Worker
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.mail import Inbox, mailbox

PING = Kind("ping", Ping, rate=Rate(10, 3600))


async def state(queue: Queue, job_id: str) -> str:
    job = await queue.show(job_id)
    return job.state if job else "unknown"


async def test_1_a_job_is_admitted_claimed_and_settled(queue: Queue) -> None:
    job_id, receipt = await queue.admit(PING, Ping(note="hello"))
    assert receipt.word == "admitted"
    [lease], _ = await queue.claim(["ping"], room=1)
    assert PING.decode(lease.payload).note == "hello"
    await queue.settle(lease, Completed())
    assert await state(queue, job_id) == "completed"


async def test_2_the_same_id_is_the_same_job(queue: Queue) -> None:
    await queue.admit(PING, Ping(job_id="once"))
    _, receipt = await queue.admit(PING, Ping(job_id="once"))
    assert (receipt.word, receipt.state, receipt.same) == ("seen", "enqueued", True)


async def test_3_one_user_has_ten_an_hour(queue: Queue) -> None:
    words = [(await queue.admit(PING, Ping(user="bat")))[1].word for _ in range(11)]
    assert words == ["admitted"] * 10 + ["limited"]


async def test_4_a_failed_attempt_is_repeated_later(queue: Queue) -> None:
    job_id, _ = await queue.admit(PING, Ping())
    [lease], _ = await queue.claim(["ping"], room=1)
    await queue.settle(lease, Retry(delay=0.05, error="not now"))
    assert await state(queue, job_id) == "retrying"
    await asyncio.sleep(0.06)
    [lease], _ = await queue.claim(["ping"], room=1)
    assert lease.attempt == 2


async def test_5_a_dead_job_waits_for_a_person(queue: Queue) -> None:
    job_id, _ = await queue.admit(PING, Ping())
    [lease], _ = await queue.claim(["ping"], room=1)
    await queue.settle(lease, Dead("nobody lives there"))
    [dead], _, count = await queue.dead(10)
    assert (dead.id, dead.error, count) == (job_id, "nobody lives there", 1)
    await queue.requeue([job_id])
    assert await state(queue, job_id) == "enqueued"


async def test_6_a_lost_worker_loses_its_lease_and_not_the_job(queue: Queue, open_queue) -> None:
    await queue.admit(PING, Ping())
    [lost], _ = await queue.claim(["ping"], room=1)
    await asyncio.sleep(0.85)  # the lease of these tests is 0.8 s
    other = open_queue()
    [found], _ = await other.claim(["ping"], room=1)
    assert found.job_id == lost.job_id
    assert await queue.settle(lost, Completed()) == "stale"
    assert await other.settle(found, Completed()) == "settled"
    await other.close()


async def test_7_a_kind_is_a_payload_and_a_handler(queue: Queue, open_queue) -> None:
    class Hello(Payload):
        name: str

    greeted = []

    async def greet(_lease: Lease, hello: Hello) -> None:
        greeted.append(hello.name)

    kind, stop = Kind("hello", Hello, greet), asyncio.Event()
    worker = Worker(open_queue, [kind], concurrency=1, grace=1, tell=Told())
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))
    await queue.admit(kind, Hello(name="Бат"))
    await eventually(lambda: greeted == ["Бат"])
    stop.set()
    await running


async def test_8_a_sign_in_becomes_a_mail(queue: Queue, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    handler = signin.SignInHandler(signin.Letters(), inbox, mailbox("Yellow Books <no-reply@example.mn>"))
    kind = signin.kind(handler, rate=Rate(10, 3600), backoff=Backoff())
    when = datetime(2025, 12, 18, 23, tzinfo=UTC)
    event = signin.SignIn(user_id="u1", email="bat@example.com", provider="github", timestamp=when)
    await queue.admit(kind, event)
    [lease], _ = await queue.claim(["signin-notification"], room=1)
    await handler(lease, kind.decode(lease.payload))  # it commits, then hands the mail over
    await queue.settle(lease, Completed())
    [entry] = inbox.entries(10)
    assert "Огноо: 2025 оны 12 сар 19 өдөр 07:00" in inbox.read(entry.id).text


async def test_9_the_api_admits_and_follows(queue: Queue, tmp_path: Path) -> None:
    async def nothing(*_: str) -> None:
        return None

    app = create_app(
        ApiParts(
            queue=queue, kinds=[PING], find=nothing, inbox=Inbox(tmp_path), api_keys=(), admin_keys=(), tell=Told(),
            close=nothing,
        )
    )  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.post("/api/jobs/ping", json={"user": "bat", "jobId": "a"})
        assert (answer.status_code, answer.headers["location"]) == (202, "/api/jobs/a")
        assert (await client.get("/api/jobs/a")).json()["status"] == "enqueued"
        assert (await client.post("/api/jobs/ping", json={"user": 1})).json()["errors"][0]["field"] == "user"


async def test_10_the_log_remembers_what_the_queue_forgets(queue: Queue, database_url: str) -> None:
    log, stop = JobLog(database_url), asyncio.Event()
    recorder = Recorder(queue, log, on_trouble=Told(), on_recovered=Told())
    running = asyncio.create_task(recorder.run(stop))
    job_id, _ = await queue.admit(PING, Ping())
    job = await eventually(lambda: log.find(job_id))
    assert [event.name for event in job.history] == ["admitted"]
    stop.set()
    await running
    log.close()
