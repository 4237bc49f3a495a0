"""`python -m tests.model`: explore, then plant each bug."""

import argparse
import sys
import time

from tests.model.bugs import BUGS
from tests.model.explorer import Bounds, Explorer
from yellowbooks.jobs.record import EXCLUSIVE, HOLD


def main() -> int:
    """Explore, then plant each bug; the exit status is 0 where the rules hold and every bug is found."""
    parser = argparse.ArgumentParser(description="Explore every order of events over the engine's own Lua.")
    parser.add_argument("--small", action="store_true", help="one job instead of two")
    small = parser.parse_args().small
    jobs = 1 if small else 2
    sound = True
    for name, flags in (("resend_once", 0), ("hold", HOLD), ("exclusive", EXCLUSIVE)):
        began = time.perf_counter()
        found = Explorer(Bounds(jobs=jobs, flags=flags, expiries=2 if small else 1)).search()
        seconds = time.perf_counter() - began
        size = f"{found.states} states, {len(found.fired)} sorts of step, {seconds:.0f} s"
        print(f"{name}: {size}: {found.wrong or 'nothing wrong'}", flush=True)
        for step in found.trace:
            print(f"    {step}")
        sound &= found.wrong is None
    caught = 0
    for bug in BUGS:
        found = Explorer(Bounds(jobs=1), bug).search()
        caught += found.wrong is not None
        print(f"planted: {bug.name}: {found.states} states: {found.wrong or 'NOT FOUND'}")
        for step in found.trace:
            print(f"    {step}")
    print(f"{caught} of {len(BUGS)} planted bugs found")
    return 0 if sound and caught == len(BUGS) else 1


if __name__ == "__main__":
    sys.exit(main())
