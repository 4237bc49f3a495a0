"""`python -m tests.canary --users 200`: both databases; then without a seal and with a handler that leaks."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.canary.run import Outcome, run
from tests.conftest import PostgresServer

LEAK = {"YB_SECRET_KEYS": "", "YB_LOG_PAYLOADS": "all", "YB_KINDS": "tests.canary.leaky_open"}


def show(title: str, outcome: Outcome) -> None:
    """What was searched and found, a line a place."""
    print(f"{title}: {outcome.jobs} jobs taken in, answers {dict(sorted(outcome.statuses.items()))}")
    print("\n".join(outcome.before.lines()), flush=True)
    print(f"  erased: {outcome.erased} items, not done: {len(outcome.undone)}")
    print("\n".join(outcome.after.lines()), flush=True)
    for line in outcome.undone[:5]:
        print(f"  not erased: {line}")


def main() -> int:
    """The exit status is 0 where no mark was found but those that were planted, and all of these were."""
    parser = argparse.ArgumentParser(description="Send marked people through the whole system and search for them.")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wrong = planted = found = 0
    postgres = PostgresServer()
    try:
        for title, more in (
            ("SQLite", {}),
            ("PostgreSQL, three partitions", {"YB_DATABASE_URL": postgres.new_database(), "YB_PARTITIONS": "3"}),
        ):
            outcome = _run(given.users, given.seed, more)
            show(title, outcome)
            wrong += outcome.before.total + outcome.after.total + len(outcome.undone)
            planted += len(outcome.planted)
            found += len(outcome.found)
        leak = _run(min(given.users, 20), given.seed, LEAK)
        show("planted: no seal, and a handler whose kind hides nothing", leak)
        stores = [place for place in leak.after.found if place not in ("logs and spooled jobs", "traces and alerts")]
        wrong += len(stores) + len(leak.undone)  # what was said cannot be unsaid; what was stored is gone
        leaks = [place for place in leak.before.pieces if place != "API, answers to requests"]
        planted, found = planted + len(leaks), found + sum(place in leak.before.found for place in leaks)
        print(f"planted {found} of {planted} found; {wrong} marks where none should be")
        return int(wrong > 0 or found < planted)
    finally:
        postgres.server.cleanup()


def _run(users: int, seed: int, more: dict[str, str]) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    try:
        return asyncio.run(run(folder, users, seed, **more))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
