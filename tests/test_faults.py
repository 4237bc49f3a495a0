"""Kill -9 under load: no mail is missing, and a second copy only where a worker was lost after its commit."""

import os
import random
import re
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.test_up import EVENT, PATH, Sink, sink, start  # noqa: F401  fixtures

SIGN_INS, KILLS, SEED = 400, 8, 20251219


def test_workers_killed_under_load(start, sink) -> None:  # noqa: F811  the fixtures
    server, smtp = sink
    up = start("up", "--workers", "3", YB_SMTP_URL=smtp, YB_LEASE_SECONDS="4", YB_CONCURRENCY="5")
    # The first lease ends after the last kill, so that no job is in doubt twice: that one would wait for a person.
    server.seconds = 0.05  # so that a worker that is killed is in the middle of some mails
    chance = random.Random(SEED)

    def post(number: int) -> int:
        return up.ask("POST", PATH, EVENT | {"jobId": f"j{number}", "userId": f"u{number // 10}"})[0]

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(post, range(SIGN_INS))
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 0.3))
            victim = chance.choice([pid for pid in children(up.process.pid) if "worker" in command_of(pid)] or [0])
            if victim:
                os.kill(victim, signal.SIGKILL)
        assert list(answers) == [202] * SIGN_INS
    jobs = [up.follow(f"j{number}", "completed", 60) for number in range(SIGN_INS)]
    assert sum(job["crashes"] for job in jobs) > 0
    doubtful = sum(any("after its commit" in event.get("error", "") for event in job["history"]) for job in jobs)
    copies = Counter(re.search(rb"Message-ID: (\S+)", mail)[1] for mail in server.mails)  # type: ignore[index]
    assert len(copies) == SIGN_INS
    assert sum(copies.values()) - SIGN_INS <= doubtful
    for message_id, count in copies.items():
        same = {mail for mail in server.mails if message_id in mail}
        assert len(same) == 1, f"{count} copies differ"


def children(parent: int) -> list[int]:
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        return [int(pid) for pid in file.read().split()]


def command_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
