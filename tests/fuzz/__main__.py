"""The long form: `python -m tests.fuzz`; prints what was tried and what was found. `--help` has its options."""

import argparse
import sys

from tests.fuzz.api import HEAD, PHASES, ROLES, fuzz, system


def main() -> int:
    """Fuzz, print a table, and what was found; the exit status says whether something was."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("--examples", type=int, default=50, help="inputs that are made up for each operation")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=int, help="bound the run of each role")
    arguments.add_argument("--role", choices=ROLES, action="append", help="one of them alone")
    given = arguments.parse_args()
    with system() as running:
        found = [
            fuzz(running, role, examples=given.examples, seed=given.seed, phases=PHASES, seconds=given.seconds)
            for role in given.role or ROLES
        ]
    for one in found:
        if one.failures:
            print(one.lines)
    print(HEAD, *(one.row() for one in found), sep="\n")
    return int(any(one.failures for one in found))


sys.exit(main())
