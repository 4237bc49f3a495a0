"""The numbers of now, and the live stream of what goes on."""

import asyncio
import time

import httpx
import pytest

from tests.conftest import ValkeyServer
from tests.operators.conftest import Desk, told
from tests.parts import Ping, eventually, put, take
from yellowbooks.jobs import Kind, Partitions, Queue
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.operators import Now, Watch

NOW = "/api/admin/now"


async def register(queue: Queue, *kinds: Kind[Ping], capacity: int = 7) -> None:
    await queue.renew([], worker=queue.id, kinds=kinds, about="host:1", capacity=capacity)


async def test_how_many_stand_where_and_who_does_what(
    desk: Desk, client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]
) -> None:
    await put(queue, ping, 6)
    await queue.admit(ping, Ping(user="late"), delay=60)
    await register(queue, ping)
    first, second, third, fourth = await take(queue, room=4)
    await queue.settle(first, Completed())
    await queue.settle(second, Dead("boom"))
    await queue.settle(third, Retry(60, "again"))
    await fourth.commit()
    body = (await client.get(NOW)).json()
    assert {name: body["depth"][name] for name in ("scheduled", "enqueued", "processing", "retrying", "dead")} == {
        "scheduled": 1, "enqueued": 2, "processing": 1, "retrying": 1, "dead": 1,
    }  # fmt: skip
    assert 0 <= body["oldestWaitingSeconds"] < 10
    [worker] = body["workers"]
    assert (worker["id"], worker["kinds"], worker["capacity"], worker["gone"]) == (queue.id, ["ping"], 7, False)
    [running] = worker["running"]
    assert (running["jobId"], running["type"], running["committed"]) == (fourth.job_id, "ping", True)
    assert 0 <= running["sinceSeconds"] < 10
    assert (body["listening"], body["unheard"], body["trouble"]) == (True, [], [])
    assert body["rates"] == {"inPerSecond": 0, "outPerSecond": 0}  # nobody listens, and no minute is over


async def test_many_that_wait_for_a_time_are_told_apart_by_a_sample(queue: Queue, ping: Kind[Ping]) -> None:
    late = Kind("ping", Ping)
    await queue.admit_many(late, [Ping(user=f"u{n}") for n in range(600)], delay=3600)
    await queue.admit_many(late, [Ping(user=f"w{n}") for n in range(300)])
    for _ in range(3):
        leases = await take(queue, room=100)
        await queue.settle_many([(lease, Retry(60, "again")) for lease in leases])
    survey = await queue.survey()
    assert survey.scheduled == 900
    assert survey.retrying == pytest.approx(300, abs=3)


async def test_what_is_held_and_what_nobody_knows(
    client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping], desk: Desk
) -> None:
    assert (await client.get(NOW)).json()["listening"] is False  # nobody at all
    await register(queue, Kind("other", Ping))
    await put(queue, ping)
    await queue.hold("mail", by="bat", reason="the server is mended")
    await asyncio.sleep(0.51)
    body = (await client.get(NOW)).json()
    assert (body["listening"], body["unheard"]) == (False, ["ping"])
    [held] = body["held"]
    assert (held["what"], held["by"], held["why"], held["pace"]) == ("mail", "bat", "the server is mended", None)
    assert held["since"].endswith("Z")
    await register(queue, ping, Kind("other", Ping))
    await asyncio.sleep(0.51)
    assert (await client.get(NOW)).json()["listening"] is True


async def test_a_worker_that_is_silent_does_not_listen(desk: Desk, queue: Queue, ping: Kind[Ping]) -> None:
    await register(queue, ping)

    async def gone() -> bool:
        await queue.lock("clock", "test", 1)  # the logical clock goes on while anybody asks for anything
        [worker] = (await desk.now.body()).workers
        return worker.gone

    assert not await gone()
    await eventually(gone)
    assert (await desk.now.body()).listening is False


async def test_where_the_queue_is_away_the_answer_says_so(own_valkey: ValkeyServer, desk: Desk) -> None:
    queue = Queue(own_valkey.url)
    own_valkey.kill()
    watch = Watch(queue)
    began = time.monotonic()
    body = await Now(queue, watch, desk.log).body()
    assert time.monotonic() - began < 4
    [trouble] = body.trouble
    assert trouble.part == "queue"
    assert "start Valkey" in trouble.error
    assert body.depth is None
    await queue.close()


async def test_events_as_they_happen_and_again_after_a_lost_line(desk: Desk, queue: Queue, ping: Kind[Ping]) -> None:
    async with desk.served() as url, httpx.AsyncClient(timeout=10) as client:
        async with client.stream("GET", f"{url}/api/events") as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            stream = told(reply)
            event, _, body = await anext(stream)
            assert (event, body["depth"]["enqueued"]) == ("now", 0)
            await reading(desk)
            [job_id] = await put(queue, ping)
            while event != "job":
                event, name, body = await anext(stream)
            assert (body["jobId"], body["event"], body["type"], body["status"]) == (
                job_id, "admitted", "ping", "enqueued",
            )  # fmt: skip
        assert desk.watch.reading
        [lease] = await take(queue)
        await queue.settle(lease, Completed())
        async with client.stream("GET", f"{url}/api/events", headers={"Last-Event-ID": name}) as reply:
            again = [body async for event, _, body in several(told(reply), 2, "job")]
        assert [body["event"] for body in again] == ["claimed", "completed"]
        assert again[0]["worker"] == queue.id
        # Another process knows the name of no event of this one, but its moment.
        other = Watch(queue)
        other._events.extend(desk.watch._events)
        other._count = desk.watch._count + 50
        later, _ = other.after(other.cursor(name), 100)
        assert [event.name for _, event in later] == ["admitted", "claimed", "completed"]
        await eventually(lambda: not desk.watch.reading)


async def test_the_rates_and_what_was_too_much_to_tell(desk: Desk, queue: Queue, ping: Kind[Ping]) -> None:
    async with (
        desk.served() as url,
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/api/events") as reply,
    ):
        stream = told(reply)
        await anext(stream)
        await reading(desk)
        await put(queue, ping, 100)
        missed, jobs = 0, 0
        async for event, _, body in stream:
            jobs += event == "job"
            missed += body["count"] if event == "missed" else 0
            if event == "now" and jobs + missed == 100 and body["rates"]["inPerSecond"]:
                break
        assert 20 <= jobs < 100
        assert body["rates"]["inPerSecond"] > 5
        assert body["rates"]["outPerSecond"] == 0


async def test_a_queue_in_partitions(valkey: ValkeyServer, queue_name: str, ping: Kind[Ping], desk: Desk) -> None:
    queue = Partitions(valkey.url, 3, name=queue_name, lease=5)
    watch = Watch(queue)
    await put(queue, ping, 30)
    await queue.renew([], worker=queue.id, kinds=[ping], about="host:1", capacity=3)
    leases = await take(queue, room=9)
    body = await Now(queue, watch, desk.log).body()
    assert body.depth
    assert (body.depth.enqueued, body.depth.processing) == (30 - len(leases), len(leases))
    assert {one.job_id for worker in body.workers for one in worker.running} == {lease.job_id for lease in leases}
    assert [worker.id for worker in body.workers] == [queue.id]
    with watch.listening():
        await asyncio.sleep(0.1)
        await put(queue, ping, 5, note="x", user="again")
        await eventually(lambda: len(watch.after(0, 100)[0]) == 5)
    await watch.close()
    await queue.close()


async def test_a_reader_whose_queue_went_away_goes_on_and_says_that_it_missed_some(
    own_valkey: ValkeyServer, ping: Kind[Ping]
) -> None:
    queue = Queue(own_valkey.url)
    watch = Watch(queue)
    with watch.listening():
        await reading_of(watch, queue, ping)
        own_valkey.kill()
        await eventually(lambda: "missed" in [event.name for _, event in watch.after(0, 100)[0]])
        own_valkey.start()
        await reading_of(watch, queue, ping)
    await watch.close()
    assert not watch.reading
    await queue.close()


async def test_only_operators(desk: Desk) -> None:
    async with desk.client(api_keys=["k" * 16], admin_keys=["a" * 16]) as client:
        for path in (NOW, "/api/events"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers={"Authorization": "Bearer " + "k" * 16})).status_code == 403
        assert (await client.get(NOW, headers={"Authorization": "Bearer " + "a" * 16})).status_code == 200


async def reading(desk: Desk) -> None:
    """The reader starts at what is newest when its first question is answered."""
    await eventually(lambda: desk.watch.reading)
    await asyncio.sleep(0.2)


async def reading_of(watch: Watch, queue: Queue, ping: Kind[Ping]) -> None:
    before = len(watch.after(0, 1000)[0])

    async def told_of_one() -> bool:
        await queue.admit(ping, Ping(user=f"{time.monotonic_ns()}"))
        return any(event.name == "admitted" for _, event in watch.after(0, 1000)[0][before:])

    await eventually(told_of_one)


async def several(stream, count: int, wanted: str):
    async for item in stream:
        if item[0] == wanted:
            yield item
            count -= 1
            if not count:
                return
