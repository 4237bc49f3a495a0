"""How long a sign-in waits for its hook while the API is up, killed, stopped or black-holed: `python -m bench.hooks`.

Django's `user_logged_in` is sent by threads at a fixed rate; behind it are a real API, a worker and an SMTP server, each a
process of its own. After each state the API is well again, and at the end every mail is counted: lost, doubled.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import django
from django.conf import settings

from bench.rig import ROOT, running
from yellowbooks.client import Client
from yellowbooks.embedded import valkey_command, valkey_environment

STATES = ("up", "killed", "stopped", "black-holed", "up again")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DRAIN_SECONDS = 120


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def black_hole(port: int) -> Iterator[None]:
    """A port that takes no connection and refuses none: its backlog is full, and what else comes is dropped."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=0))
        for _ in range(4):
            full = stack.enter_context(socket.socket())
            full.settimeout(0.2)
            if full.connect_ex(listener.getsockname()):
                break
        yield


@dataclass
class Row:
    """One state: how long each hook took (s)."""

    state: str
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0  # of all, the caller's own (s)

    def at(self, share: float) -> float:
        """A quantile, in microseconds."""
        ranked = sorted(self.seconds)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))] * 1e6


@dataclass
class Counts:
    """What became of all sign-ins."""

    sign_ins: int = 0
    lost: int = 0
    doubled: int = 0
    told_lost: int = 0
    over_deadline: int = 0


class Api:
    """The API, in the state that is asked for."""

    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.port, self.environment = port, environment
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it can take a job."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "yellowbooks", "api", "--alone"],
            cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError("the API did not start") from None
                time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def state(self, name: str) -> Iterator[None]:
        """The state while the block runs; well again after it."""
        assert self.process
        if name == "stopped":
            os.kill(self.process.pid, signal.SIGSTOP)
            yield
            os.kill(self.process.pid, signal.SIGCONT)
        elif name in ("killed", "black-holed"):
            self.kill()
            with black_hole(self.port) if name == "black-holed" else ExitStack():
                yield
            self.start()
        else:
            yield


def hook(client: Client) -> "type":
    """Django's signal with our hook behind it; sends one for a user."""
    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        )
        django.setup()
    from django.contrib.auth.models import User
    from django.contrib.auth.signals import user_logged_in
    from django.test import RequestFactory

    from yellowbooks.client.django import connect

    for other in ("yellowbooks", "update_last_login"):  # Django's own writes to its database
        user_logged_in.disconnect(dispatch_uid=other)
    connect(client)

    class SignIn:
        def __init__(self, number: int) -> None:
            self.request = RequestFactory(HTTP_USER_AGENT=FIREFOX).get("/login/")
            self.user = User(pk=number, email=f"u{number}@example.com", first_name="Бат")

        def send(self) -> tuple[float, float]:
            began, cpu = time.perf_counter(), time.thread_time()
            user_logged_in.send(User, request=self.request, user=self.user)
            return time.perf_counter() - began, time.thread_time() - cpu

    return SignIn


def sign_in(kind: "type", row: Row, first: int, count: int, rate: float, threads: int) -> None:
    """`count` sign-ins by threads, `rate` a second over all."""

    def work(mine: range) -> None:
        began, taken = time.perf_counter(), []
        for turn, number in enumerate(mine):
            one = kind(number)
            time.sleep(max(0.0, began + turn * threads / rate - time.perf_counter()))
            taken.append(one.send())
        row.seconds += [seconds for seconds, _ in taken]
        row.cpu += sum(cpu for _, cpu in taken)

    workers = [threading.Thread(target=work, args=(range(first + n, first + count, threads),)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def mails(port: int) -> Counter[str]:
    """How many mails each address has got."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, connection.makefile("rwb") as file:
        file.readline()
        file.write(b"XTIMES\r\n")
        file.flush()
        got: Counter[str] = Counter()
        while (line := file.readline()).startswith(b"250-"):
            got[line.split()[1].decode()] += 1
        return got


def campaign(count: int, rate: float, threads: int, timeout: float = 5.0) -> tuple[list[Row], Counts]:
    """Every state with `count` sign-ins; what they took, and what became of all of them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yb")))
        (folder / "valkey").mkdir()
        smtp, port = free_port(), free_port()
        environment = {
            **os.environ, "YB_VALKEY_URL": f"unix://{folder}/valkey.sock", "YB_DATA_DIR": str(folder),
            "YB_PORT": str(port), "YB_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        }  # fmt: skip
        stack.enter_context(running(valkey_command(folder), **valkey_environment()))
        stack.enter_context(running([sys.executable, "-m", "bench.sink", str(smtp)]))
        api = Api(port, environment)
        stack.callback(api.kill)
        stack.enter_context(running([sys.executable, "-m", "yellowbooks", "worker"], **environment))
        told: list[str] = []
        client = Client(
            f"http://127.0.0.1:{port}", spool=folder / "spool", timeout=timeout, pauses=(0.25, 2.0),
            tell=lambda word, **_: told.append(word),
        )  # fmt: skip
        stack.callback(client.close)
        kind, rows = hook(client), []
        for number, state in enumerate(STATES):
            rows.append(Row(state))
            with api.state(state):
                sign_in(kind, rows[-1], number * count, count, rate, threads)
            if not client.flush(DRAIN_SECONDS):
                raise RuntimeError(f"{client.state()} after {DRAIN_SECONDS} s")
        return rows, _count(rows, count * len(STATES), told, smtp, client.deadline)


def _count(rows: list[Row], total: int, told: list[str], smtp: int, deadline: float) -> Counts:
    until = time.monotonic() + DRAIN_SECONDS
    while len(got := mails(smtp)) < total and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.5)  # a double would come about now
    got = mails(smtp)
    return Counts(
        sign_ins=total,
        lost=total - len(got),
        doubled=sum(count - 1 for count in got.values()),
        told_lost=told.count("lost"),
        over_deadline=sum(second > deadline for row in rows for second in row.seconds),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sign-ins", type=int, default=1000, help="in each state")
    parser.add_argument("--rate", type=float, default=200.0, help="a second")
    parser.add_argument("--threads", type=int, default=4)
    asked = parser.parse_args()
    rows, counts = campaign(asked.sign_ins, asked.rate, asked.threads)
    print("| the API is | sign-ins | p50 | p99 | p99.9 | longest | CPU, mean |\n|---|---|---|---|---|---|---|")
    for row in rows:
        figures = " | ".join(f"{row.at(share):,.0f} µs" for share in (0.5, 0.99, 0.999, 1))
        print(f"| {row.state} | {len(row.seconds)} | {figures} | {row.cpu / len(row.seconds) * 1e6:,.0f} µs |")
    print(f"\n{counts}")


if __name__ == "__main__":
    main()
