"""`yellowbooks jobs` and `dlq`, on a real queue: what they print, what they change, and how they end."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests import commands
from tests.conftest import ValkeyServer
from yellowbooks import signin
from yellowbooks.cli import main
from yellowbooks.joblog import JobLog
from yellowbooks.jobs import Backoff, Lease, Queue, Rate, payload_of
from yellowbooks.jobs.outcome import Dead
from yellowbooks.signin import SignIn

KIND = signin.kind(rate=Rate(1000, 3600), backoff=Backoff(5, 2.0))
ERROR = "Refused: mx.example said 550 5.1.1"


class Desk:
    """A queue with jobs in it, and the commands over it."""

    def __init__(self, server: ValkeyServer, folder: Path) -> None:
        self.url = server.url
        self.settings = {"YB_VALKEY_URL": server.url, "YB_DATA_DIR": str(folder / "data")}

    def run(self, *words: str, **more: Any) -> Result:
        return CliRunner().invoke(main, list(words), env=self.settings, **more)

    def answer(self, *words: str, status: int = 0) -> Any:
        result = self.run(*words, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def on_queue(self, work: Callable[[Queue], Any]) -> Any:
        async def run() -> Any:
            queue = Queue(self.url)
            try:
                return await work(queue)
            finally:
                await queue.close()

        return asyncio.run(run())

    def sign_in(self, number: int) -> str:
        event = SignIn(job_id=f"job-{number}", user_id=f"u{number}", email=f"u{number}@example.com", provider="github")
        [(job_id, receipt)] = self.on_queue(lambda queue: queue.admit_many(KIND, [event]))
        assert receipt.word == "admitted"
        return str(job_id)

    def bury(self, numbers: range, error: str = ERROR, cause: str = "mx.example:rcpt:550") -> None:
        async def work(queue: Queue) -> None:
            leases: list[Lease] = []
            while len(leases) < len(numbers):
                leases += (await queue.claim([KIND], 100))[0]
            await queue.settle_many([(lease, Dead(error, cause, "File x.py, line 3")) for lease in leases])

        for number in numbers:
            self.sign_in(number)
        self.on_queue(work)

    def state(self, job_id: str) -> str:
        job = self.on_queue(lambda queue: queue.show(job_id))
        assert job
        return str(job.state)


@pytest.fixture
def desk(own_valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    return Desk(own_valkey, tmp_path)


def test_a_job_is_shown_explained_and_cancelled(desk: Desk) -> None:
    job_id = desk.sign_in(1)
    shown = desk.run("jobs", "show", job_id)
    assert shown.exit_code == 0, shown.output
    assert "enqueued" in shown.output
    assert "admitted" in shown.output
    assert "u1@example.com" not in shown.output
    assert desk.answer("jobs", "show", job_id)["status"] == "enqueued"
    assert desk.answer("jobs", "explain", job_id)["explain"].startswith("No worker that runs now knows the kind")
    assert desk.run("jobs", "explain", job_id).output.startswith("No worker")
    assert desk.run("jobs", "cancel", job_id).output == f"{job_id}  cancelled\n"
    assert desk.state(job_id) == "cancelled"
    assert desk.answer("jobs", "cancel", job_id, status=4)["jobs"] == [{"jobId": job_id, "answer": "ended"}]
    for words in (("jobs", "show"), ("jobs", "explain"), ("jobs", "cancel"), ("jobs", "follow"), ("dlq", "show"),
                  ("dlq", "requeue"), ("dlq", "discard")):  # fmt: skip
        assert desk.run(*words, "nobody").exit_code == 3, words
    assert desk.run("dlq", "show", job_id).exit_code == 4
    assert desk.run("dlq", "requeue", job_id).exit_code == 4


def test_a_job_is_followed_to_its_end(desk: Desk) -> None:
    job_id = desk.sign_in(1)

    async def work(queue: Queue) -> None:
        [lease], _ = await queue.claim([KIND], 1)
        await asyncio.sleep(0.5)
        await queue.settle(lease, Dead("Refused: no", "no"))

    running = threading.Thread(target=lambda: desk.on_queue(work))
    running.start()
    followed = desk.run("jobs", "follow", job_id, "--json")
    running.join()
    assert followed.exit_code == 1
    lines = [json.loads(line) for line in followed.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["admitted", "claimed", "died"]
    assert lines[-1]["error"] == "Refused: no"


def test_jobs_are_listed_by_the_log(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("jobs", "list").exit_code == 1
    desk.bury(range(3))
    desk.sign_in(9)
    events = desk.on_queue(lambda queue: queue.read(0.1, entries=1000))
    (tmp_path / "data").mkdir()
    log = JobLog(f"sqlite:///{tmp_path}/data/joblog.sqlite3")
    log.migrate()
    log.append(events)
    log.close()
    assert desk.run("jobs", "list").output.count("job-") == 4
    assert "job-9" in desk.run("jobs", "list", "--status", "enqueued", "--kind", KIND.name).output
    assert desk.run("jobs", "list", "--error", "nothing of it").output == "no job is like that\n"
    first = desk.answer("jobs", "list", "--limit", "3", "--since", "1h")
    rest = desk.answer("jobs", "list", "--cursor", first["next"])
    assert ([len(first["jobs"]), len(rest["jobs"])], rest["next"]) == ([3, 1], None)
    assert {job["status"] for job in first["jobs"] + rest["jobs"]} == {"dead", "enqueued"}
    assert desk.run("jobs", "list", "--cursor", "x").exit_code == 2
    desk.on_queue(lambda queue: queue.link.client.flushall())  # the queue forgets, the log does not
    assert desk.answer("jobs", "show", "job-1")["status"] == "dead"
    (tmp_path / "data/joblog.sqlite3").write_bytes(b"no database at all, but long enough to look at" * 100)
    assert desk.run("jobs", "list").exit_code == 75


def test_dead_letters_are_listed_grouped_and_shown(desk: Desk) -> None:
    desk.bury(range(3))
    desk.bury(range(3, 5), "TimeoutError: late", "mx.example:connect:timeout")
    assert desk.run("dlq", "list").output.count("job-") == 5
    found = desk.answer("dlq", "list", "--error", "LATE")
    assert (found["count"], {job["jobId"] for job in found["jobs"]}) == (2, {"job-3", "job-4"})
    assert desk.answer("dlq", "list", "--since", "1h")["count"] == 5
    assert desk.answer("dlq", "list", "--until", "2020-01-01T00:00:00Z")["count"] == 0
    assert desk.run("dlq", "list", "--since", "yesterday").exit_code == 2
    page = desk.answer("dlq", "list", "--limit", "2")
    rest = desk.answer("dlq", "list", "--limit", "9", "--cursor", page["nextCursor"])
    assert len({job["jobId"] for job in page["jobs"] + rest["jobs"]}) == 5
    assert desk.run("dlq", "list", "--cursor", "x").exit_code == 2
    assert [(one["cause"], one["count"]) for one in desk.answer("dlq", "causes")["causes"]] == [
        ("mx.example:rcpt:550", 3), ("mx.example:connect:timeout", 2),
    ]  # fmt: skip
    assert "mx.example:rcpt:550" in desk.run("dlq", "causes").output
    assert "File x.py, line 3" in desk.run("dlq", "show", "job-0").output
    assert desk.answer("dlq", "show", "job-0")["history"][-1]["trace"] == "File x.py, line 3"


def test_requeue_moves_what_was_previewed_and_asks_first(desk: Desk) -> None:
    desk.bury(range(3))
    desk.bury(range(3, 5), "TimeoutError: late", "mx.example:connect:timeout")
    assert desk.run("dlq", "requeue").exit_code == 2
    assert desk.run("dlq", "requeue", "job-1", "--all").exit_code == 2
    assert desk.answer("dlq", "requeue", "--cause", "mx.example:rcpt", "--preview")["count"] == 3
    refused = desk.run("dlq", "requeue", "--all")
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert desk.answer("dlq", "list")["count"] == 5
    assert desk.answer("dlq", "requeue", "--cause", "mx.example:rcpt", "--yes") == {"requeued": 3, "others": []}
    assert desk.state("job-0") == "enqueued"
    assert desk.run("dlq", "requeue", "job-3", "job-0").exit_code == 4
    assert desk.state("job-3") == "enqueued"
    assert desk.run("dlq", "requeue", "--all", "--pace", "5", "--yes").output == "1 requeued\n"
    history = desk.answer("jobs", "show", "job-4")["history"]
    assert history[-1]["event"] == "requeued"
    assert desk.answer("dlq", "list")["count"] == 0


def test_discard_gives_up_the_newest(desk: Desk) -> None:
    desk.bury(range(4))
    assert desk.answer("dlq", "discard", "--all", "--limit", "3", "--yes")["discarded"] == 3
    assert desk.answer("dlq", "list")["count"] == 1


def test_edit_takes_what_the_kind_takes(desk: Desk) -> None:
    desk.bury(range(1))
    for words, why in (
        (("--set", "email=nobody"), "email"), (("--set", "emial=a@example.com"), "emial"), (("--set", "email"), "="), ((), "--set"),
    ):  # fmt: skip
        refused = desk.run("dlq", "edit", "job-0", *words)
        assert refused.exit_code in (1, 2), refused.output
        assert why in refused.output
    told = desk.answer("dlq", "edit", "job-0", "--set", "email=right@example.com")
    assert told == {"jobId": "job-0", "answer": "edited", "changed": ["email"]}
    found = desk.on_queue(lambda queue: payload_of(queue, [KIND], "job-0"))
    assert found[1].email == "right@example.com"
    payload = {"userId": "u0", "email": "more@example.com", "provider": "google"}
    whole = desk.run("dlq", "edit", "job-0", "--payload", "-", "--requeue", input=json.dumps(payload))
    assert whole.output == "requeued: email, provider\n"
    assert desk.state("job-0") == "enqueued"
    assert desk.run("dlq", "edit", "job-0", "--set", "email=a@example.com").exit_code == 4


def test_a_queue_that_is_away_is_status_75(desk: Desk, own_valkey: ValkeyServer) -> None:
    own_valkey.kill()
    for words in (("jobs", "show", "x"), ("dlq", "list"), ("dlq", "requeue", "x")):
        away = desk.run(*words)
        assert away.exit_code == 75, away.output
        assert "start Valkey" in away.output


def test_the_page_of_commands_is_as_they_are() -> None:
    assert commands.PAGE.read_text("utf-8") == commands.page(), "run python -m tests.commands"
    assert all(command.help for _, command in commands.commands(main))


def test_a_shell_completes(tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_YELLOWBOOKS_COMPLETE" in CliRunner().invoke(main, ["completion", shell]).output
    result = CliRunner().invoke(main, ["completion", "fish", "--install"], env={"HOME": str(tmp_path)})
    assert result.exit_code == 0, result.output
    assert "yellowbooks" in (tmp_path / ".config/fish/completions/yellowbooks.fish").read_text()
    environment = {"_YELLOWBOOKS_COMPLETE": "bash_complete", "COMP_WORDS": "yellowbooks dlq re", "COMP_CWORD": "2"}
    done = CliRunner().invoke(main, [], env=environment, prog_name="yellowbooks")
    assert done.output == "plain,requeue\n"
