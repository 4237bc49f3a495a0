"""Any order of verbs: a plain Python model of the drawing in `job.py` must give the same answers as the server.

Replies are lost and calls repeated, the server is killed and starts again, forgets its scripts, is full, and finds junk.
"""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.parts import Ping, check_consistent
from yellowbooks.jobs import Kind, Lease, LeaseLost, Queue, QueueUnavailable, Rate
from yellowbooks.jobs.outcome import Completed, Dead, Retry

LIMIT = 4
KIND = Kind("ping", Ping, rate=Rate(LIMIT, 3600))
IDS = st.sampled_from([f"j{n}" for n in range(8)])
USERS = st.sampled_from(["a", "b"])


@dataclass
class Modelled:
    state: str
    note: str
    attempts: int = 0
    crashes: int = 0
    uncertain: int = 0
    generation: int = 1
    token: str = ""
    committed: bool = False
    settled: str = ""


@dataclass
class Model:
    jobs: dict[str, Modelled] = field(default_factory=dict)
    admitted: dict[str, int] = field(default_factory=dict)
    held: bool = False
    full: bool = False


class QueueMachine(RuleBasedStateMachine):
    server: ValkeyServer
    runs = 0
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.loop = asyncio.new_event_loop()
        self.url = self.server.url
        self.queue = Queue(self.url, name=f"stateful-{id(self)}-{self.runs}", lease=3600)
        self.client = Valkey.from_url(self.url, decode_responses=True)
        self.model = Model()
        self.leases: list[Lease] = []

    def do(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    @rule(job_id=IDS, user=USERS, note=st.sampled_from(["x", "y"]), delayed=st.booleans())
    def admit(self, job_id: str, user: str, note: str, delayed: bool) -> None:
        payload = Ping(job_id=job_id, user=user, note=note)
        if self.model.full:
            with pytest.raises(QueueUnavailable, match=r"OOM|maxmemory"):
                self.do(self.queue.admit(KIND, payload))
            return
        pair = self.queue._admission(KIND, payload, 3600 if delayed else 0, None, secrets.token_bytes(6))
        [receipt], again = self.do(self.queue._admit([pair])), self.do(self.queue._admit([pair]))
        known = self.model.jobs.get(job_id)
        if known:
            assert (receipt.word, receipt.state) == ("seen", known.state)
            assert receipt.same == (known.note == user + note)
        elif self.model.admitted.get(user, 0) >= LIMIT:
            assert receipt.word == "limited"
        else:
            assert receipt.word == "admitted"
            assert again == [receipt]  # told twice, it is done once
            self.model.jobs[job_id] = Modelled("scheduled" if delayed else "enqueued", user + note)
            self.model.admitted[user] = self.model.admitted.get(user, 0) + 1

    @rule(room=st.integers(1, 4))
    def claim(self, room: int) -> None:
        waiting = [job_id for job_id, job in self.model.jobs.items() if job.state == "enqueued"]
        leases, _ = self.do(self.queue.claim(["ping"], room))
        assert len(leases) == (0 if self.model.held else min(room, len(waiting)))
        if leases:
            self.queue._claims -= 1  # the reply was lost: the same claim is made again
            again, _ = self.do(self.queue.claim(["ping"], room))
            assert [(one.job_id, one.token) for one in again] == [(one.job_id, one.token) for one in leases]
        for lease in leases:
            job = self.model.jobs[lease.job_id]
            assert job.state == "enqueued"
            job.state, job.token, job.committed, job.settled = "processing", lease.token, False, ""
            job.attempts += 1
            assert (lease.attempt, lease.uncertain) == (job.attempts, job.uncertain)
        self.leases += leases

    def owns(self, lease: Lease) -> Modelled | None:
        job = self.model.jobs[lease.job_id]
        return job if job.state == "processing" and job.token == lease.token else None

    def pick(self, number: int) -> Lease | None:
        return self.leases[number % len(self.leases)] if self.leases else None

    @rule(number=st.integers(0, 50), outcome=st.sampled_from([Completed(), Retry(3600, "e"), Dead("e")]))
    def settle(self, number: int, outcome: Any) -> None:
        if not (lease := self.pick(number)):
            return
        job, answer = self.owns(lease), self.do(self.queue.settle(lease, outcome))
        if answer == "settled":
            assert self.do(self.queue.settle(lease, outcome)) == "already"
        if not job:
            assert answer == ("already" if self.model.jobs[lease.job_id].settled == lease.token else "stale")
            return
        assert answer == "settled"
        job.state = {Completed: "completed", Retry: "retrying", Dead: "dead"}[type(outcome)]
        job.settled = lease.token

    @rule(number=st.integers(0, 50))
    def renew(self, number: int) -> None:
        if lease := self.pick(number):
            assert self.do(self.queue.renew([lease])) == ["kept" if self.owns(lease) else "lost"]

    @rule(number=st.integers(0, 50))
    def commit(self, number: int) -> None:
        if not (lease := self.pick(number)):
            return
        if job := self.owns(lease):
            self.do(lease.commit())
            job.committed = True
        else:
            with pytest.raises(LeaseLost):
                self.do(lease.commit())

    @rule(number=st.integers(0, 50))
    def release(self, number: int) -> None:
        if not (lease := self.pick(number)):
            return
        answer, job = self.do(self.queue.release([lease])), self.owns(lease)
        if job and not job.committed:
            assert answer == ["released"]
            job.state, job.attempts = "enqueued", job.attempts - 1
        else:
            assert answer == ["stale"]

    @rule(number=st.integers(0, 50))
    def note(self, number: int) -> None:
        if lease := self.pick(number):
            if self.owns(lease):
                self.do(lease.log("a line"))
            else:
                with pytest.raises(LeaseLost):
                    self.do(lease.progress(0.5))

    @rule(job_id=IDS)
    def edit(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        if self.model.full:
            return
        answer = self.do(self.queue.edit(KIND, job_id, Ping(user="a", note="edited")))
        assert answer == ("unknown" if not job else "edited" if job.state == "dead" else "not_dead")
        if job and answer == "edited":
            job.note = "aedited"

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        if held:
            self.do(self.queue.hold("ping", by="test", reason="why not"))
        else:
            assert self.do(self.queue.unhold("ping")) == ("open" if self.model.held else "not_held")
        self.model.held = held

    @rule()
    def everything_is_due(self) -> None:
        for job_id in self.client.zrange(f"{self.queue.tag}:due", 0, -1):
            self._poke("due", job_id, 1)
            self.model.jobs[job_id].state = "enqueued"
        self._claim_nothing()

    @rule(number=st.integers(0, 50))
    def a_lease_expires(self, number: int) -> None:
        lease = self.pick(number)
        if not lease or not (job := self.owns(lease)):
            return
        self._poke("leases", lease.job_id, 0)
        doubtful, before = job.committed, job.uncertain
        job.attempts, job.crashes = job.attempts - 1, job.crashes + 1
        job.uncertain += doubtful
        job.state = "dead" if (doubtful and before) or job.crashes >= 3 else "enqueued"
        self._claim_nothing()

    def _poke(self, index: str, job_id: str, score: int) -> None:
        """Move a job in an index; a full server would refuse us, and not the scripts that drain."""
        self.client.config_set("maxmemory", "0")
        self.client.zadd(f"{self.queue.tag}:{index}", {job_id: score})
        self.client.config_set("maxmemory", "1" if self.model.full else "0")

    def _claim_nothing(self) -> None:
        """A claim for another kind still promotes and reaps."""
        assert self.do(self.queue.claim(["other"], 1))[0] == []

    @rule(job_id=IDS, verb=st.sampled_from(["requeue", "cancel", "discard"]))
    def operate(self, job_id: str, verb: str) -> None:
        job = self.model.jobs.get(job_id)
        if verb == "requeue" and self.model.full:
            with pytest.raises(QueueUnavailable, match=r"OOM|maxmemory"):
                self.do(self.queue.requeue([job_id]))
            return
        answer = self.do(getattr(self.queue, verb)([job_id]))[0]
        if not job:
            assert answer == "unknown"
        elif verb == "cancel":
            ends = job.state in ("scheduled", "enqueued", "retrying", "processing")
            late = job.state == "processing" and job.committed
            assert answer == ("committed" if late else "cancelled" if ends else "ended")
            if ends and not late:
                job.state, job.settled = "cancelled", ""
        elif job.state != "dead":
            assert answer == "not_dead"
        elif verb == "requeue":
            assert answer == "requeued"
            job.state, job.attempts, job.crashes, job.uncertain, job.settled = "enqueued", 0, 0, 0, ""
            job.generation += 1
        else:
            assert answer == "discarded"
            job.state = "cancelled"

    @rule()
    def the_server_forgets_its_scripts(self) -> None:
        self.client.script_flush()

    @rule()
    def the_server_is_killed_and_starts_again(self) -> None:
        self.server.kill()
        self.server.start()
        self.model.full = False
        self.seen["restarts"] += 1

    @rule(full=st.booleans())
    def the_server_is_full(self, full: bool) -> None:
        """What drains goes on: only admission, editing and requeueing are refused."""
        self.client.config_set("maxmemory", "1" if full else "0")
        self.model.full = full
        self.seen["full"] += full

    @rule(number=st.integers(0, 50), junk=st.sampled_from([b"", b"junk", b"\x09" + bytes(200), "a list"]))
    def a_record_is_spoilt(self, number: int, junk: bytes | str) -> None:
        """It is put aside or gone, nobody is given it, and the others go on."""
        waiting = sorted(job_id for job_id, job in self.model.jobs.items() if job.state == "enqueued")
        if not waiting:
            return
        job_id = waiting[number % len(waiting)]
        self.the_server_is_full(False)
        self.hold(False)
        key = f"{self.queue.tag}:job:{job_id}"
        self.client.delete(key)
        if isinstance(junk, str):
            self.client.rpush(key, junk)
        elif junk:
            self.client.set(key, junk)
        del self.model.jobs[job_id]
        self.leases = [lease for lease in self.leases if lease.job_id != job_id]
        self.claim(100)
        assert bool(self.client.hexists(f"{self.queue.tag}:quarantine", job_id)) == bool(junk)
        self.client.delete(key, f"{self.queue.tag}:story:{job_id}")
        self.client.hdel(f"{self.queue.tag}:quarantine", job_id)
        self.seen["spoilt"] += 1

    @invariant()
    def the_server_agrees(self) -> None:
        for job_id, modelled in self.model.jobs.items():
            job = self.do(self.queue.show(job_id))
            seen = (job.state, job.attempts, job.crashes, job.generation)
            assert seen == (modelled.state, modelled.attempts, modelled.crashes, modelled.generation)
        check_consistent(self.url, self.queue.tag)

    def teardown(self) -> None:
        self.do(self.queue.close())
        self.client.config_set("maxmemory", "0")
        self.client.flushall()  # a check walks every key of the server
        self.client.close()
        self.loop.close()


def test_any_order_of_verbs(own_valkey: ValkeyServer) -> None:
    QueueMachine.server = own_valkey
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    # Faults that never came would prove nothing.
    assert all(QueueMachine.seen[what] for what in ("restarts", "full", "spoilt")), QueueMachine.seen
