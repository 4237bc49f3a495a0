"""One watch in a process of its own: `python -m tests.alerts.process QUEUE_URL HOOK_URL FOLDER` until it is ended."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from yellowbooks.alerts import AlertWatch, AwayNote, Pace, State, webhook
from yellowbooks.jobs import Queue

PACE = Pace(look=0.1, seat=1.5, calm=0.5, lasts={}, others=2.0)
LIMITS = {"dead": 10.0, "away": 0.5}


def tell(word: str, **fields: Any) -> None:
    """A line to standard output."""
    sys.stdout.write(f"{word} {fields}\n")
    sys.stdout.flush()


async def main(url: str, hook: str, folder: str) -> None:
    """Watch."""
    queue = Queue(url)
    execute = queue.beside("{yb:alerts}").execute
    note = AwayNote(Path(folder) / "away.json")
    tell("ready")
    await AlertWatch(queue, State(execute), note, [webhook(hook)], LIMITS, tell, PACE).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
