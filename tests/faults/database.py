"""`python -m tests.faults.database [--size N] [--times N] [--seed N]`: the job log's database is hurt in every way."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import PostgresServer, ValkeyServer
from tests.faults.log_bugs import BUGS, find
from tests.faults.log_faults import FAULTS
from tests.faults.log_rig import Tally, hurt

COLUMNS = ("fault", "store", "tried", "jobs", "ended meanwhile", "gaps", "double rows", "p50", "p99", "seed")


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them do not pass."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def line(name: str, store: str, tallies: list[Tally], seed: int) -> str:
    """One row of the table."""
    recoveries = [tally.recovery for tally in tallies]
    words = [
        name, store, len(tallies), sum(tally.jobs for tally in tallies), sum(tally.meanwhile for tally in tallies),
        sum(tally.gaps for tally in tallies), sum(tally.doubles for tally in tallies),
        f"{percentile(recoveries, 0.5):.1f} s", f"{percentile(recoveries, 0.99):.1f} s", seed,
    ]  # fmt: skip
    return "| " + " | ".join(str(word) for word in words) + " |"


def plant(valkey: ValkeyServer, postgres: PostgresServer, size: int, seed: int) -> int:
    """Each bug once; the exit status is 0 where all were found."""
    try:
        found = {bug: find(bug, size, seed, valkey, postgres) for bug in BUGS}
    finally:
        valkey.stop()
        postgres.server.cleanup()
    for bug, said in found.items():
        print(f"| {bug.__doc__} | {BUGS[bug][0]} | {said or 'NOT FOUND'} |")
    print(f"\n{sum(said is not None for said in found.values())} of {len(BUGS)} planted bugs found")
    return 0 if all(found.values()) else 1


def main() -> int:
    """Every fault so many times; the exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description="Hurt the job log's database in every way, and compare.")
    parser.add_argument("--size", type=int, default=200, help="jobs before a fault, and as many while it lasts")
    parser.add_argument("--times", type=int, default=10, help="how often each fault is made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--bugs", action="store_true", help="plant bugs instead, and see whether they are found")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    valkey, postgres, broken, began = ValkeyServer(folder), PostgresServer(), 0, time.monotonic()
    valkey.start()
    if options.bugs:
        return plant(valkey, postgres, options.size, options.seed)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    try:
        for (name, store), fault in FAULTS.items():
            if options.only not in name:
                continue
            tallies: list[Tally] = []
            try:
                tallies.extend(
                    asyncio.run(hurt(fault, store, options.size, options.seed + n, valkey, postgres))
                    for n in range(options.times)
                )
            except PermissionError as why:
                print(f"| {name} | {store} | SKIPPED: {why} |", flush=True)
                continue
            except AssertionError as error:
                broken += 1
                print(f"| {name} | {store} | BROKEN at seed {options.seed + len(tallies)}: {error} |", flush=True)
                continue
            print(line(name, store, tallies, options.seed), flush=True)
    finally:
        valkey.stop()
        postgres.server.cleanup()
    print(f"\n{options.times} times each, {time.monotonic() - began:.0f} s; {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
