"""The last minutes in the numbers of now, and the series of the last hour and day."""

import time

import httpx
import pytest

from tests.operators.conftest import Desk
from tests.parts import Ping, eventually, put, take
from yellowbooks.jobs import Event, Kind, Queue
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.operators.lately import points

SERIES = "/api/admin/series"


@pytest.mark.parametrize("span", ["hour", "day"])
async def test_what_was_done_stands_in_the_last_points(
    queue: Queue, tmp_path, database_url: str, ping: Kind[Ping], span: str
) -> None:
    desk = Desk(queue, tmp_path, database_url)
    async with desk.recording(), desk.client() as client:
        await put(queue, ping, 5)
        first, second, third = await take(queue, room=3)
        await queue.settle(first, Completed())
        await queue.settle(second, Dead("boom"))
        await queue.settle(third, Retry(60, "again"))

        async def recorded() -> list[dict[str, float]]:
            found = (await client.get(SERIES, params={"span": span})).json()["points"]
            return found if sum(point["failed"] for point in found) else []

        found = await eventually(recorded, 20)
        assert len(found) == {"hour": 60, "day": 96}[span]
        assert [sum(point[name] for point in found) for name in ("in", "out", "failed", "dead")] == [5, 2, 1, 1]
        assert (found[0]["depth"], found[-1]["depth"]) == (0, 3)
        last = next(point for point in reversed(found) if point["waitP95"] is not None)
        assert 0 < last["waitP95"] < 60
        assert 0 < last["runP95"] < 60
        body = await desk.now.body()
        assert body.error_rate == pytest.approx(2 / 3)
        assert body.wait
        assert body.run
        assert body.wait.p50 <= body.wait.p95 <= body.wait.p99 < 60
        assert body.depth
        assert (body.depth.completed, body.depth.cancelled) == (1, 0)
    desk.job_log.close()


async def test_where_the_log_is_away_now_says_so_and_the_series_is_503(desk: Desk, client: httpx.AsyncClient) -> None:
    desk.log.away = True
    body = (await client.get("/api/admin/now")).json()
    assert body["trouble"] == [{"part": "log", "error": "the log is away"}]
    assert body["depth"]["enqueued"] == 0
    assert body["rates"] is body["wait"] is body["depth"]["completed"] is None
    reply = await client.get(SERIES)
    assert (reply.status_code, reply.json()["detail"]) == (503, "the log is away")


def test_depth_is_counted_back(desk: Desk) -> None:
    began = 1_700_000_040_000
    desk.job_log.migrate()

    def event(name: str, job: str, minute: int, state: str = "enqueued") -> Event:
        at = began + minute * 60_000
        return Event(job=job, name=name, at=at, kind="k", state=state, position=f"{at}-{ord(job)}{len(name)}")

    desk.job_log.append(
        [event("admitted", name, 0) for name in "abcd"]
        + [event("claimed", "a", 1, "processing"), event("died", "a", 2, "dead")]
        + [event("cancelled", "b", 2, "cancelled"), event("requeued", "a", 4)]
    )
    found = points(desk.job_log.minutes(began), desk.job_log.living(), began, 60_000, 6)
    assert [point.depth for point in found] == [4, 4, 2, 2, 3, 3]
    assert [point.came for point in found] == [4, 0, 0, 0, 0, 0]
    assert found[1].wait_p95 == pytest.approx(60, rel=0.2)
    assert found[2].run_p95 == pytest.approx(60, rel=0.2)


async def test_a_log_that_hangs_does_not_hold_up_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yellowbooks.operators.lately.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(desk.job_log, "minutes", lambda _at: time.sleep(1) or [])
    began = time.monotonic()
    body = await desk.now.body()
    assert time.monotonic() - began < 0.9
    assert [one.part for one in body.trouble] == ["log"]


async def test_only_operators(desk: Desk) -> None:
    async with desk.client(api_keys=["k" * 16], admin_keys=["a" * 16]) as client:
        assert (await client.get(SERIES, headers={"Authorization": "Bearer " + "k" * 16})).status_code == 403
