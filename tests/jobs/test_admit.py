"""admit: once only, at most so many an hour, and all in one step."""

import asyncio

import pytest
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.parts import Ping, shift_clock, take
from yellowbooks.jobs import Kind, Queue, QueueUnavailable, Rate, State
from yellowbooks.jobs.outcome import Completed, Dead
from yellowbooks.jobs.record import body
from yellowbooks.jobs.verbs import Admission

SEVEN_DAYS_MS = 7 * 24 * 3600 * 1000


async def test_a_new_job_is_admitted_and_can_be_shown(queue: Queue, ping: Kind[Ping]) -> None:
    job_id, receipt = await queue.admit(ping, Ping(job_id="a"))
    job = await queue.show("a")
    assert (job_id, receipt.word) == ("a", "admitted")
    assert job is not None
    assert (job.state, job.attempts, job.max_attempts) == (State.ENQUEUED, 0, 5)
    assert [event.name for event in job.history] == ["admitted"]


async def test_the_same_id_is_seen_and_says_whether_it_was_the_same_request(queue: Queue, ping: Kind[Ping]) -> None:
    await queue.admit(ping, Ping(job_id="a", note="x"))
    _, same = await queue.admit(ping, Ping(job_id="a", note="x"))
    _, other = await queue.admit(ping, Ping(job_id="a", note="y"))
    assert (same.word, same.state, same.same) == ("seen", State.ENQUEUED, True)
    assert (other.word, other.same) == ("seen", False)


async def test_a_thousand_times_at_once_is_one_job(queue: Queue, ping: Kind[Ping]) -> None:
    receipts = await asyncio.gather(*(queue.admit(ping, Ping(job_id="a")) for _ in range(1000)))
    assert [receipt.word for _, receipt in receipts].count("admitted") == 1
    assert len(await take(queue)) == 1


async def test_the_eleventh_in_an_hour_is_limited_and_others_are_not(queue: Queue, ping: Kind[Ping]) -> None:
    for _ in range(10):
        assert (await queue.admit(ping, Ping()))[1].word == "admitted"
    _, eleventh = await queue.admit(ping, Ping())
    assert eleventh.word == "limited"
    assert 3_590_000 < eleventh.wait <= 3_600_000
    assert (await queue.admit(ping, Ping(user="dorj")))[1].word == "admitted"


async def test_duplicates_and_refusals_cost_no_rate(queue: Queue, ping: Kind[Ping]) -> None:
    for _ in range(20):
        await queue.admit(ping, Ping(job_id="a"))
    for _ in range(9):
        assert (await queue.admit(ping, Ping()))[1].word == "admitted"
    assert (await queue.admit(ping, Ping()))[1].word == "limited"


async def test_a_limited_id_may_come_again_later(queue: Queue) -> None:
    kind = Kind("ping", Ping, rate=Rate(1, 0.3))
    await queue.admit(kind, Ping(job_id="a"))
    assert (await queue.admit(kind, Ping(job_id="b")))[1].word == "limited"
    await asyncio.sleep(0.35)
    assert (await queue.admit(kind, Ping(job_id="b")))[1].word == "admitted"


async def test_the_window_slides(queue: Queue) -> None:
    kind = Kind("ping", Ping, rate=Rate(2, 0.6))
    await queue.admit(kind, Ping())
    await asyncio.sleep(0.4)
    await queue.admit(kind, Ping())
    await asyncio.sleep(0.3)  # the first has left the window, the second has not
    assert (await queue.admit(kind, Ping()))[1].word == "admitted"
    assert (await queue.admit(kind, Ping()))[1].word == "limited"


async def test_an_id_is_known_after_its_job_is_forgotten(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    forgetful = Queue(valkey.url, name=queue.tag[4:-3], retention=0)
    await queue.admit(ping, Ping(job_id="a"))
    [lease] = await take(queue)
    await queue.settle(lease, Completed())
    events = await queue.read(1)
    await asyncio.sleep(0.01)
    await forgetful.recorded(events[-1].position)
    assert await queue.show("a") is None
    _, again = await queue.admit(ping, Ping(job_id="a"))
    assert (again.word, again.state, again.same) == ("seen", None, True)
    await forgetful.close()


async def test_an_id_is_free_after_seven_days_of_the_logical_clock(
    queue: Queue, ping: Kind[Ping], valkey: ValkeyServer
) -> None:
    forgetful, client = Queue(valkey.url, name=queue.tag[4:-3], retention=0), Valkey.from_url(valkey.url)
    await queue.admit(ping, Ping(job_id="a"))
    [lease] = await take(queue)
    await queue.settle(lease, Completed())
    await asyncio.sleep(0.01)
    await forgetful.recorded((await queue.read(1))[-1].position)
    shift_clock(client, queue.tag, logical=SEVEN_DAYS_MS - 60_000)
    assert (await queue.admit(ping, Ping(job_id="a")))[1].word == "seen"
    shift_clock(client, queue.tag, logical=60_000)
    assert (await queue.admit(ping, Ping(job_id="a")))[1].word == "admitted"
    client.close()
    await forgetful.close()


async def test_a_dead_job_keeps_its_id_for_ever(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    client = Valkey.from_url(valkey.url)
    await queue.admit(ping, Ping(job_id="a", note="x"))
    [lease] = await take(queue)
    await queue.settle(lease, Dead("boom"))
    shift_clock(client, queue.tag, logical=3 * SEVEN_DAYS_MS)
    _, same = await queue.admit(ping, Ping(job_id="a", note="x"))
    _, other = await queue.admit(ping, Ping(job_id="a", note="y"))
    assert (same.word, same.state, same.same, other.same) == ("seen", State.DEAD, True, False)
    client.close()


async def test_a_jump_of_the_wall_clock_frees_no_id(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    client = Valkey.from_url(valkey.url)
    await queue.admit(ping, Ping(job_id="a"))
    before = shift_clock(client, queue.tag, wall=-30 * 24 * 3600 * 1000)  # as if it had jumped a month ahead
    assert (await queue.admit(ping, Ping(job_id="a")))[1].word == "seen"
    assert shift_clock(client, queue.tag) - before < 10_000
    client.close()


async def test_a_full_backlog_refuses_and_stores_nothing(valkey: ValkeyServer, queue: Queue, ping: Kind[Ping]) -> None:
    small = Queue(valkey.url, name=queue.tag[4:-3], backlog=3)
    words = [(await small.admit(ping, Ping(user=f"u{n}", job_id=f"j{n}")))[1].word for n in range(4)]
    assert words == ["admitted"] * 3 + ["full"]
    assert await queue.show("j3") is None
    await small.close()


async def test_no_user_id_stands_in_a_key(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    await queue.admit(ping, Ping(user="canary-user"))
    client = Valkey.from_url(valkey.url)
    keys = list(client.scan_iter(f"{queue.tag}:*"))
    client.close()
    assert keys
    assert not [key for key in keys if b"canary" in key]


async def test_a_delayed_job_waits(queue: Queue, ping: Kind[Ping]) -> None:
    job_id, _ = await queue.admit(ping, Ping(), delay=0.2)
    job = await queue.show(job_id)
    assert job is not None
    assert job.state is State.SCHEDULED
    leases, due = await queue.claim(["ping"], 10)
    assert leases == []
    assert 0 < due <= 0.2
    await asyncio.sleep(0.25)
    assert [lease.job_id for lease in await take(queue)] == [job_id]


async def test_admissions_of_one_turn_are_in_order(queue: Queue, ping: Kind[Ping]) -> None:
    ids = [f"j{n:03}" for n in range(250)]
    await asyncio.gather(*(queue.admit(ping, Ping(job_id=job_id, user=job_id)) for job_id in ids))
    taken = []
    while leases := await take(queue, room=100):
        taken += [lease.job_id for lease in leases]
    assert taken == ids


async def test_large_payloads_leave_in_calls_of_a_megabyte(queue: Queue, ping: Kind[Ping]) -> None:
    note = "x" * 60_000
    jobs = (queue.admit(ping, Ping(user=str(n), note=note)) for n in range(60))
    assert {receipt.word for _, receipt in await asyncio.gather(*jobs)} == {"admitted"}
    first = await take(queue, room=100)
    assert sum(len(lease.payload) for lease in first) < 1_200_000
    rest = await take(queue, room=100)
    assert len(first) + len(rest) + len(await take(queue, room=100)) + len(await take(queue, room=100)) == 60


async def test_a_lost_reply_is_given_again(queue: Queue, ping: Kind[Ping]) -> None:
    key = ping.account("bat")
    for nonce, word in ((b"nnnnnn", "admitted"), (b"nnnnnn", "admitted"), (b"others", "seen")):
        sent = body(b"12345678", nonce, 1, 5, 0, b"ping", key, ping.encode(Ping()))
        [receipt], _ = await queue.link.run("admit", [sent], items=[Admission("a", 10, 3_600_000)], backlog=10)
        assert receipt.word == word
    assert await queue.link.client.strlen(f"{queue.tag}:user:{key.decode()}") == 7 + 6  # charged once
    assert len(await take(queue)) == 1


async def test_a_server_without_memory_refuses_new_jobs_and_still_empties(own_valkey: ValkeyServer) -> None:
    kind, queue = Kind("ping", Ping), Queue(own_valkey.url)
    for number in range(30):
        await queue.admit(kind, Ping(job_id=f"j{number}"))
    await queue.link.client.config_set("maxmemory", "1mb")
    with pytest.raises(QueueUnavailable):
        await queue.admit(kind, Ping(job_id="late"))
    done = 0
    while leases := await take(queue, room=7):
        assert await queue.renew(leases) == ["kept"] * len(leases)
        assert await asyncio.gather(*(queue.settle(lease, Completed()) for lease in leases)) == ["settled"] * len(
            leases
        )
        done += len(leases)
    assert done == 30
    await queue.link.client.config_set("maxmemory", "0")
    assert await queue.show("late") is None
    assert (await queue.admit(kind, Ping(job_id="late")))[1].word == "admitted"
    await queue.close()
