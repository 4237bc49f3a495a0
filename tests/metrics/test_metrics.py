"""The numbers are right: over many readers, restarts and a log that is away; and a real parser reads the page."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.api.conftest import Api, api  # noqa: F401  a fixture
from tests.conftest import ValkeyServer
from tests.parts import Ping, eventually, put, take
from tests.test_up import EVENT, PATH, start  # noqa: F401  a fixture
from yellowbooks import signin
from yellowbooks.api import ApiParts, create_app
from yellowbooks.jobs import Event, Kind, Partitions, Queue, Rate
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.metrics import Breakers, CountedSource, Fold, Moments, Page, Refusals, Store, Tally, Teller
from yellowbooks.metrics import breakers as breakers_module
from yellowbooks.metrics.store import recent

CANARY = "canary@example.com"


def samples(text: str, read: Any = read_text) -> dict[str, float]:
    """Each sample by its name and labels as Prometheus would write them."""
    found = {}
    for family in read(text):
        for one in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}"] = one.value
    return found


def _unexpected(trouble: str) -> None:
    raise AssertionError(trouble)


def teller(queue: Queue) -> Teller:
    return Teller(queue, signin.ambiguous, _unexpected)


async def nothing() -> None:
    return None


def page(queue: Queue, before: Any = nothing) -> Page:
    execute = queue.beside("{yb:mail}").execute
    return Page(
        queue, kinds=["ping"], servers=["mx.example:25"], execute=execute, version="1.2", before=before,
        ambiguous=signin.AMBIGUOUS_TOTAL,
    )  # fmt: skip


async def work(queue: Queue, ping: Kind[Ping]) -> None:
    """Ten jobs: seven complete, one dies, one is tried again, one waits."""
    await put(queue, ping, 9, note=CANARY)
    leases = await take(queue, room=9)
    outcomes: list[Any] = [*[Completed()] * 7, Dead("no", "no"), Retry(60.0, f"Uncertain: {CANARY}", uncertain=True)]
    await queue.settle_many(list(zip(leases, outcomes, strict=True)))
    await put(queue, ping, 1, user="last")


WORKED = {"admitted": 10, "claimed": 9, "completed": 7, "died": 1, "retried": 1}


async def test_many_readers_count_each_event_once(queue: Queue, ping: Kind[Ping]) -> None:
    await work(queue, ping)
    events = await queue.read(0.1)
    one, two = teller(queue), teller(queue)
    await one.count(events[:7])
    await asyncio.gather(two.count(events[:12]), one.count(events[3:]), two.count(events))
    fresh = teller(queue)  # a recorder that was started anew
    await fresh.count(events)
    tally = await Store(queue).whole()
    assert {name: tally.event("ping", name) for name in WORKED} == WORKED
    assert tally.counts["a"] == 1
    assert tally.histogram("r", "ping", (1000.0,) * 14)[0][-1] == 9
    minute = await recent(queue, 1)
    assert minute.counts == tally.counts


async def test_times_of_jobs_that_nobody_remembers_are_looked_up(queue: Queue, ping: Kind[Ping]) -> None:
    await put(queue, ping, 3)
    await teller(queue).count(await queue.read(0.1))
    leases = await take(queue)
    await asyncio.sleep(0.33)  # the queue counts whole milliseconds, and may cut one off
    await queue.settle_many([(lease, Completed()) for lease in leases])
    await teller(queue).count(await queue.read(0.1))  # it knows nothing of when they were admitted
    tally = await Store(queue).whole()
    assert [tally.histogram(letter, "ping", (0.0,) * edges)[0][-1] for letter, edges in (("w", 16), ("r", 14))] == [
        3,
        3,
    ]
    assert 0.9 < tally.counts["rs|ping"] / 1000 < 3.0
    assert 0.25 <= (tally.quantile(0.5) or 0) <= 1.0


def test_what_a_fold_measures() -> None:
    def event(name: str, at: int, **more: Any) -> Event:
        return Event(job="j", name=name, at=at, kind="k", state="", position=f"{at}-0", **more)

    events = [
        event("admitted", 60_000), event("claimed", 61_000, attempt=1), event("retried", 61_040, attempt=1),
        event("promoted", 63_000), event("claimed", 63_000, attempt=2), event("completed", 133_000, attempt=2),
    ]  # fmt: skip
    whole, minutes = Fold()(events, {})
    assert whole.histogram("w", "k", (0.005,) * 16)[1] == 1.0
    assert (whole.counts["w|k|0"], whole.counts["w|k|7"]) == (1, 1)
    assert (whole.counts["r|k|3"], whole.counts["r|k|13"], whole.counts["rs|k"]) == (1, 1, 70_040)
    assert {
        minute: tally.counts.total() - tally.counts["rs|k"] - tally.counts["ws|k"] for minute, tally in minutes.items()
    } == {1: 8, 2: 2}
    assert Fold().unknown(events[1:3]) == ["j"]
    assert Fold()(events[2:3], {"j": Moments(60_000, 61_000)})[0].counts["rs|k"] == 40
    assert Tally().quantile(0.5) is None
    assert whole.quantile(0.5) == 0.05
    assert whole.quantile(0.95) == 300.0


async def test_events_are_counted_while_the_log_is_away(queue: Queue, ping: Kind[Ping]) -> None:
    stop, told = asyncio.Event(), teller(queue)
    source = CountedSource(queue, told)
    await put(queue, ping, 1)
    assert len(await source.read(0.1)) == 1  # and the recorder comes no further
    running = asyncio.create_task(told.run(stop))
    await put(queue, ping, 2, user="more")

    async def counted() -> bool:
        return (await Store(queue).whole()).event("ping", "admitted") == 3

    await eventually(counted)
    stop.set()
    await running


@pytest.mark.parametrize(("read", "openmetrics"), [(read_text, False), (read_openmetrics, True)])
async def test_a_real_parser_reads_the_page(queue: Queue, ping: Kind[Ping], read: Any, openmetrics: bool) -> None:
    await work(queue, ping)
    await queue.hold("ping", by="Bat Dorj", reason=CANARY)
    await queue.renew([], worker="w1", kinds=[ping], about="host:1")
    empty = samples(await page(queue)(openmetrics=openmetrics), read)
    assert empty["yb_job_events_total{event=completed,kind=ping}"] == 0
    assert empty["yb_recorder_lag_entries{}"] > 0
    await teller(queue).count(await queue.read(0.1))
    text = await page(queue)(openmetrics=openmetrics)
    found = samples(text, read)
    for name, count in WORKED.items():
        assert found[f"yb_job_events_total{{event={name},kind=ping}}"] == count
    assert found["yb_jobs{state=dead}"] == found["yb_jobs{state=enqueued}"] == found["yb_jobs{state=retrying}"] == 1
    assert found["yb_jobs_waiting{kind=ping,lane=normal}"] == found["yb_workers{}"] == found["yb_queue_up{}"] == 1
    assert found["yb_job_run_seconds_count{kind=ping}"] == found["yb_job_run_seconds_bucket{kind=ping,le=+Inf}"] == 9
    assert found["yb_job_wait_seconds_count{kind=ping}"] == 9
    assert found["yb_mail_ambiguous_total{}"] == 1
    assert found["yb_held{by=operator,channel=ping}"] == 1
    assert found["yb_smtp_breaker_open{server=mx.example:25}"] == 0
    assert found["yb_oldest_waiting_seconds{}"] >= 0
    assert found["yb_build_info{python=" + ".".join(map(str, sys.version_info[:3])) + ",version=1.2}"] == 1
    assert CANARY not in text
    assert "Bat" not in text
    assert all(label not in text for label in ("user-1", "job="))


async def test_partitions_are_one_page(valkey: ValkeyServer, queue_name: str) -> None:
    queue, ping = Partitions(valkey.url, 2, name=queue_name), Kind("ping", Ping, rate=Rate(10, 3600))
    await put(queue, ping, 12)
    for part in queue.parts:
        await teller(part).count(await part.read(0.1))
    found = samples(await page(queue)(openmetrics=False))
    assert found["yb_job_events_total{event=admitted,kind=ping}"] == found["yb_jobs{state=enqueued}"] == 12
    await queue.close()


async def test_a_queue_that_is_away_is_said(own_valkey: ValkeyServer) -> None:
    queue = Queue(own_valkey.url)
    own_valkey.kill()
    found = samples(await page(queue)(openmetrics=False))
    assert found["yb_queue_up{}"] == 0
    assert not any(name.startswith("yb_job") for name in found)
    await queue.close()


async def test_breakers_of_many_workers_are_known_while_they_live(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = queue.beside("{yb:mail}").execute
    await execute("DEL", breakers_module.KEY)
    one, two = Breakers(execute, "w1"), Breakers(execute, "w2")
    for heard in (one, two):
        heard.hear("smtp_down", server="mx.example:25", error=CANARY)
    one.hear("dead", job="x")

    def known(count: int) -> Callable[[], Any]:
        async def look() -> bool:
            return (await breakers_module.open_breakers(execute))["mx.example:25"] == count

        return look

    await eventually(known(2))
    assert "yb_smtp_breaker_open{server=mx.example:25}" in samples(await page(queue)(openmetrics=False))
    one.hear("smtp_back", server="mx.example:25")
    await eventually(known(1))
    await one.aclose()
    monkeypatch.setattr(breakers_module, "LASTS_SECONDS", -1.0)  # as if it had been killed long ago
    await two._write()
    assert await known(0)()
    monkeypatch.undo()
    await two.aclose()


@pytest.fixture
async def guarded(api: Api) -> Callable[..., Any]:  # noqa: F811  the fixture
    """Asks for /metrics as somebody at an address."""
    app = create_app(
        ApiParts(
            **api.parts | {"api_keys": ("a" * 16,), "admin_keys": ("b" * 16,), "metrics": page(api.parts["queue"])}
        )
    )

    async def ask(address: str, **headers: str) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://books.example") as client:
            return (await client.get("/metrics", headers=headers)).status_code

    return ask


async def test_who_may_read_the_page(guarded: Callable[..., Any]) -> None:
    assert await guarded("127.0.0.1") == await guarded("::1") == 200
    assert await guarded("10.0.0.1") == await guarded("not-an-address") == 401
    assert await guarded("127.0.0.1", **{"X-Forwarded-For": "10.0.0.1"}) == 401
    assert await guarded("10.0.0.1", Authorization=f"Bearer {'a' * 16}") == 200
    assert await guarded("10.0.0.1", Authorization=f"Bearer {'b' * 16}") == 200


async def test_refusals_are_counted_by_reason(api: Api) -> None:  # noqa: F811  the fixture
    queue = api.parts["queue"]
    refusals = Refusals(queue)
    changes = {
        "metrics": page(queue, refusals.add),
        "refused": refusals,
        "api_keys": ("a" * 16,),
        "admin_keys": ("b" * 16,),
    }
    key = {"Authorization": f"Bearer {'a' * 16}"}
    async with api.client(**changes) as client:
        for number in range(12):
            await client.post(PATH, json=EVENT | {"jobId": f"j{number}"}, headers=key)
        await client.post(PATH, json=EVENT | {"jobId": "j1"}, headers=key)
        await client.post(PATH, json=EVENT | {"email": "no"}, headers=key)
        await client.post(PATH, json=EVENT)
        await client.post(PATH, content=b"x" * 70_000, headers=key | {"Content-Type": "application/json"})
        await client.get("/nowhere")
        answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    found = samples(answer.text, read_openmetrics)
    counts = {
        key.partition("reason=")[2][:-1]: value
        for key, value in found.items()
        if key.startswith("yb_admission_refusals_total{kind=signin-notification") and value
    }
    assert counts == {"duplicate": 1, "limited": 2, "invalid": 1, "unauthorized": 1, "too_large": 1}
    await refusals.aclose()


async def test_refusals_wait_for_a_queue_that_is_away(own_valkey: ValkeyServer) -> None:
    queue = Queue(own_valkey.url)
    refusals = Refusals(queue)
    own_valkey.kill()
    refusals("ping", "unavailable")
    with pytest.raises(ConnectionError):
        await refusals.add()
    own_valkey.start()
    await refusals.add()
    assert (await Store(queue).whole()).counts["x|ping|unavailable"] == 1
    await refusals.aclose()
    await queue.close()


def test_counters_of_real_processes_never_go_back(start: Callable[..., Any]) -> None:  # noqa: F811  the fixture
    up = start("up", "--workers", "2")

    def post(first: int, last: int) -> None:
        for number in range(first, last):
            assert up.ask("POST", PATH, EVENT | {"jobId": f"j{number}", "userId": f"u{number}"})[0] == 202

    def counted(count: int) -> dict[str, float]:
        deadline = time.monotonic() + 30
        while True:
            found = samples(up.ask("GET", "/metrics")[1])
            numbers = [
                found[f"yb_job_events_total{{event={name},kind=signin-notification}}"]
                for name in ("admitted", "completed")
            ]
            assert max(numbers) <= count, found
            if numbers == [count, count] and found["yb_job_run_seconds_count{kind=signin-notification}"] == count:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    post(0, 20)
    os.kill(up.pid_of("recorder"), signal.SIGKILL)
    post(20, 40)
    first = counted(40)
    assert first["yb_workers{}"] == 2
    up.stop()
    up = start()
    post(40, 50)
    second = counted(50)
    assert all(second[name] >= value for name, value in first.items() if "_total" in name or "_bucket" in name)
    assert up.ask("POST", PATH, EVENT | {"jobId": "j1", "userId": "u1"})[0] == 409
    assert (
        samples(up.ask("GET", "/metrics")[1])["yb_admission_refusals_total{kind=signin-notification,reason=duplicate}"]
        == 1
    )
