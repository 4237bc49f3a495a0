"""The whole system over a queue in partitions: every case of the acceptance, the job log of all, the number held."""

import sqlite3
import subprocess
import sys

from tests.parts import eventually
from tests.test_up import EVENT, PATH, start  # noqa: F401  a fixture


async def test_the_system_over_partitions(start, tmp_path) -> None:  # noqa: F811  the fixture
    up = start("up", YB_PARTITIONS="3")
    check = subprocess.run(
        [sys.executable, "-m", "yellowbooks", "check", "--url", up.url], capture_output=True, text=True, timeout=60
    )
    assert check.returncode == 0, check.stdout + check.stderr
    for number in range(12):
        assert up.ask("POST", PATH, EVENT | {"jobId": f"j{number}", "userId": f"u{number}"})[0] == 202
    assert up.ask("POST", PATH, EVENT | {"jobId": "j0", "userId": "somebody else"})[0] == 409
    for number in range(12):
        up.follow(f"j{number}", "completed")
