"""What users get for their tests: the same rules, without a server."""

import pytest

from tests.parts import Ping
from yellowbooks.jobs import Backoff, Kind, Lease, Permanent, RetryAfter, State
from yellowbooks.jobs.outcome import Completed, Dead
from yellowbooks.jobs.simulated import Simulation, Unclean
from yellowbooks.jobs.simulated.simulation import attempt


async def test_jobs_run_when_the_clock_says_so() -> None:
    ran: list[tuple[str, int]] = []

    async def handler(lease: Lease, ping: Ping) -> None:
        ran.append((ping.note, lease.attempt))
        if ping.note == "failing":
            raise ValueError("no")

    kind = Kind("ping", Ping, handler)
    simulation = Simulation(kind)
    await simulation.queue.admit(kind, Ping(note="later"), delay=3600)
    job_id, _ = await simulation.queue.admit(kind, Ping(note="failing"))
    simulation.assert_enqueued(kind, note="later")
    assert await simulation.run() == 1
    assert await simulation.advance("2s") == 1
    assert await simulation.advance("28s") == 3
    assert await simulation.state(job_id) is State.DEAD
    assert await simulation.advance("1h") == 1
    assert ran == [("failing", n) for n in range(1, 6)] + [("later", 1)]
    with pytest.raises(Unclean, match="no ping with"):
        simulation.assert_enqueued(kind, note="later")


async def test_lost_workers_are_replayed_from_the_seed() -> None:
    async def run(seed: int) -> list[int]:
        runs: list[int] = []

        async def handler(lease: Lease, ping: Ping) -> None:
            runs.append(int(ping.note))

        kind = Kind("ping", Ping, handler)
        simulation = Simulation(kind, seed=seed, crashes=0.3)
        for number in range(40):
            await simulation.queue.admit(kind, Ping(note=str(number), job_id=f"j{number}"))
        await simulation.advance("10m")
        states = {await simulation.state(f"j{number}") for number in range(40)}
        assert states <= {State.COMPLETED, State.DEAD}
        return runs

    assert await run(1) == await run(1)
    assert await run(1) != await run(2)


async def test_one_attempt_without_a_queue() -> None:
    def plain(lease: object, ping: Ping) -> None:
        if ping.note:
            raise Permanent("gone", cause="gone")

    kind = Kind("ping", Ping, plain, backoff=Backoff(attempts=1))
    assert await attempt(kind, Ping()) == Completed()
    assert await attempt(kind, Ping(note="x")) == Dead("Permanent: gone", "gone")


async def test_what_never_ends_is_said() -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        raise RetryAfter(0, "again")

    kind = Kind("ping", Ping, handler, deadline=10**9)
    simulation = Simulation(kind)
    await simulation.queue.admit(kind, Ping())
    with pytest.raises(Unclean, match="no end: give"):
        await simulation.run()


async def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="write 500ms"):
        await Simulation().advance("soon")
