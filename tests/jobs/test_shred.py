"""What an ended job still says of a person goes: its record stays, empty, and its id is known."""

from tests.conftest import ValkeyServer
from tests.parts import Ping, put, take
from yellowbooks.jobs import Kind, Queue, accounts_about, find_about
from yellowbooks.jobs.outcome import COMPLETED
from yellowbooks.jobs.record import parse


async def test_shred_takes_account_hash_and_story(queue: Queue, ping: Kind[Ping]) -> None:
    [done, waiting] = await put(queue, ping, 2, user="bat", job_id=None)
    [lease, _] = await take(queue)
    await queue.note(lease, "a line", None)
    await queue.settle(lease, COMPLETED)
    assert await queue.shred([done, waiting, "never"]) == ["shredded", "not_ended", "unknown"]
    record = parse(await queue.link.client.get(f"{queue.tag}:job:{done}"))
    assert record
    assert (record.state, record.kind, record.account, record.fingerprint, record.payload) == (
        "completed", "ping", "", bytes(8), b"",
    )  # fmt: skip
    assert record.max_attempts == ping.backoff.attempts
    job = await queue.show(done)
    assert job
    assert [event.name for event in job.history] == ["admitted", "claimed", "completed"]
    assert await queue.shred([done]) == ["shredded"]
    found = await find_about(queue, [ping], {"user": "bat"})
    assert list(found.jobs) == [waiting]


async def test_an_id_that_left_the_queue_is_known_without_what_it_asked(queue: Queue, ping: Kind[Ping]) -> None:
    await queue.admit(ping, Ping(job_id="one", note="a"))
    await queue.cancel(["one"])
    events = await queue.read(1)
    queue._retention_ms = -1000
    assert await queue.recorded(events[-1].position) == 1
    _, before = await queue.admit(ping, Ping(job_id="one", note="a"))
    assert (before.word, before.same) == ("seen", True)
    assert await queue.shred(["one"]) == ["shredded"]
    _, after = await queue.admit(ping, Ping(job_id="one", note="a"))
    assert (after.word, after.same) == ("seen", False)


async def test_an_account_goes_with_its_times_and_its_window(
    queue: Queue, ping: Kind[Ping], own_valkey: ValkeyServer
) -> None:
    await put(queue, ping, 3, user="bat")
    await put(queue, ping, 1, user="dorj")
    once = Kind("once", Ping, unique=3600.0)
    await queue.admit(once, Ping(user="bat"))
    kinds = [ping, once]
    assert len((await accounts_about(queue, kinds, {"user": "bat"}))["ping"]) == 3
    assert "once" in await accounts_about(queue, kinds, {"user": "bat"})
    assert await accounts_about(queue, kinds, {"address": "bat@example.com"}) == {}
    accounts = [kind.account("bat").decode() for kind in kinds]
    assert await queue.shred([], accounts) == []
    assert await accounts_about(queue, kinds, {"user": "bat"}) == {}
    assert len((await accounts_about(queue, kinds, {"user": "dorj"}))["ping"]) == 1
    _, receipt = await queue.admit(once, Ping(user="bat"))
    assert receipt.word == "admitted"
