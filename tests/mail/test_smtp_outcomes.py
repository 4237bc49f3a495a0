"""What becomes of the job: who spends an attempt, who waits, who dies of what, and who is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.mail.scripted import DROP, Scripted, mailer
from tests.mail.test_message import SENDER
from tests.parts import Told, eventually
from yellowbooks.jobs import Backoff, Job, Queue, Rate, State, Worker
from yellowbooks.mail import SmtpMailer, Times
from yellowbooks.mail.breaker import FAILURES, Breaker
from yellowbooks.signin import Letters, SignIn, SignInHandler, kind

LADDER = Backoff(attempts=5, base=0.02)


class Remembering:
    """A list of suppressed addresses."""

    def __init__(self) -> None:
        self.gone: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []

    async def suppressed(self, address: str) -> str | None:
        return self.gone.get(address)

    async def suppress(self, address: str, reason: str) -> None:
        self.calls.append(("suppress", address))
        self.gone[address] = reason

    async def strike(self, address: str, reason: str) -> None:
        self.calls.append(("strike", address))

    async def delivered(self, address: str) -> None:
        self.calls.append(("delivered", address))
        if address in self.gone:
            raise ConnectionError("the list is away")


class Running:
    """A worker whose mails go to a mailer."""

    def __init__(self, queue: Queue, open_queue: Callable[[], Queue]) -> None:
        self.queue, self.open_queue = queue, open_queue
        self.told, self.suppressions = Told(), Remembering()
        self.stop, self.tasks = asyncio.Event(), []
        self.quota: Rate | None = None

    def work(self, sender: SmtpMailer, concurrency: int = 20) -> None:
        self.sender = sender
        handler = SignInHandler(Letters(), sender, SENDER, suppressions=self.suppressions, tell=self.told)
        worker = Worker(
            self.open_queue, [self.kind(handler)], concurrency=concurrency, grace=2, tell=self.told,
        )  # fmt: skip
        self.tasks.append(asyncio.create_task(worker.run(self.stop, asyncio.Event())))

    def kind(self, *handler: Any) -> Any:
        return kind(*handler, rate=Rate(10**6, 3600), backoff=LADDER, quota=self.quota)

    async def ask(self, count: int = 1, prefix: str = "j") -> list[str]:
        events = [
            SignIn(job_id=f"{prefix}{n}", user_id=f"u{n}", email=f"bat{n}@example.com", provider="google")
            for n in range(count)
        ]  # fmt: skip
        return [job_id for job_id, _ in await self.queue.admit_many(self.kind(), events)]

    async def ended(self, job_id: str = "j0", *states: State, seconds: float = 10.0) -> Job:
        async def look() -> Job | None:
            job = await self.queue.show(job_id)
            return job if job and job.state in (states or (State.COMPLETED, State.DEAD)) else None

        job: Job = await eventually(look, seconds)
        return job

    async def all_ended(self, ids: list[str], seconds: float = 30.0) -> list[Job]:
        async def look() -> list[Job] | None:
            jobs = [job for job in await self.queue.shown(ids) if job]
            return jobs if all(job.state in (State.COMPLETED, State.DEAD) for job in jobs) else None

        jobs: list[Job] = await eventually(look, seconds)
        return jobs


@pytest.fixture
async def running(queue: Queue, open_queue: Callable[[], Queue]) -> AsyncIterator[Running]:
    running = Running(queue, open_queue)
    yield running
    running.stop.set()
    await asyncio.gather(*running.tasks)
    await running.sender.aclose()


def events(job: Job, name: str) -> int:
    return sum(event.name == name for event in job.history)


@pytest.mark.parametrize(
    ("step", "answer", "cause", "calls", "told"),
    [
        ("RCPT", "550 5.1.1 unknown", "127.0.0.1:rcpt:550/5.1.1", ["suppress"], 0),
        ("RCPT", "552 5.2.2 full", "127.0.0.1:rcpt:552/5.2.2", ["strike"], 0),
        ("DOT", "550 5.7.26 not authenticated", "127.0.0.1:dot:550/5.7.26", [], 1),
        ("DOT", "554 no", "127.0.0.1:dot:554", [], 0),
    ],
)  # fmt: skip
async def test_dead_at_once(running: Running, step: str, answer: str, cause: str, calls: list[str], told: int) -> None:
    async with Scripted({step: answer}) as server:
        running.work(mailer(server.url, times=Times()))
        for job_id in await running.ask(3):
            job = await running.ended(job_id, State.DEAD)
            assert (job.attempts, job.cause) == (1, cause)
        assert [what for what, _ in running.suppressions.calls] == calls * 3
        assert running.told.words().count("smtp_policy") == told  # one alarm, not one a mail
        assert not any("@example.com" in str(line) for line in running.told.lines)


async def test_an_address_that_is_suppressed_is_not_tried(running: Running) -> None:
    async with Scripted() as server:
        running.suppressions.gone["bat0@example.com"] = "550 5.1.1 unknown"
        running.work(mailer(server.url))
        await running.ask()
        job = await running.ended()
        assert (job.state, job.cause, server.connections) == (State.DEAD, "suppressed", 0)


async def test_what_fails_after_the_mail_was_taken_does_not_send_it_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scripted() as server:
        running.suppressions.gone["bat0@example.com"] = "so that its list is away"

        async def nobody(_address: str) -> None:
            return None

        monkeypatch.setattr(running.suppressions, "suppressed", nobody)
        running.work(mailer(server.url))
        for job_id in await running.ask(2):
            job = await running.ended(job_id)
            assert (job.state, job.attempts) == (State.COMPLETED, 1)
        assert len(server.mails) == 2
        assert {what for what, _ in running.suppressions.calls} == {"delivered"}
        assert running.told.words().count("failed") == 1
        assert not any("@example.com" in str(line) for line in running.told.lines)


async def test_greylisting_is_waited_out_as_the_server_asks(running: Running) -> None:
    async with Scripted({"RCPT": ["450 4.7.1 greylisted, try again in 1 second", "250 OK"]}) as server:
        running.work(mailer(server.url, times=Times()))
        began = time.monotonic()
        await running.ask()
        job = await running.ended()
        assert 1 <= time.monotonic() - began < 1 + 5
        assert (job.state, job.attempts, events(job, "deferred")) == (State.COMPLETED, 1, 1)


async def test_greylisting_without_a_hint_waits_a_minute(running: Running) -> None:
    async with Scripted({"RCPT": "450 4.7.1 greylisted"}) as server:
        running.work(mailer(server.url, times=Times()))
        await running.ask()
        job = await running.ended("j0", State.RETRYING)
        assert job.due
        assert 59_000 <= job.due - job.created < 90_000
        assert job.attempts == 0


async def test_other_temporary_refusals_go_up_the_ladder(running: Running) -> None:
    async with Scripted({"DOT": "451 4.3.0 later"}) as server:
        running.work(mailer(server.url, times=Times()))
        await running.ask()
        job = await running.ended()
        assert (job.state, job.attempts, job.cause) == (State.DEAD, 5, "127.0.0.1:dot:451/4.3.0")
        assert len(server.texts) == 5


async def test_in_doubt_once_it_is_sent_again_the_same_and_twice_a_person_decides(running: Running) -> None:
    async with Scripted({"DOT": [DROP, "250 OK"]}) as server:
        running.work(mailer(server.url, times=Times()))
        await running.ask()
        job = await running.ended()
        assert (job.state, job.attempts) == (State.COMPLETED, 2)
        assert len(server.texts) == 2
        assert len(set(server.texts)) == 1
        server.answers["DOT"] = DROP
        await running.ask(prefix="k")
        job = await running.ended("k0")
        assert (job.state, job.cause) == (State.DEAD, "127.0.0.1:dot:lost")
        assert len(server.texts) == 4


@pytest.mark.parametrize(
    ("answers", "url", "cause"),
    [
        ({"EHLO": "250-x\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 wrong"}, "?starttls=never", "127.0.0.1:login:535"),
        ({"MAIL": "530 5.7.0 authenticate"}, "", "127.0.0.1:mail:530/5.7.0"),
    ],
)  # fmt: skip
async def test_what_is_ours_to_mend_holds_the_channel_and_harms_no_job(
    running: Running, answers: dict[str, Any], url: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login that is refused: 200 jobs wait, none spent an attempt, none is dead, one alarm; mended, all are sent."""
    monkeypatch.setattr(Queue, "pace", 500.0)
    async with Scripted(answers) as server:
        address = server.url.replace("//", "//user:wrong@") + url if url else server.url
        running.work(mailer(address, times=Times(), mended=0.3, tell=running.told), concurrency=50)
        ids = await running.ask(200)
        await eventually(lambda: "smtp_misconfigured" in running.told.words())
        await asyncio.sleep(0.7)
        jobs = await running.queue.shown(ids)
        assert {(job.state in (State.ENQUEUED, State.RETRYING, State.PROCESSING), job.attempts > 1) for job in jobs if job} == {(True, False)}  # fmt: skip
        assert running.told.words().count("smtp_misconfigured") == 1
        waiting = [job for job in jobs if job and job.cause]
        assert {job.cause for job in waiting} == {cause}
        asked = server.steps.count("AUTH") + server.steps.count("MAIL")
        assert asked < 60  # those in flight, and now and then one: nobody hammers a server that said no
        server.answers = {"EHLO": "250-x\r\n250 AUTH PLAIN", "AUTH": "235 2.7.0 welcome"}
        for job in await running.all_ended(ids):
            assert (job.state, job.attempts) == (State.COMPLETED, 1)
        assert "smtp_back" in running.told.words()


async def test_a_provider_that_is_away_for_long_harms_no_job(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 jobs wait: none is dead, only some of those in flight spent an attempt, and all leave at a pace."""
    monkeypatch.setattr(Queue, "pace", 500.0)
    server = Scripted()
    await server.start()
    await server.stop()
    running.work(mailer(server.url, times=Times(), again=0.3, tell=running.told))
    ids = await running.ask(1000)
    await eventually(lambda: "smtp_down" in running.told.words())
    await asyncio.sleep(1.5)  # with a ladder of 0.02 s alone all would be dead by now
    survey = await running.queue.survey()
    assert survey.dead == 0
    assert max(job.attempts for job in await running.queue.shown(ids) if job) <= 1
    assert running.told.words().count("smtp_down") == 1
    probes = running.told.words().count("retry")
    assert probes < 50
    await server.start(server.port)
    began = time.monotonic()
    jobs = await running.all_ended(ids)
    assert {job.state for job in jobs} == {State.COMPLETED}
    assert time.monotonic() - began > 0.9  # 1,000 at 500 a second, of whom 500 find the bucket full
    assert sum(events(job, "retried") for job in jobs) <= FAILURES
    assert len(set(server.mails)) == len(server.mails) == 1000
    await server.stop()


async def test_one_mail_alone_keeps_to_the_ladder(running: Running) -> None:
    """The contract: five attempts, then the dead letter queue, also where nobody listens."""
    running.work(mailer("smtp://127.0.0.1:1", times=Times(), tell=running.told))
    await running.ask()
    job = await running.ended()
    assert (job.state, job.attempts, job.cause) == (State.DEAD, 5, "127.0.0.1:connect:refused")
    assert "smtp_down" not in running.told.words()


@pytest.mark.parametrize(
    ("answers", "cause"),
    [
        ({"CONNECT": b"220 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n"}, "connect:protocol"),
        ({"EHLO": b"250-x\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n250 x\r\n"}, "connect:protocol"),
        ({"EHLO": b"250-" + b"x" * 1_000_000}, "connect:protocol"), ({"MAIL": b"250-x\r\n550 y\r\n"}, "mail:protocol"),
        ({"DATA": None}, "data:timeout"), ({"RCPT": "421 4.3.2 x"}, "rcpt:421/4.3.2"),
        ({"DOT": None}, "dot:timeout"), ({"DOT": DROP}, "dot:lost"), ({"DOT": b"250-x\r\n550 y\r\n"}, "dot:protocol"),
    ],
)  # fmt: skip
async def test_a_job_whose_server_is_evil_ends_without_a_storm(
    running: Running, answers: dict[str, Any], cause: str
) -> None:
    """Nothing sent: five attempts and five connections. The text sent and not answered: twice, and a person decides."""
    async with Scripted(answers) as server:
        running.work(mailer(server.url, times=Times(5, 1, 1, 1, 0.5, 0.5), tell=running.told))
        await running.ask()
        job = await running.ended()
        doubt = cause.startswith("dot:")
        assert (job.state, job.attempts, job.cause) == (State.DEAD, 2 if doubt else 5, f"127.0.0.1:{cause}")
        assert server.connections == job.attempts
        assert len(server.texts) == (2 if doubt else 0)


async def test_the_next_server_takes_over_and_the_channel_is_held_only_where_none_works(running: Running) -> None:
    first, second = Scripted(), Scripted()
    await first.start()
    await first.stop()
    await second.start()
    running.work(mailer(first.url, second.url, times=Times(), again=0.3, tell=running.told))
    for job_id in await running.ask(50):
        job = await running.ended(job_id)
        assert (job.state, job.attempts) == (State.COMPLETED, 1)
    assert len(second.mails) == 50
    assert running.told.words().count("smtp_down") == 1
    await second.stop()
    ids = await running.ask(50, "k")
    await eventually(lambda: running.told.words().count("smtp_down") >= 2)
    await first.start(first.port)
    assert {job.state for job in await running.all_ended(ids)} == {State.COMPLETED}
    assert len(first.mails) == 50
    await first.stop()


async def test_a_late_alert_is_not_sent(running: Running, queue: Queue) -> None:
    async with Scripted() as server:
        sender = mailer(server.url)
        running.sender = sender
        handler = SignInHandler(Letters(), sender, SENDER)
        await running.ask()
        [lease], _ = await queue.claim([running.kind()], 1)
        import msgspec

        from yellowbooks.jobs import Permanent

        old = msgspec.structs.replace(lease, created=lease.created - 86_401_000)
        event = running.kind().decode(lease.payload)
        with pytest.raises(Permanent, match="24 h old") as expired:
            await handler(old, event)
        assert (expired.value.cause, server.connections) == ("expired", 0)
        await handler(lease, event)
        assert len(server.mails) == 1


async def test_mails_leave_at_the_rate_that_is_set_over_all_workers(running: Running) -> None:
    async with Scripted() as server:
        running.quota = Rate(10, 0.5)
        running.work(mailer(server.url, times=Times()))
        running.work(mailer(server.url, times=Times()))
        began = time.monotonic()
        ids = await running.ask(35)
        for job_id in ids:
            await running.ended(job_id)
        assert time.monotonic() - began > 1.2  # 10 at once, then 20 a second


# The breaker alone


def breaker() -> tuple[Breaker, Told, list[float]]:
    told, clock = Told(), [0.0]
    return Breaker("x:25", told, again=15, mended=60, clock=lambda: clock[0]), told, clock


def test_three_different_mails_in_a_row_open_it() -> None:
    it, told, clock = breaker()
    for _ in range(10):
        it.failed("a", "refused", "x")
    it.failed("b", "refused", "x")
    assert not it.open
    it.worked()
    it.failed("c", "refused", "x")
    it.failed("d", "refused", "x")
    clock[0] = 700
    it.failed("e", "refused", "x")
    assert it.admits()
    it.failed("f", "refused", "x")
    it.failed("g", "refused", "x")
    assert it.open
    assert told.words() == ["smtp_down"]


def test_an_open_one_admits_one_mail_at_a_time() -> None:
    it, told, clock = breaker()
    it.misconfigured("535", "x:login:535")
    assert not it.admits()
    clock[0] = 50
    assert it.admits()
    assert not it.admits()
    it.misconfigured("535", "x:login:535")
    clock[0] = 99
    assert it.admits()
    it.worked()
    assert it.admits()
    assert it.admits()
    assert told.words() == ["smtp_misconfigured", "smtp_back"]
