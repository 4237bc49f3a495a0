"""Restarts every role under load and counts: `python -m tests.rolling [--restarts N] [--postgres]`."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conftest import PostgresServer
from tests.rolling.stage import DRAIN, Tally, stage

COLUMNS = (
    "restarts",
    "requests",
    "failed",
    "late",
    "mails",
    "lost",
    "twice",
    "attempts",
    "crashes",
    "returned",
    "unlogged",
)


async def campaign(rounds: int, database: str = "", drain: str = DRAIN) -> Tally:
    """The count of so many restarts of each role."""
    with tempfile.TemporaryDirectory(prefix="yb") as folder:
        async with stage(Path(folder), database, drain) as it:
            await it.run(rounds)
        return it.tally


def main() -> int:
    """The exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description="Restart every role under load, and count.")
    parser.add_argument("--restarts", type=int, default=50, help="of each role")
    parser.add_argument("--postgres", action="store_true", help="the job log in PostgreSQL, not in SQLite")
    parser.add_argument("--drain", default=DRAIN, help="YB_DRAIN of the APIs; 0s shows what it is for")
    given = parser.parse_args()
    server = PostgresServer() if given.postgres else None
    try:
        tally = asyncio.run(campaign(given.restarts, server.new_database() if server else "", given.drain))
    finally:
        if server:
            server.server.cleanup()
    values = [value if isinstance(value := getattr(tally, name), int) else len(value) for name in COLUMNS]
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    print("| " + " | ".join(map(str, values)) + " |")
    print(f"slowest request {tally.slowest:.2f} s")
    print("\n".join(tally.broken()) or "nothing was broken")
    return 1 if tally.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
