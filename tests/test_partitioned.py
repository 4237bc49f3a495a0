"""The whole system over a queue in partitions: every case of the acceptance, one job log, the number held."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.parts import eventually
from tests.test_up import EVENT, PATH, System, command, start  # noqa: F401  a fixture

JOBS = 12


async def test_the_system_over_partitions(start: Callable[..., System], short_folder: Path) -> None:  # noqa: F811
    up = start("up", YB_PARTITIONS="3")
    check = subprocess.run(command("check", "--url", up.url), capture_output=True, text=True, timeout=60, check=False)
    assert check.returncode == 0, check.stdout + check.stderr
    ids = [f"j{number}" for number in range(JOBS)]
    for job_id in ids:
        assert up.ask("POST", PATH, EVENT | {"jobId": job_id, "userId": f"user of {job_id}"})[0] == 202
    status, problem = up.ask("POST", PATH, EVENT | {"jobId": "j0", "userId": "somebody else"})
    assert (status, problem["sameRequest"]) == (409, False)
    for job_id in ids:
        up.follow(job_id, "completed")
    await eventually(lambda: logged(short_folder / "data/joblog.sqlite3", ids) == JOBS)
    other = start("recorder", ready="", YB_PARTITIONS="2", YB_VALKEY_URL=f"unix://{short_folder}/data/valkey.sock")
    other.read_until("YB_PARTITIONS: the queue has 3 partitions and this process was told 2; set YB_PARTITIONS=3")
    assert other.process.wait(10) == 2


def logged(log: Path, ids: list[str]) -> int:
    with sqlite3.connect(log) as connection:
        marks = ",".join("?" * len(ids))
        query = f"SELECT count(*) FROM job_log WHERE status = 'completed' AND job_id IN ({marks})"
        [count] = connection.execute(query, ids).fetchone()
    connection.close()
    return int(count)
