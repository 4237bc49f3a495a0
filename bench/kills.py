"""`python -m bench.kills`: eight workers killed one after the other while 4,000 jobs of 20 ms run, then one left alone.

The same on the peers; writes docs/kills.md. A worker is killed when it has done 300 jobs.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from valkey import Valkey

from bench.rig import BUILT, PEERS, ROOT, build, machine, node, running, server

JOBS, KILLS, BETWEEN, ALONE = 4000, 8, 300, 75.0
SYSTEMS = {
    "ours": "Yellow Books Jobs, lease 30 s",
    "bullmq": "BullMQ on Node",
    "celery": "Celery, early acknowledgement",
    "celery_late": "Celery, late acknowledgement",
    "huey": "Huey",
    "saq": "SAQ",
    "dramatiq": "Dramatiq",
}


@dataclass
class Came:
    """What came of one system: jobs not done at the end, run twice, of these said to be uncertain, and the last one's
    time (s) after the last kill."""

    missing: int
    twice: int
    uncertain: int | None
    last: float
    kills: int


def command(name: str, act: str, url: str, journal: Path) -> list[str]:
    """The command of one act."""
    more = [act, url, str(JOBS), str(journal)]
    if name == "bullmq":
        shutil.copy(PEERS / "kill_bullmq.mjs", BUILT / "kill_bullmq.mjs")
        return [str(node()), str(BUILT / "kill_bullmq.mjs"), *more]
    python = sys.executable if name == "ours" else str(BUILT / "py/bin/python")
    return [python, str(PEERS / "kill_peers.py"), name, *more]


def effects(journal: Path) -> list[str]:
    """The numbers of the jobs whose effect happened, in order."""
    return journal.read_text().split() if journal.exists() else []


def wait(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def hurt(name: str) -> Came:
    """Kill eight workers of one system, leave the ninth alone, and count."""
    folder = Path(tempfile.mkdtemp(prefix="ybkills"))
    journal, kills = folder / "journal", 0
    with server("everysec") as (url, client):
        subprocess.run(command(name, "enqueue", url, journal), check=True, timeout=120, capture_output=True)
        for _ in range(KILLS):
            before = len(effects(journal))
            with running(command(name, "work", url, journal)) as process:
                wait(lambda before=before: len(effects(journal)) >= before + BETWEEN, 20)
                kills += process.poll() is None
        killed, last, seen = time.monotonic(), 0.0, len(effects(journal))
        with running(command(name, "work", url, journal)):
            while time.monotonic() - killed < ALONE and len(set(effects(journal))) < JOBS:
                time.sleep(0.05)
                if len(effects(journal)) > seen:
                    seen, last = len(effects(journal)), time.monotonic() - killed
            time.sleep(1)
        counts = Counter(effects(journal))
        uncertain = _uncertain(client, counts) if name == "ours" else None
    shutil.rmtree(folder, ignore_errors=True)
    return Came(JOBS - len(counts), sum(n > 1 for n in counts.values()), uncertain, last, kills)


def _uncertain(client: "Valkey[bytes]", counts: Counter[str]) -> int:
    """How many of those that ran twice have «the worker was lost after its commit» in their history."""
    return sum(
        b"after its commit" in (client.get(f"{{yb:jobs:0}}:story:j{number}") or b"")
        for number, count in counts.items()
        if count > 1
    )


def main() -> None:
    """All systems, or those that are named; the page only for all."""
    build()
    names = sys.argv[1:] or list(SYSTEMS)
    rows = []
    for name in names:
        came = hurt(name)
        marked = "" if came.uncertain is None else f" ({came.uncertain} of them marked uncertain)"
        rows.append(f"| {SYSTEMS[name]} | {came.kills} | {came.missing} | {came.twice}{marked} | {came.last:.1f} s |")
        print(rows[-1], flush=True)
    if names == list(SYSTEMS):
        (ROOT / "docs/kills.md").write_text(_page(rows))


def _page(rows: list[str]) -> str:
    lines = "\n".join(rows)
    return f"""# The same kills on the peers

`make kills` (`python -m bench.kills`). {JOBS:,} jobs of 20 ms wait; a worker with 20 at once is started and killed with
SIGKILL when it has done {BETWEEN}, {KILLS} times; then one is left alone for {ALONE:.0f} s. A job's effect is its number in a
file. Valkey 9.1, AOF `everysec`; the peers as their pages say, see `bench/peers/kill_peers.py` and `kill_bullmq.mjs`.
Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}.

| | killed | not done after {ALONE:.0f} s | run twice | the last, after the last kill |
|---|---|---|---|---|
{lines}

Celery's late acknowledgement gives a lost worker's jobs back after its visibility timeout, an hour if nothing is set.
"""


if __name__ == "__main__":
    main()
