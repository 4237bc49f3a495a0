"""The long form: `python -m tests.fuzz` fuzzes the API, `--parsers` whatever reads what others wrote, `--planted` puts
bugs in and sees them found. Prints what was tried and what was found; `--help` has its options."""

import argparse
import sys

from tests.fuzz.api import HEAD, PHASES, ROLES, fuzz, system
from tests.fuzz.parsers import fuzz as fuzz_parser
from tests.fuzz.targets import TARGETS


def api(given: argparse.Namespace) -> int:
    """Every role; how many found something."""
    with system() as running:
        found = [
            fuzz(running, role, examples=given.examples or 50, seed=given.seed, phases=PHASES, seconds=given.seconds)
            for role in given.role or ROLES
        ]
    for one in found:
        if one.failures:
            print(one.lines)
    print(HEAD, *(one.row() for one in found), sep="\n")
    return sum(one.failures for one in found)


def parsers(given: argparse.Namespace) -> int:
    """Every target; how many dealt with an input wrongly."""
    wrong = total = 0
    for target in TARGETS:
        tried = fuzz_parser(target, given.examples or 100_000, given.seed, shrink=True)
        print(f"{target.name:<40} {tried.inputs:>8}  {tried.fault or 'nothing'}", flush=True)
        if tried.fault:
            print(f"    {tried.example!r}")
        wrong += bool(tried.fault)
        total += tried.inputs
    print(f"inputs tried: {total}; targets {len(TARGETS)}, of which {wrong} dealt with an input wrongly")
    return wrong


def planted(given: argparse.Namespace) -> int:
    """Every planted bug; how many were not found."""
    bugs = [(target, bug) for target in TARGETS for bug in target.bugs]
    found = 0
    for target, bug in bugs:
        with bug.planted():
            tried = fuzz_parser(target, (given.examples or 20_000) * target.cost, given.seed)
        found += bool(tried.fault)
        said = f"found after {tried.inputs}" if tried.fault else f"NOT FOUND in {tried.inputs}"
        print(f"{target.name:<40} {bug.name:<14} {said}", flush=True)
    print(f"planted bugs found: {found} of {len(bugs)}")
    return len(bugs) - found


def main() -> int:
    """The exit status says whether something was found that should not be, or the other way."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("--parsers", action="store_true", help="fuzz the parsers in place of the API")
    arguments.add_argument("--planted", action="store_true", help="plant bugs in the parsers and see them found")
    arguments.add_argument("--examples", type=int, help="inputs for each operation (50) or target (100,000)")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=int, help="bound the run of each role")
    arguments.add_argument("--role", choices=ROLES, action="append", help="one of them alone")
    given = arguments.parse_args()
    return int(bool((planted if given.planted else parsers if given.parsers else api)(given)))


sys.exit(main())
