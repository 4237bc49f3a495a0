"""Counts handled jobs in a worker process; when all are done it prints how long they took and ends the process."""

import itertools
import json
import os
import sys
import time

EVENT = {
    "email": "bat{}@example.mn",
    "name": "Бат-Эрдэнэ",
    "provider": "google",
    "ipAddress": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
}


def event(number: int) -> dict[str, str]:
    """The sign-in of one user."""
    return {"userId": f"user-{number}", **EVENT, "email": EVENT["email"].format(number)}


class Tally:
    """From the start of the first handler to the end of the last."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._numbers = itertools.count(1)
        self._began = 0.0

    def hit(self) -> None:
        """One job was handled."""
        number = next(self._numbers)
        if number == 1:
            self._began = time.perf_counter()
        if number == self._count:
            report(time.perf_counter() - self._began)
            os._exit(0)


def report(seconds: float) -> None:
    """Say how long it took."""
    print(json.dumps({"seconds": seconds}), flush=True)


def rss() -> None:
    """Say how much memory (kB) this process has, once it has been idle for a while."""
    with open("/proc/self/status") as status:
        print(
            json.dumps({"rss": next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))}), flush=True
        )


ACT, URL, COUNT = (sys.argv[1], sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 3 else ("", "", 0)
TALLY = Tally(COUNT)
