"""The faults, one function each, by the rows of the fault table; each heals what it hurt, and the checker follows."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable

from tests.faults.proxy import Proxy
from tests.faults.rig import LEASE, Rig
from tests.faults.worker import Work, kind_of
from tests.parts import eventually, shift_clock
from yellowbooks.jobs import Queue, State
from yellowbooks.jobs.outcome import Completed, Retry
from yellowbooks.jobs.record import parse
from yellowbooks.jobs.verbs import VERBS

Fault = Callable[[Rig], Awaitable[None]]
FAULTS: dict[str, Fault] = {}
LOSING: set[str] = set()


def row(name: str, *, loses: bool = False) -> Callable[[Fault], Fault]:
    """Enter a fault into the campaign; the name begins with its row. `loses`: with this setting jobs must be lost."""

    def enter(fault: Fault) -> Fault:
        FAULTS[name] = fault
        if loses:
            LOSING.add(name)
        return fault

    return enter


@row("1 a worker is killed, again and again")
async def kill_workers(rig: Rig) -> None:
    """SIGKILL at random moments, a fresh worker each time."""
    chance = random.Random(1)
    rig.work(3, concurrency=5)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.01, after=0.01))
    for _ in range(max(4, rig.size // 100)):
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        rig.kill(chance.choice(rig.alive()))
        rig.work(concurrency=5)
    await asking


@row("2 all workers are killed at once")
async def kill_all(rig: Rig) -> None:
    """Every lease must be found by those who come after."""
    rig.work(3, concurrency=20)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.05, after=0.05))
    await asyncio.sleep(0.8)
    for process in rig.alive():
        rig.kill(process)
    rig.work(2)
    await asking


@row("3 the answer to an admission is lost")
async def lose_admissions(rig: Rig) -> None:
    """Whoever asks again with the same id gets the same job."""
    rig.work()
    async with Proxy(str(rig.valkey.folder / "valkey.sock")) as proxy:
        chance = random.Random(3)
        proxy.lose = lambda request: b"EVAL" in request and chance.random() < 0.3
        queue = Queue(proxy.url, lease=LEASE)
        await rig.ask(rig.size, queue=queue)
        rig.tally.fired += proxy.fired
        await queue.close()


@row("4 SIGTERM under load, one worker after the other")
async def restarts(rig: Rig) -> None:
    """What was not begun is given back; no attempt is spent and no lease need end."""
    rig.work(2, concurrency=20, grace=0.2)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.05))
    for _ in range(max(4, rig.size // 100)):
        await asyncio.sleep(0.4)
        await eventually(rig.all_listed)  # one that still starts would be ended by the signal itself
        old = rig.alive()[0]
        rig.work(concurrency=20, grace=0.2)
        rig.kill(old, signal.SIGTERM)
        assert await asyncio.to_thread(old.wait, 10) == 0
    await asking
    await rig.drain()
    for job_id in rig.acked:
        job = await rig.queue.show(job_id)
        assert job is not None
        assert job.attempts == 1
        assert job.crashes == 0 or any(event.error and "commit" in event.error for event in job.history)


@row("5 SIGTERM twice, then SIGKILL")
async def impatience(rig: Rig) -> None:
    """As a kill."""
    rig.work(2, concurrency=10)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.05))
    for _ in range(3):
        await asyncio.sleep(0.4)
        old = rig.alive()[0]
        rig.work(concurrency=10)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            rig.kill(old, number)
    await asking


@row("6 Valkey is killed under load")
async def kill_valkey(rig: Rig) -> None:
    """AOF always: what was acked is there; everybody reconnects by himself."""
    rig.work(2)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.01))
    for _ in range(3):
        await asyncio.sleep(0.5)
        rig.valkey.kill()
        rig.tally.fired += 1
        rig.valkey.start()
    await asking


@row("11 a partition, one way and both")
async def partition(rig: Rig) -> None:
    """A worker that hears nothing, or is not heard, starts nothing new; its late words are refused."""
    async with Proxy(str(rig.valkey.folder / "valkey.sock")) as proxy:
        rig.work(1, url=proxy.url)
        rig.work(1)
        asking = asyncio.create_task(rig.ask(rig.size, before=0.02, after=0.02))
        for gates in ((proxy.to_client,), (proxy.to_server,), (proxy.to_client, proxy.to_server)):
            await asyncio.sleep(0.4)
            for gate in gates:
                gate.clear()
            await asyncio.sleep(2 * LEASE)
            for gate in gates:
                gate.set()
        await asking
        rig.tally.fired += proxy.fired
        await rig.drain()


@row("12 the reply to every script is lost")
async def lose_replies(rig: Rig) -> None:
    """Each verb is told again by the client and answers alike: as if once."""
    kind = kind_of(rig.journal)
    async with Proxy(str(rig.valkey.folder / "valkey.sock")) as proxy:
        queue = Queue(proxy.url, lease=30)

        def once(verb: str) -> None:
            text = VERBS[verb].sha.encode()
            proxy.lose = lambda request: text in request and not _done(proxy)

        async def lost(verb: str, call: Awaitable[object]) -> object:
            before = proxy.fired
            once(verb)
            answer = await call
            assert proxy.fired == before + 1, f"no reply of {verb} was lost"
            rig.tally.fired += 1
            return answer

        def _done(proxy: Proxy) -> bool:
            done, proxy.lose = False, lambda _request: False
            return done

        async def admitted(job_id: str) -> None:
            rig.asked.add(job_id)
            rig.acked.add(job_id)
            await rig.queue.admit(kind, Work(job_id=job_id))

        for verb in VERBS:
            await queue.link.client.script_load(VERBS[verb].text)
        rig.asked |= {"a"}
        rig.acked |= {"a"}
        assert (await lost("admit", queue.admit(kind, Work(job_id="a"))))[1].word == "admitted"  # type: ignore[index]
        [lease], _ = await lost("claim", queue.claim([kind], 1))  # type: ignore[misc]
        assert await lost("renew", queue.renew([lease])) == ["kept"]
        await lost("note", queue.note(lease, "x", None))
        assert await lost("release", queue.release([lease])) == ["stale"]  # it was released: told again, it is not ours
        [lease], _ = await queue.claim([kind], 1)
        await lost("commit", queue.commit(lease))
        assert await lost("settle", queue.settle(lease, Retry(0.0, "x"))) == "already"
        [lease], _ = await queue.claim([kind], 1)
        rig.journal.write_text("a\n")
        assert await lost("settle", queue.settle(lease, Completed())) == "already"
        await admitted("b")
        assert await lost("cancel", queue.cancel(["b"])) == ["ended"]
        await queue.close()


@row("13 a slow Valkey")
async def slow(rig: Rig) -> None:
    """It answers nobody for half a second, again and again."""
    rig.work(2)
    asking = asyncio.create_task(rig.ask(rig.size))
    for _ in range(4):
        await asyncio.sleep(0.3)
        await rig.queue.link.client.execute_command("CLIENT", "PAUSE", "500", "ALL")
        rig.tally.fired += 1
    await asking


@row("14 the script cache is flushed all the time")
async def flush_scripts(rig: Rig) -> None:
    """NOSCRIPT is nobody's error."""
    rig.work(2)
    asking = asyncio.create_task(rig.ask(rig.size))
    while not asking.done():
        await rig.queue.link.client.script_flush()
        rig.tally.fired += 1
        await asyncio.sleep(0.01)
    await asking


@row("15 the memory limit is reached")
async def memory(rig: Rig) -> None:
    """New jobs are refused and told again; what is there goes on, and the queue empties."""
    rig.work(2)
    await rig.ask(rig.size // 2, prefix="before", before=0.01)
    await rig.queue.link.client.config_set("maxmemory", "1mb")
    asking = asyncio.create_task(rig.ask(rig.size // 2, prefix="after"))
    await asyncio.sleep(1)
    assert not any(job_id.startswith("after") for job_id in rig.acked)
    await rig.drain()
    rig.tally.fired += 1
    await rig.queue.link.client.config_set("maxmemory", "0")
    await asking


@row("16 the disk of Valkey is full")
async def full_disk(rig: Rig) -> None:
    """With AOF always it stops rather than answer for what it did not save; what was acked is there afterwards."""
    rig.valkey.stop()
    rig.valkey.start(file_size=60_000)
    asking = asyncio.create_task(rig.ask(3 * rig.size))
    for _ in range(200):
        await asyncio.sleep(0.05)
        if rig.valkey.process is not None and rig.valkey.process.poll() is not None:
            rig.tally.fired += 1
            break
    rig.valkey.stop()
    acked = set(rig.acked)
    rig.valkey.start()
    for job_id in acked:
        assert await rig.queue.show(job_id) is not None, f"{job_id} was acked and is gone"
    rig.work(2)
    await asking


@row("29, 30 the clock jumps an hour on and an hour back")
async def clock(rig: Rig) -> None:
    """No lease ends early and nothing waits for ever: what the scripts remember of the clock is moved.

    One step of the logical clock is at most 3 s, so a lease must be longer than that.
    """
    rig.work(2, lease=10.0)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.05))
    for wall in (-3_600_000, 3_600_000, -3_600_000, 7_200_000):
        await asyncio.sleep(0.4)
        shift_clock(rig.valkey.client(), rig.queue.tag, wall=wall)
        rig.tally.fired += 1
    await asking
    await rig.drain()
    for job_id in rig.acked:
        job = await rig.queue.show(job_id)
        assert job is not None
        assert job.crashes == 0


@row("31 a handler blocks the event loop for two leases")
async def blocked(rig: Rig) -> None:
    """The heartbeat has a thread of its own."""
    rig.work(1)
    await rig.ask(2, way="block", before=2 * LEASE)
    rig.tally.fired += 2
    await rig.drain()
    for job_id in rig.acked:
        job = await rig.queue.show(job_id)
        assert job is not None
        assert (job.state, job.crashes) == (State.COMPLETED, 0)


@row("32 a worker is stopped for three leases and goes on")
async def stopped(rig: Rig) -> None:
    """Its late commit is refused, so its late effect does not happen."""
    [sleeper] = rig.work(1, concurrency=10)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.3))
    await asyncio.sleep(0.8)
    rig.kill(sleeper, signal.SIGSTOP)
    rig.work(1, concurrency=20)
    await asyncio.sleep(3 * LEASE)
    os.kill(sleeper.pid, signal.SIGCONT)
    await asking


@row("33 a job kills its worker every time")
async def poison(rig: Rig) -> None:
    """Three lost workers are enough; the others are unharmed."""
    rig.work(1, concurrency=1)
    await rig.ask(1, prefix="poison", way="abort")
    asking = asyncio.create_task(rig.ask(min(rig.size, 20), before=0.01))
    for _ in range(600):
        job = await rig.queue.show("poison0")
        assert job is not None
        if job.state is State.DEAD:
            break
        if not rig.alive():
            rig.tally.fired += 1
            rig.work(1, concurrency=1)
        await asyncio.sleep(0.05)
    assert (job.state, job.crashes, job.cause) == (State.DEAD, 3, "poison")
    await asking


@row("34 junk under every key")
async def junk(rig: Rig) -> None:
    """A record that cannot be read is put aside with the reason; the others go on."""
    client = rig.queue.link.client
    await rig.ask(rig.size)
    spoilt = {"j0": b"junk", "j1": b"\x09" + bytes(200), "j2": b"\x01\x02"}
    for job_id, raw in spoilt.items():
        await client.set(f"{rig.queue.tag}:job:{job_id}", raw)
    await client.delete(f"{rig.queue.tag}:job:j3")
    await client.delete(f"{rig.queue.tag}:job:j4")
    await client.lpush(f"{rig.queue.tag}:job:j4", "a list")
    for index in ("due", "leases"):
        await client.zadd(f"{rig.queue.tag}:{index}", {"nobody": 1, "j0": 1})
    for name in ("gates", "workers", "locks", "schedules"):
        await client.hset(f"{rig.queue.tag}:{name}", "junk", "\xc1junk")
    rig.work(2)
    gone = {"j0", "j1", "j2", "j3", "j4"}
    rig.acked -= gone
    rig.asked -= gone
    await rig.drain()
    kept = await client.hkeys(f"{rig.queue.tag}:quarantine")
    assert {b"j0", b"j1", b"j2", b"j4"} <= set(kept)
    rig.tally.fired += len(gone)
    for job_id in gone:
        await client.delete(f"{rig.queue.tag}:job:{job_id}")


@row("36 one request a thousand times at once")
async def crowd(rig: Rig) -> None:
    """One job, and everybody is told of the same."""
    kind, queues = kind_of(rig.journal), [Queue(rig.valkey.url, lease=LEASE) for _ in range(5)]
    rig.asked |= {"same"}
    answers = await asyncio.gather(*(queues[n % 5].admit(kind, Work(job_id="same")) for n in range(1000)))
    words = [receipt.word for _, receipt in answers]
    assert words.count("admitted") == 1
    assert words.count("seen") == 999
    assert all(receipt.same for _, receipt in answers if receipt.word == "seen")
    rig.acked |= {"same"}
    rig.tally.fired += 999
    for queue in queues:
        await queue.close()


@row("41 a payload of a newer version")
async def versions(rig: Rig) -> None:
    """Parked, with no attempt spent, while the others run."""
    await rig.ask(rig.size)
    key = f"{rig.queue.tag}:job:j0"
    mark = await _stamp(rig, key, b"\xff\xff")
    rig.work(2)
    for _ in range(200):
        job = await rig.queue.show("j0")
        assert job is not None
        if job.state is State.RETRYING:
            break
        await asyncio.sleep(0.05)
    assert (job.state, job.attempts, job.history[-1].name) == (State.RETRYING, 0, "deferred")
    rig.tally.fired += 1
    await _stamp(rig, key, mark)  # a worker that knows it
    await rig.queue.link.client.zadd(f"{rig.queue.tag}:due", {"j0": 1})


async def _stamp(rig: Rig, key: str, mark: bytes) -> bytes:
    raw = await rig.queue.link.client.get(key)
    record = parse(raw)
    assert record is not None
    at = len(raw) - len(record.payload)
    await rig.queue.link.client.set(key, raw[:at] + mark + raw[at + 2 :])
    return bytes(raw[at : at + 2])


@row("42 a worker without file descriptors")
async def descriptors(rig: Rig) -> None:
    """It cannot open what it needs and ends or waits; another does the work."""
    rig.work(1, files=12)
    rig.tally.fired += 1
    asking = asyncio.create_task(rig.ask(rig.size))
    await asyncio.sleep(1)
    rig.work(1)
    await asking
