"""For the tests of those who use this: jobs run in the test's own process, at once or as the clock is moved."""

import random
import re
from collections import Counter
from typing import Any

from yellowbooks.jobs.attempt import Runner
from yellowbooks.jobs.job import Job, State
from yellowbooks.jobs.kind import Kind, Payload
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.outcome import Completed, Outcome
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.record import parse
from yellowbooks.jobs.simulated.server import SimulatedServer

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
MOST_ATTEMPTS = 1_000  # of one job while the clock stands still


class Unclean(AssertionError):
    """What a test expected of the queue is not so."""


class Simulation:
    """A queue, a worker and a clock in memory, under the rules of production: the same Lua.

        simulation = Simulation(KIND)
        await simulation.queue.admit(KIND, Hello(name="Бат"))
        simulation.assert_enqueued(KIND, name="Бат")
        await simulation.run()              # whatever may run now
        await simulation.advance("1h")      # and whatever is due until then

    `crashes` is the share of attempts in which the worker is lost, drawn from `seed`: the same seed, the same run.
    """

    def __init__(self, *kinds: Kind[Any], seed: int = 0, crashes: float = 0.0, lease: float = 30.0) -> None:
        self.server = SimulatedServer()
        self.queue = Queue(self.server, lease=lease)
        self.ended: list[Job] = []
        self._kinds = kinds
        self._runners = {kind.name: Runner(kind) for kind in kinds}
        self._random = random.Random(seed)  # noqa: S311  # nosec B311 # no secret
        self._crashes = crashes

    @property
    def now(self) -> float:
        """Seconds since 1970 on the simulated clock."""
        return self.server.store.now / 1e6

    async def run(self) -> int:
        """Run what may run now; gives how many attempts were made. Raises `Unclean` where a job never ends."""
        attempts: Counter[str] = Counter()
        while True:
            leases, _ = await self.queue.claim(self._kinds, 100)
            if not leases:
                return attempts.total()
            for lease in leases:
                await self._attempt(lease)
                attempts[lease.job_id] += 1
                if attempts[lease.job_id] > MOST_ATTEMPTS:
                    raise Unclean(f"{lease.kind} {lease.job_id} has no end: give the handler's RetryAfter a delay")

    async def advance(self, by: str | float) -> int:
        """Move the clock by seconds, or «90s», «5m», «1h», «2d»; run what becomes due, each at its time."""
        until = self.server.store.now + round(_seconds(by) * 1e6)
        runs = await self.run()
        while (at := self._next()) is not None and at <= until:
            self.server.store.now = max(at, self.server.store.now)
            runs += await self.run()
        self.server.store.now = until
        return runs + await self.run()

    def enqueued(self, kind: Kind[Any]) -> list[Payload]:
        """The payloads of the jobs of a kind that have not ended."""
        return [
            kind.decode(record.payload) for record in self._records() if record.kind == kind.name and record.payload
        ]

    def assert_enqueued(self, kind: Kind[Any], **fields: Any) -> None:
        """Raises `Unclean` unless a job of the kind with these fields waits or runs."""
        there = self.enqueued(kind)
        if not any(all(getattr(payload, key) == value for key, value in fields.items()) for payload in there):
            raise Unclean(f"no {kind.name} with {fields}; there are {there or 'none'}")

    async def state(self, job_id: str) -> State | None:
        """Where a job stands."""
        job = await self.queue.show(job_id)
        return job.state if job else None

    async def _attempt(self, lease: Lease) -> None:
        if self._random.random() < self._crashes:
            return  # the worker is lost; the lease will end
        try:
            outcome: Outcome = await self._runners[lease.kind](lease)
        except LeaseLost:
            return
        await self.queue.settle_many([(lease, outcome)], self._kinds)
        if isinstance(outcome, Completed) and (job := await self.queue.show(lease.job_id)):
            self.ended.append(job)

    def _records(self) -> list[Any]:
        prefix = f"{self.queue.tag}:job:".encode()
        stored = [value for key, value in self.server.store.values.items() if key.startswith(prefix)]
        return [record for record in map(parse, stored) if record]

    def _next(self) -> int | None:
        """When (us) something is due next: a job, the end of a lease (the clock takes 3 s a step), a probe."""
        values, tag = self.server.store.values, self.queue.tag.encode()
        moments = [int(score) for score in values.get(tag + b":due", {}).values()]
        if tag + b":leases" in values or tag + b":gates" in values or (tag + b":lines" in values and self._waits()):
            moments.append(self.server.store.now + 1_000_000)
        return min(moments, default=None)

    def _waits(self) -> bool:
        return any(record.state is State.ENQUEUED and record.kind in self._runners for record in self._records())


async def attempt(kind: Kind[Any], payload: Payload) -> Outcome:
    """Run a handler once, on no queue, and say how the attempt would end."""
    simulation = Simulation(kind)
    await simulation.queue.admit(kind, payload)
    [lease], _ = await simulation.queue.claim([kind], 1)
    return await Runner(kind)(lease)


def _seconds(by: str | float) -> float:
    if not isinstance(by, str):
        return float(by)
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd])", by)
    if not found:
        raise ValueError(f"{by!r} is no time; write 500ms, 90s, 5m, 1h or 2d")
    return float(found[1]) * UNITS[found[2]]
