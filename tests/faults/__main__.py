"""`python -m tests.faults [--size N]`: the campaign, with its figures."""

import argparse
import asyncio
import sys
import time

from tests.faults.campaign import FAULTS
from tests.faults.disk import Skipped
from tests.faults.run import run

COLUMNS = ("fired", "asked", "acked", "completed", "dead", "uncertain", "lost", "duplicated", "recovery")


def main() -> int:
    """Every fault at one size; the exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description="Hurt the system in every way of the fault table, and count.")
    parser.add_argument("--size", type=int, default=600, help="jobs a fault")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    options = parser.parse_args()
    print("| fault | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS), flush=True)
    broken = skipped = 0
    began = time.monotonic()
    for name in (name for name in FAULTS if options.only in name):
        try:
            tally = asyncio.run(run(name, options.size))
        except Skipped as why:
            skipped += 1
            print(f"| {name} | SKIPPED: {why} |", flush=True)
            continue
        except AssertionError as error:
            broken += 1
            print(f"| {name} | BROKEN: {error} |", flush=True)
            continue
        values = [
            f"{tally.recovery:.1f} s" if column == "recovery" else str(getattr(tally, column)) for column in COLUMNS
        ]
        print(f"| {name} | " + " | ".join(values) + " |", flush=True)
    seconds = time.monotonic() - began
    print(f"\n{len(FAULTS)} faults, {options.size} jobs each, {seconds:.0f} s; {broken} broken, {skipped} skipped")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
