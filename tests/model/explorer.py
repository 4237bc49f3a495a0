"""Every order of events, within bounds: a breadth-first search over the engine's own Lua.

Two workers and two jobs; a worker may be lost at any point, a reply may be lost, a lease may end while its holder still
works, an operator may cancel, and a server that answers before it is durable may lose its newest writes. After each
step the invariants are checked. `python -m tests.model` prints what was explored, then plants bugs, one at a
time, and prints the shortest trace to each. The world outside is one number a job: how often its effect happened.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from yellowbooks.jobs.record import EXCLUSIVE, HOLD, NO_TOKEN, body, parse
from yellowbooks.jobs.simulated.lua import Engine
from yellowbooks.jobs.simulated.store import Scores, Store
from yellowbooks.jobs.verbs import VERBS

TAG = "{yb:model:0}"
JOBS, WORKERS = ("a", "b"), ("worker-1", "worker-2")
KIND = {"name": "k", "channel": "k", "limit": 0, "window": 0}
ENDED = ("completed", "dead", "cancelled")
INDEX_OF = {
    "scheduled": "due", "retrying": "due", "enqueued": "enqueued", "processing": "leases", "dead": "dead",
    "completed": "ended", "cancelled": "ended",
}  # fmt: skip


@dataclass(frozen=True)
class Bug:
    """One planted bug: a line of a script changed, or another order of the worker or the server."""

    name: str
    script: str = ""
    old: str = ""
    new: str = ""
    effect_before_commit: bool = False
    forgetful_server: bool = False
    restarts: bool = False


@dataclass(frozen=True)
class Bounds:
    """How much may happen: attempts a job, lost workers, lost replies, leases that end, cancellations, power cuts."""

    jobs: int = 2
    attempts: int = 2
    losses: int = 1
    replies: int = 1
    expiries: int = 2
    cancels: int = 1
    cuts: int = 1
    flags: int = 0


@dataclass(frozen=True)
class Holder:
    """A worker: which claim it makes, which job it has, and how far it is with it."""

    claims: int = 0
    repeating: bool = False
    job: str = ""
    token: str = ""
    step: str = "idle"  # idle, claimed, committing, committed, done, settling
    outcome: str = ""


@dataclass
class World:
    """A state of everything."""

    store: Store
    workers: tuple[Holder, ...]
    effects: dict[str, int]
    spent: tuple[int, ...] = (0, 0, 0, 0, 0)  # losses, replies, expiries, cancels, cuts
    settled: frozenset[str] = frozenset()
    ended: dict[str, str] = field(default_factory=dict)
    durable: "World | None" = None

    def jobs(self) -> dict[str, Any]:
        prefix = f"{TAG}:job:".encode()
        found = {
            key.removeprefix(prefix).decode(): parse(v)
            for key, v in self.store.values.items()
            if key.startswith(prefix)
        }
        return dict(sorted(found.items()))

    def key(self) -> tuple[Any, ...]:
        """What makes two states the same: tokens count by who has them, times and positions not at all."""
        records = []
        for job_id, job in self.jobs().items():
            owner = next((n for n, w in enumerate(self.workers) if w.token and w.token == job.token), None)
            free = job.token == NO_TOKEN.decode()
            records.append(
                (job_id, job.state, job.attempts, job.crashes, job.uncertain, job.committed, "free" if free else owner)
            )
        line = tuple(
            (key, tuple(value))
            for key, value in sorted(self.store.values.items())
            if b":enqueued:" in key or b":behind:" in key
        )
        workers = tuple((w.repeating, w.job, w.step, w.outcome) for w in self.workers)
        back = self.durable.key() if self.durable else None
        return (
            tuple(records),
            line,
            workers,
            tuple(sorted(self.effects.items())),
            self.spent,
            tuple(self.ended.items()),
            back,
        )


class Explorer:
    """Searches all states within the bounds, under the product's rules or with one bug in them."""

    def __init__(self, bounds: Bounds, bug: Bug | None = None) -> None:
        self.bounds = bounds
        self.bug = bug or Bug("")
        self.engine = Engine()
        self.scripts: dict[str, Any] = dict(VERBS)
        if self.bug.script:
            self._plant()

    def _plant(self) -> None:
        """A bug in the prelude is in every script."""
        for name, script in VERBS.items():
            if self.bug.script in (name, "prelude"):
                assert self.bug.old in script.text, f"{self.bug.name}: {self.bug.old!r} is not in {name}.lua"
                text = script.text.replace(self.bug.old, self.bug.new)
                self.scripts[name] = _Changed(f"{script.sha}:{self.bug.name}", text)

    def call(self, store: Store, verb: str, extra: tuple[bytes, ...] = (), **args: Any) -> Any:
        reply = self.engine.run(self.scripts[verb], store, TAG, [msgspec.msgpack.encode(args), *extra])
        head, *rest = reply if isinstance(reply, list) else [reply]
        return msgspec.msgpack.decode(head), rest

    def start(self) -> World:
        world = World(Store(), (Holder(), Holder()), {})
        for job_id in JOBS[: self.bounds.jobs]:
            sent = body(b"f" * 8, b"n" * 6, 1, self.bounds.attempts, self.bounds.flags, b"k", b"key", b"payload")
            self.call(world.store, "admit", (sent,), items=[{"id": job_id}], backlog=10)
            world.effects[job_id] = 0
        return world

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        """Everything that may happen next."""
        for n, worker in enumerate(world.workers):
            name = f"worker {n + 1}"
            yield from ((f"{name} {what}", after) for what, after in self._work(world, n, worker))
            if worker.step != "idle" and world.spent[0] < self.bounds.losses:
                yield f"{name} is lost", self._change(world, n, Holder(claims=worker.claims + 1), spend=0)
        for job_id, job in world.jobs().items():
            alive = any(worker.token == job.token for worker in world.workers)
            if job.state == "processing" and (not alive or world.spent[2] < self.bounds.expiries):
                after = self._after(world, spend=2 if alive else None)
                after.store.values[f"{TAG}:leases".encode()][job_id.encode()] = 0.0
                self.call(after.store, "claim", worker="nobody", claim="nobody", kinds=[KIND], room=0, lease=10**9)
                yield f"the lease of {job_id} ends", after
            if job.state not in ENDED and world.spent[3] < self.bounds.cancels:
                after = self._after(world, spend=3)
                answers, _ = self.call(after.store, "cancel", items=[{"id": job_id}])
                yield f"an operator cancels {job_id}: {answers[0]}", after
        if any(job.state == "retrying" for job in world.jobs().values()):
            after = self._after(world)
            for job_id in after.store.values[f"{TAG}:due".encode()]:
                after.store.values[f"{TAG}:due".encode()][job_id] = 0.0
            self.call(after.store, "claim", worker="nobody", claim="nobody", kinds=[KIND], room=0, lease=10**9)
            yield "retries are due", after
        if self.bug.forgetful_server and world.durable and world.spent[4] < self.bounds.cuts:
            after = self._after(world, spend=4)
            after.store, after.durable = world.durable.store.copy(), None
            yield "the server loses its newest writes", after

    def _work(self, world: World, n: int, worker: Holder) -> Iterator[tuple[str, World]]:
        if worker.step == "idle":
            yield from self._claim(world, n, worker)
        elif worker.step == "claimed" and self.bug.effect_before_commit:
            yield "makes its effect", self._effect(world, n, worker, "committing")
        elif worker.step in ("claimed", "committing"):
            after = self._after(world)
            [answer], _ = self.call(
                after.store, "commit", items=[{"id": worker.job, "token": worker.token}], lease=10**9
            )
            gone = answer != "committed"
            then = (
                "idle"
                if gone
                else "done"
                if worker.step == "committing" and self.bug.effect_before_commit
                else "committed"
            )
            fresh = Holder(claims=worker.claims) if gone else replace(worker, step=then)
            yield f"commits {worker.job}: {answer}", self._change(after, n, fresh)
            if worker.step == "claimed":
                yield from self._fail(world, n, worker)
                yield "loses the reply to its commit", self._lost(after, n, replace(worker, step="claimed"))
        elif worker.step == "committed":
            yield "makes its effect", self._effect(world, n, worker, "done")
        else:
            yield from self._settle(world, n, replace(worker, step="settling", outcome=worker.outcome or "completed"))

    def _claim(self, world: World, n: int, worker: Holder) -> Iterator[tuple[str, World]]:
        after = self._after(world)
        claim = f"{WORKERS[n]}{worker.claims:06x}"
        _, found = self.call(after.store, "claim", worker=WORKERS[n], claim=claim, kinds=[KIND], room=1, lease=10**9)
        if not found:
            if worker.repeating:
                yield "has no answer to repeat", self._change(after, n, Holder(claims=worker.claims + 1))
            return
        job = found[0].decode()
        held = Holder(claims=worker.claims + 1, job=job, token=f"{claim}00", step="claimed")
        yield f"claims {job}", self._change(after, n, held)
        if not worker.repeating:
            yield f"loses the reply to its claim of {job}", self._lost(after, n, replace(worker, repeating=True))

    def _fail(self, world: World, n: int, worker: Holder) -> Iterator[tuple[str, World]]:
        job = world.jobs()[worker.job]
        outcome = "retry" if job.attempts < self.bounds.attempts else "dead"
        yield from self._settle(world, n, replace(worker, step="settling", outcome=outcome))

    def _settle(self, world: World, n: int, worker: Holder) -> Iterator[tuple[str, World]]:
        after = self._after(world)
        other = None
        if worker.outcome != "completed":
            other = {"outcome": worker.outcome, "error": "e", "spent": True}
        said = {"ids": [worker.job], "tokens": [worker.token], "others": [other], "words": []}
        [answer], _ = self.call(after.store, "settle", **said, channels={}, pace=1, release=None)
        if answer == "settled":
            if worker.token in after.settled:
                after.ended["!"] = f"{worker.job} was settled twice by one token"
            after.settled |= {worker.token}
        yield (
            f"settles {worker.job} as {worker.outcome}: {answer}",
            self._change(after, n, Holder(claims=worker.claims)),
        )
        yield "loses the reply to its settle", self._lost(after, n, worker)

    def _effect(self, world: World, n: int, worker: Holder, step: str) -> World:
        after = self._change(self._after(world), n, replace(worker, step=step))
        after.effects = after.effects | {worker.job: after.effects[worker.job] + 1}
        job = world.jobs()[worker.job]
        if job.state in ("dead", "cancelled") and not job.uncertain:
            after.ended["!"] = f"{worker.job} was said to be {job.state}, then its effect happened"
        return after

    def _after(self, world: World, spend: int | None = None) -> World:
        spent = list(world.spent)
        if spend is not None:
            spent[spend] += 1
        durable = world if self.bug.forgetful_server and world.durable is None else world.durable
        return World(
            world.store.copy(), world.workers, dict(world.effects), tuple(spent), world.settled, dict(world.ended),
            replace(durable, durable=None) if durable else None,
        )  # fmt: skip

    def _change(self, world: World, n: int, worker: Holder, spend: int | None = None) -> World:
        after = self._after(world, spend)
        workers = list(world.workers)
        workers[n] = worker
        after.workers = tuple(workers)
        return after

    def _lost(self, world: World, n: int, worker: Holder) -> World:
        return self._change(world, n, worker, spend=1)

    def wrong(self, world: World) -> str | None:
        """The first invariant that does not hold here."""
        if "!" in world.ended:
            return world.ended["!"]
        places: dict[str, list[str]] = {}
        for key, value in world.store.values.items():
            index = key.decode().removeprefix(f"{TAG}:").partition(":")[0]
            if index in ("due", "leases", "dead", "enqueued", "behind", "ended") and isinstance(value, list | Scores):
                for job_id in value:
                    places.setdefault(job_id.decode(), []).append("enqueued" if index == "behind" else index)
        for job_id, job in world.jobs().items():
            here = [i for i in places.get(job_id, []) if not (i == "enqueued" and job.state == "cancelled")]
            if here != [INDEX_OF[job.state]]:
                return f"{job_id} is {job.state} and stands in {here or 'no index'}"
            if world.ended.get(job_id, job.state) != job.state:
                return f"{job_id} was {world.ended[job_id]} and is {job.state}"
            if job.state in ENDED:
                world.ended[job_id] = job.state
            if why := self._wrong_effects(world, job_id, job):
                return why
        return self._wrong_groups(world.store)

    def _wrong_groups(self, store: Store) -> str | None:
        """The dead stand in the groups of their fingerprints, at the same places, and nobody else does."""
        values = store.values
        grouped: dict[bytes, float] = {}
        for group in values.get(f"{TAG}:causes".encode(), {}):
            grouped |= values.get(f"{TAG}:died:".encode() + group, {})
        dead = values.get(f"{TAG}:dead".encode(), {})
        noted = set(values.get(f"{TAG}:died".encode(), {}))
        return None if grouped == dead and noted == set(dead) else f"dead are {set(dead)}, in groups {set(grouped)}"

    def _wrong_effects(self, world: World, job_id: str, job: Any) -> str | None:
        count = world.effects[job_id]
        if job.state == "completed" and count == 0:
            return f"{job_id} is completed and its effect never happened"
        if count > 1 and (self.bounds.flags & HOLD or not job.uncertain):
            return f"the effect of {job_id} happened {count} times and nothing says that it may have"
        if self.bounds.flags & EXCLUSIVE and sum(j.state == "processing" for j in world.jobs().values()) > 1:
            return "two jobs of one exclusive key run"
        return None

    def search(self, most: int = 2_000_000) -> "Found":
        """All states, breadth first; then whether every one of them can still reach an end of all jobs."""
        first = self.start()
        known: dict[Any, int] = {first.key(): 0}
        came: list[tuple[int, str]] = [(-1, "start")]
        after: list[list[int]] = [[]]
        good: set[int] = set()
        queue = deque([(0, first)])
        fired: set[str] = set()
        while queue:
            number, world = queue.popleft()
            if why := self.wrong(world):
                return Found(len(known), fired, why, self._trace(came, number))
            if all(job.state in ENDED for job in world.jobs().values()):
                good.add(number)
            if len(known) > most:
                raise RuntimeError(f"more than {most} states; lower the bounds")
            for step, following in self.steps(world):
                if sum(following.spent[1:2]) > self.bounds.replies:
                    continue
                fired.add(_sort(step))
                key = following.key()
                there = known.get(key)
                if there is None:
                    there = known[key] = len(came)
                    came.append((number, step))
                    after.append([])
                    queue.append((there, following))
                after[number].append(there)
        stuck = self._stuck(after, good)
        why = None if stuck is None else "from here not every job can end"
        return Found(len(known), fired, why, [] if stuck is None else self._trace(came, stuck))

    def _stuck(self, after: list[list[int]], good: set[int]) -> int | None:
        before: list[list[int]] = [[] for _ in after]
        for number, following in enumerate(after):
            for there in following:
                before[there].append(number)
        reached, todo = set(good), list(good)
        while todo:
            for number in before[todo.pop()]:
                if number not in reached:
                    reached.add(number)
                    todo.append(number)
        return next((number for number in range(len(after)) if number not in reached), None)

    def _trace(self, came: list[tuple[int, str]], number: int) -> list[str]:
        steps = []
        while number > 0:
            number, step = came[number]
            steps.append(step)
        return steps[::-1]


@dataclass
class Found:
    """What a search found: how many states, which sorts of step, and what is wrong and how one gets there."""

    states: int
    fired: set[str]
    wrong: str | None
    trace: list[str]


@dataclass(frozen=True)
class _Changed:
    sha: str
    text: str


def _sort(step: str) -> str:
    return " ".join(word for word in step.split() if word not in (*JOBS, *(f"{j}:" for j in JOBS), "1", "2"))
