"""The drill breaks a real system of its own and accounts for every job; and it says so where one is lost."""

import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.test_up import gone
from yellowbooks.cli import main
from yellowbooks.drill import Drill, Report
from yellowbooks.jobs import Event, Job, State


def job(state: State, *errors: str) -> Job:
    history = tuple(Event(job="j", name="crashed", at=1, kind="k", state="enqueued", error=error) for error in errors)
    return Job(
        id="j", kind="k", state=state, attempts=1, max_attempts=5, crashes=0, generation=1, created=1, started=1,
        ended=1, due=None, history=history,
    )  # fmt: skip


DOUBT = "the worker was lost after its commit"


@pytest.mark.parametrize(
    ("jobs", "taken", "told", "well"),
    [
        ({"a": job(State.COMPLETED)}, {"a": 1}, {"sent": 1}, True),
        ({"a": job(State.COMPLETED)}, {}, {"sent": 1, "lost": 1}, False),
        ({"a": job(State.COMPLETED)}, {"a": 2}, {"sent": 1, "copies": 1}, False),
        ({"a": job(State.COMPLETED, DOUBT)}, {"a": 2}, {"sent": 1, "copies": 1, "doubts": 1, "crashes": 1}, True),
        ({"a": job(State.DEAD), "b": job(State.ENQUEUED)}, {}, {"dead": 1, "held": 1}, True),
        ({"a": job(State.DEAD, DOUBT)}, {"a": 1}, {"uncertain": 1, "doubts": 1, "crashes": 1}, True),
        ({"a": None}, {"a": 1}, {"lost": 1}, False),
        ({}, {}, {}, False),
    ],
)  # fmt: skip
def test_what_a_report_counts(
    jobs: dict[str, Job | None], taken: dict[str, int], told: dict[str, int], well: bool
) -> None:
    report = Report()
    report.count(jobs, Counter(taken))
    assert {name: getattr(report, name) for name in told} == told
    assert report.accepted == len(jobs)
    assert report.well is well


async def test_a_drill_loses_nothing_and_leaves_nothing() -> None:
    steps: list[str] = []
    before = set(Path(tempfile.gettempdir()).glob("ybdrill*"))
    drill = Drill(120, 60, steps.append)
    report = await drill.run()
    assert report.well, (report, steps)
    assert report.accepted >= 120
    assert report.dead >= 2
    assert report.crashes > 0
    assert report.doubts >= 2  # the mails after whose dot the server hung up
    assert report.sent + report.dead + report.held + report.uncertain == report.accepted
    assert any("is frozen" in step for step in steps)
    assert all(gone(child.pid) for child in drill._children)
    assert set(Path(tempfile.gettempdir()).glob("ybdrill*")) <= before


def test_a_drill_that_cannot_be_held_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    result = CliRunner().invoke(main, ["drill", "--json"])
    assert result.exit_code == 1
    assert "the drill could not be held" in result.output
    with pytest.raises(json.JSONDecodeError):
        json.loads(result.stdout)
