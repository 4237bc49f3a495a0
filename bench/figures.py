"""Prints the figures of docs/figures.md: memory of idle processes, and the time from a sign-in's POST to its mail."""

import asyncio
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

PORT, SMTP_PORT, SIGN_INS = 3399, 3398, 300
IDLE_SECONDS = 3


class Sink:
    """Notes when each mail was accepted."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.at = 0.0

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
        self.at = time.perf_counter()
        self.arrived.set()
        return "250 OK"


def resident(pid: int) -> float:
    """Resident memory in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def sign_in(number: int) -> float:
    """POST one sign-in; when it was sent and how long the answer took."""
    event = {"userId": f"u{number}", "email": "bat@example.com", "name": "Бат", "provider": "github"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/api/jobs/signin-notification",
        json.dumps(event).encode(),
        {"Content-Type": "application/json"},
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()
    return time.perf_counter() - began


def percentiles(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    p50, p99, most = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.5, 0.99, 1))
    return f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, max {most * 1000:.1f} ms"


def measure(system: subprocess.Popen[str], sink: Sink) -> None:
    assert system.stdout
    screen = ""
    for line in system.stdout:
        screen += line
        if "Ctrl-C" in line:
            break
    processes = re.findall(r"(valkey|recorder|api|worker-1) (\d+)", screen)
    time.sleep(IDLE_SECONDS)
    print("Resident memory, idle since the start:")
    for name, pid in processes:
        print(f"  {name:<9} {resident(int(pid)):6.1f} MB")
    mails, answers = [], []
    for number in range(SIGN_INS):
        sink.arrived.clear()
        began = time.perf_counter()
        answers.append(sign_in(number))
        if not sink.arrived.wait(10):
            raise SystemExit("a mail did not arrive within 10 s")
        mails.append(sink.at - began)
    print(f"{SIGN_INS} sign-ins one after the other, AOF always, one worker:")
    print(f"  POST to its answer          {percentiles(answers)}")
    print(f"  POST to the mail at SMTP    {percentiles(mails)}")
    print("Resident memory after them:")
    for name, pid in processes:
        print(f"  {name:<9} {resident(int(pid)):6.1f} MB")


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, ", end="")
    print(f"CPython {platform.python_version()}")
    sink = Sink()
    controller = Controller(sink, hostname="127.0.0.1", port=SMTP_PORT)
    controller.start()
    with tempfile.TemporaryDirectory(prefix="yb") as folder:
        settings = {"YB_DATA_DIR": folder, "YB_PORT": str(PORT), "YB_SMTP_URL": f"smtp://127.0.0.1:{SMTP_PORT}"}
        system = subprocess.Popen(
            [sys.executable, "-m", "yellowbooks", "up"],
            env={**os.environ, **settings, "YB_LOG_FORMAT": "json"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            measure(system, sink)
        finally:
            system.send_signal(signal.SIGINT)
            system.wait(20)
            controller.stop()


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    main()
