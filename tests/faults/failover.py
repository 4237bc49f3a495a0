"""Rows 9 and 10: a primary is lost, or comes back; and `python -m tests.faults.failover`, what each setting loses."""

import argparse
import asyncio
import contextlib
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.conftest import ValkeyServer
from tests.faults.campaign import row
from tests.faults.proxy import Proxy
from tests.faults.rig import Rig, Tally
from tests.faults.servers import Cluster, Group, Node, free_ports
from tests.faults.worker import Work, kind_of
from tests.parts import eventually
from yellowbooks.jobs import Kind, Partitions, Queue
from yellowbooks.jobs.link import patiently
from yellowbooks.jobs.partitions import home_of

PARTITIONS = 8
SHORT = 60  # jobs, in the short form
LEASE = 3.5  # longer than a failover and a step of the logical clock
ROUNDS, CALLERS = 7, 64
CUT_SECONDS = 3.0  # at most: how long the replica is behind before the primary is lost


@row("9 the primary is killed, Sentinel fails over")
async def killed_primary(rig: Rig) -> None:
    """Two replicas, one of which must have a promise: nothing that was acked is lost, whichever takes over."""
    group = Group(rig.folder / "s")
    rig.stack.callback(group.stop)
    await asyncio.to_thread(group.start)
    await rig.move(group.url, replicas=1, lease=LEASE)
    rig.work(2)
    asking = asyncio.create_task(rig.ask(rig.size, before=0.01, after=0.01))
    await asyncio.sleep(0.8)
    group.primary.kill()
    rig.tally.fired += 1
    successor = await group.failed_over()
    group.primary.start()  # the old primary is back, and is told to follow
    await asking
    rig.places = [(f"unix://{successor.socket}", rig.queue.tag)]


@dataclass(frozen=True)
class Guarding:
    """A way to run a primary and its replica."""

    name: str
    replicas: int = 0
    options: tuple[str, ...] = ()


GUARDINGS = (
    Guarding("nothing"),
    Guarding("min-replicas-to-write 1", 0, ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")),
    Guarding("YB_REPLICAS=1", 1),
    Guarding("both", 1, ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")),
)


class Pair:
    """A primary and a replica with a link that can be cut without either noticing, and one address for the clients."""

    def __init__(self, rig: Rig, guarding: Guarding) -> None:
        ports = free_ports(2)
        self.old, self.new = (Node(rig.folder / "p", port, *guarding.options) for port in ports)
        self.link, self.front = Proxy(self.old.socket), Proxy(self.old.socket)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Start all; returns when the replica has caught up."""
        for node in (self.old, self.new):
            stack.callback(node.kill)
            await asyncio.to_thread(node.start)
        await stack.enter_async_context(self.link)
        await stack.enter_async_context(self.front)
        await asyncio.to_thread(self.new.follow, self.link.port)

    def cut(self) -> None:
        """The replica hears nothing more, and is not heard; the connection stays."""
        self.link.to_client.clear()
        self.link.to_server.clear()

    async def promote(self) -> None:
        """The replica is the primary, and clients who come to the common address find it."""
        await asyncio.to_thread(self.new.run, "REPLICAOF", "NO", "ONE")
        self.front.path = self.new.socket
        self.front.cut()

    async def heal(self, *, restart: bool) -> None:
        """The old primary is back as a replica; what it alone knew is gone."""
        if restart:
            await asyncio.to_thread(self.old.start)
        await asyncio.to_thread(self.old.follow, self.new.port)


async def lag(rig: Rig, guarding: Guarding, *, split: bool) -> None:
    """A failover to a replica that lags by seconds; `split`: the old primary lives, a worker stays with it."""
    pair = Pair(rig, guarding)
    await pair.start(rig.stack)
    await rig.move(pair.front.url, replicas=guarding.replicas, lease=LEASE if rig.size > SHORT else LEASE / 2)
    old_side = rig.work(1, url=f"unix://{pair.old.socket}") if split else rig.work(1)
    await rig.ask(rig.size // 2, prefix="before", before=0.05, after=0.1)
    seconds = min(CUT_SECONDS, rig.size / 60)
    pair.cut()
    asking = asyncio.create_task(
        rig.ask(rig.size // 2, prefix="after", before=0.05, after=0.1, pause=seconds / rig.size)
    )
    await asyncio.sleep(seconds)
    rig.tally.fired += 1
    if not split:
        pair.old.kill()
    await pair.promote()
    rig.work(1)
    if split:
        await asyncio.sleep(seconds)  # both sides work
    await pair.heal(restart=not split)
    await asking
    if split:
        await asyncio.sleep(1)  # what the old side still says now is refused
        for process in old_side:
            rig.kill(process)
    rig.places = [(f"unix://{pair.new.socket}", rig.queue.tag)]


@row("9 failover to a replica that lags")
async def lagging(rig: Rig) -> None:
    """With YB_REPLICAS=1 what it lacks was never acked, and no effect was begun on it."""
    await lag(rig, GUARDINGS[2], split=False)


@row("10 the old primary lives on and comes back")
async def split_brain(rig: Rig) -> None:
    """A worker stays with it: it can commit nothing there, and what it says later is refused."""
    await lag(rig, GUARDINGS[2], split=True)


@row("9 a node of a cluster is killed")
async def killed_node(rig: Rig) -> None:
    """Eight partitions over three nodes: the other nodes' jobs go on, and nothing that was acked is lost."""
    cluster = Cluster(rig.folder / "c")
    rig.stack.callback(cluster.stop)
    await asyncio.to_thread(cluster.start)
    await rig.move(cluster.url, replicas=1, lease=LEASE, partitions=PARTITIONS)
    assert isinstance(rig.queue, Partitions)
    rig.work(2)
    asking = [
        asyncio.create_task(rig.ask(rig.size // 4, prefix=f"{n}-", pause=0.01, before=0.01, after=0.01))
        for n in range(4)
    ]
    await asyncio.sleep(1.0)
    victim = cluster.owner(rig.queue.parts[0].tag)
    theirs = [part for part in rig.queue.parts if cluster.owner(part.tag) is victim]
    assert 0 < len(theirs) < PARTITIONS
    cluster.hold(victim)
    victim.kill()
    rig.tally.fired += 1
    homes = [part.number for part in rig.queue.parts if part not in theirs]
    prefix = next(text for text in map(str, range(1000, 2000)) if home_of(f"{text}0", PARTITIONS) in homes)
    await rig.ask(1, prefix=prefix)
    await eventually(lambda: rig.effects()[f"{prefix}0"])
    assert cluster.owner(theirs[0].tag) is victim  # nobody has taken over, and the others go on
    cluster.release(victim)
    await cluster.moved(theirs[0].tag, victim)
    victim.start()
    await asyncio.gather(*asking)
    rig.places = [(f"unix://{cluster.owner(part.tag).socket}", part.tag) for part in rig.queue.parts]


async def measure(guarding: Guarding, size: int, *, split: bool) -> Tally:
    """One experiment, counted and not judged."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        valkey = ValkeyServer(folder)
        rig = Rig(folder, size, valkey, Queue(valkey.url))
        try:
            await lag(rig, guarding, split=split)
            await rig.drain(30)
            return await rig.count()
        finally:
            for process in rig.workers:
                process.kill()
                process.wait()
            await rig.queue.close()
            await rig.stack.aclose()


async def cost(size: int) -> list[tuple[float, ...]]:
    """Admissions a second with a replica that follows: in bulk and by 64 callers, each without and with it."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        rig = Rig(folder, size, ValkeyServer(folder), Queue("unix:///nowhere"))
        pair = Pair(rig, GUARDINGS[0])
        async with contextlib.AsyncExitStack() as stack:
            await pair.start(stack)
            await asyncio.to_thread(pair.new.follow, pair.old.port)
            kind, rounds = kind_of(rig.journal), []
            queues = [Queue(f"unix://{pair.old.socket}", replicas=replicas) for replicas in (0, 1)]
            for _ in range(ROUNDS):
                rates = []
                for many in (True, False):
                    for queue in queues:
                        began = time.perf_counter()
                        if many:
                            await queue.admit_many(kind, (Work() for _ in range(size)))
                        else:
                            await asyncio.gather(*(_caller(queue, kind, size // CALLERS) for _ in range(CALLERS)))
                        rates.append(size / (time.perf_counter() - began))
                rounds.append(tuple(rates))
            for queue in queues:
                await queue.close()
            return rounds


async def outage(cluster: bool, number: int) -> float:
    """Seconds from a signal to the primary until the next admission is answered."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        servers = Cluster(Path(path)) if cluster else Group(Path(path))
        kind = kind_of(Path(path))
        try:
            await asyncio.to_thread(servers.start)
            queue = Queue(servers.url)
            await queue.admit(kind, Work())
            primary = servers.owner(queue.tag) if isinstance(servers, Cluster) else servers.primary
            primary.send(number)
            began = time.monotonic()
            await patiently(lambda: queue.admit(kind, Work()), 60)
            await queue.close()
            return time.monotonic() - began
        finally:
            servers.stop()


async def _caller(queue: Queue, kind: Kind[Work], count: int) -> None:
    for _ in range(count):
        await queue.admit(kind, Work())


async def main() -> None:
    """Print what each setting loses, and what it costs."""
    parser = argparse.ArgumentParser(description="Fail over to a replica that lags, under each setting, and count.")
    parser.add_argument("--size", type=int, default=400, help="jobs an experiment")
    parser.add_argument("--bulk", type=int, default=20_000, help="jobs whose admission is timed")
    options = parser.parse_args()
    columns = ("asked", "acked", "completed", "lost", "forgotten", "duplicated", "unexplained", "uncertain")
    print(
        "| setting | the old primary | " + " | ".join(columns) + " | recovery |\n" + "|---" * (len(columns) + 3) + "|"
    )
    for split in (False, True):
        for guarding in GUARDINGS:
            tally = await measure(guarding, options.size, split=split)
            values = " | ".join(str(getattr(tally, column)) for column in columns)
            name = "lives on" if split else "killed"
            print(f"| {guarding.name} | {name} | {values} | {tally.recovery:.1f} s |", flush=True)
    print("\n| seconds until the next admission | killed | stopped, and silent |\n|---|---|---|")
    for cluster in (False, True):
        killed, silent = await outage(cluster, signal.SIGKILL), await outage(cluster, signal.SIGSTOP)
        print(f"| {'cluster' if cluster else 'Sentinel'} | {killed:.1f} | {silent:.1f} |", flush=True)
    bulk, guarded_bulk, callers, guarded_callers = (
        median(rates) for rates in zip(*await cost(options.bulk), strict=True)
    )
    print("\n| admitted, jobs/s (medians) | without | YB_REPLICAS=1 | ratio |\n|---|---|---|---|")
    print(f"| in bulk | {bulk:,.0f} | {guarded_bulk:,.0f} | {guarded_bulk / bulk:.2f} |")
    print(f"| by {CALLERS} callers | {callers:,.0f} | {guarded_callers:,.0f} | {guarded_callers / callers:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())
