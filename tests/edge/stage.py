"""The stage of the attacks: an API, a worker and a mail server, a good client, and the count at the end."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.conftest import ValkeyServer
from tests.edge.attacks import KEY, Told
from tests.test_up import ROOT, environment, free_port
from yellowbooks.drill.sink import Sink

READY_SECONDS = 90.0
DRAIN_SECONDS = 120.0
OPERATOR = "a-key-of-the-operator-1"


@dataclass
class Row:
    """What came of one attack, and of the good client while it went on. Times are milliseconds, memory megabytes."""

    attack: str
    sockets: int
    seconds: float
    told: list[Told]
    good: Told
    memory: float
    probes: list[float] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)  # what a failed probe heard

    def failed(self) -> int:
        """Good requests that were not taken."""
        return self.good.tried - len(self.good.taken)

    def wrong(self) -> dict[str, int]:
        """Answers to anybody that must not be."""
        seen: dict[str, int] = {}
        for one in (*self.told, self.good):
            for status, count in one.statuses.items():
                if status.startswith("5") and status not in ("503", "501", "505"):
                    seen[status] = seen.get(status, 0) + count
        return seen


def percentile(times: Sequence[float], part: float) -> float:
    """Of sorted or unsorted times."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


class Stage:
    """Runs attacks against one API, one after the other or all at once."""

    def __init__(self, folder: Path, valkey: ValkeyServer, sink: Sink, rate: int) -> None:
        self.folder, self.sink, self.rate, self.port = folder, sink, rate, free_port()
        self.valkey, self.taken, self.rows = valkey, list[str](), list[Row]()
        self.number, self.told = 0, ""
        self.settings = {
            "YB_VALKEY_URL": valkey.url, "YB_DATA_DIR": str(folder / "data"), "YB_PORT": str(self.port),
            "YB_SMTP_URL": f"smtp://127.0.0.1:{sink.port}", "YB_LOG_FORMAT": "json", "YB_API_KEYS": KEY,
            "YB_ADMIN_KEYS": OPERATOR, "YB_MAIL_FROM": "no-reply@example.com",
        }  # fmt: skip
        self.roles: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self, role: str, **settings: str) -> None:
        """Start a role, and wait until it is ready."""
        log = self.folder / f"{role}.log"
        with log.open("wb") as file:
            self.roles[role] = subprocess.Popen(
                [sys.executable, "-m", "yellowbooks", role], env=environment(**self.settings, **settings), cwd=ROOT,
                stdout=file, stderr=file,
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while b'"ready"' not in log.read_bytes():
            assert self.roles[role].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            await asyncio.sleep(0.05)

    async def start_again(self, **settings: str) -> None:
        """Another API in the place of the first, with other settings."""
        api = self.roles["api"]
        api.terminate()
        await asyncio.to_thread(api.wait)
        self.told += self.log()
        await self.start("api", **settings)

    def stop(self) -> None:
        """End what was started."""
        for process in self.roles.values():
            process.kill()
            process.wait()

    async def attack(self, attacks: Sequence[tuple[str, int]], seconds: float) -> Row:
        """Attacks beside each other, each with its sockets, while the good client posts; gives their row."""
        self.number += 1
        self._forget_peak()
        running = [
            asyncio.create_task(self._process(name, sockets, seconds, f"a{self.number}-{n}"))
            for n, (name, sockets) in enumerate(attacks)
        ]
        good = asyncio.create_task(self._process("good", self.rate, seconds, f"g{self.number}"))
        probes, unanswered = await self._probe(good)
        told = [await one for one in running]
        name = " + ".join(dict.fromkeys(name for name, _ in attacks)) or "none"
        row = Row(name, sum(n for _, n in attacks), seconds, told, await good, self._peak(), probes, unanswered)
        self.taken += [user for one in (*told, row.good) for user in one.taken]
        self.rows.append(row)
        return row

    async def mails(self) -> tuple[int, int]:
        """When all is done: how many of the users who were told 202 got no mail, and how many got two."""
        deadline = time.monotonic() + DRAIN_SECONDS
        wanted = {f"u-{user}@example.com" for user in self.taken}
        while not wanted <= self.sink.taken.keys() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        lost = [user for user in wanted if not self.sink.taken[user]]
        return len(lost), sum(count > 1 for count in self.sink.taken.values())

    def log(self) -> str:
        """What the API told, and the one before it."""
        return self.told + (self.folder / "api.log").read_text()

    async def _process(self, name: str, sockets: int, seconds: float, tag: str) -> Told:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.edge.attacks", name, str(self.port), str(sockets), str(seconds), tag,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, f"the attack «{name}» failed"
        return msgspec.json.decode(output, type=Told)

    async def _probe(self, until: "asyncio.Task[Told]") -> tuple[list[float], list[str]]:
        """Ask /healthz and /readyz as a prober does, until then: how long each took; a failed one is infinite."""
        times, unanswered = [], []
        while not until.done():
            for path in ("healthz", "readyz"):
                began, line = time.monotonic(), b""
                try:
                    async with asyncio.timeout(30):
                        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.write(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                        line = await reader.readline()
                        writer.close()
                except (OSError, TimeoutError) as error:
                    line = repr(error).encode()
                answered = b" 200 " in line
                times.append((time.monotonic() - began) * 1000 if answered else float("inf"))
                unanswered += [] if answered else [f"{path} {line.decode()!r} after {time.monotonic() - began:.1f} s"]
            await asyncio.sleep(0.2)
        return times, unanswered

    def _forget_peak(self) -> None:
        Path(f"/proc/{self.roles['api'].pid}/clear_refs").write_text("5")  # proc(5): the peak begins again

    def _peak(self) -> float:
        status = Path(f"/proc/{self.roles['api'].pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@asynccontextmanager
async def stage(rate: int, **settings: str) -> AsyncIterator[Stage]:
    """A running system."""
    folder, sink = Path(tempfile.mkdtemp(prefix="yb")), Sink()
    valkey = ValkeyServer(folder)
    valkey.start()
    await sink.start()
    it = Stage(folder, valkey, sink, rate)
    try:
        await asyncio.gather(it.start("api", **settings), it.start("worker"))
        yield it
    finally:
        it.stop()
        await asyncio.sleep(0.1)  # the mail server hears that its client is gone
        await sink.close()
        valkey.stop()
        shutil.rmtree(folder, ignore_errors=True)
