"""An API that is told to stop: /readyz at once says no, what comes is still answered, and then it ends."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ValkeyServer
from tests.test_up import ROOT, System, environment, free_port


def ask(port: int, path: str) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status, reply.getheader("connection")


@pytest.fixture
def base(own_valkey: ValkeyServer, tmp_path: Path) -> dict[str, str]:
    return {"YB_VALKEY_URL": own_valkey.url, "YB_DATA_DIR": str(tmp_path), "YB_PORT": str(free_port())}


def test_it_says_that_it_stops_and_goes_on_answering(base: dict[str, str]) -> None:
    system = System("api", **base, YB_DRAIN="2s")
    port = int(base["YB_PORT"])
    try:
        system.read_until('"ready"')
        assert ask(port, "/readyz") == (200, None)
        system.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        system.read_until("draining")
        assert ask(port, "/readyz") == (503, "close")
        assert ask(port, "/healthz") == (200, "close")
        assert system.process.wait(20) == 0
        assert time.monotonic() - began > 2
        with pytest.raises(ConnectionRefusedError):
            ask(port, "/healthz")
    finally:
        system.process.kill()


def test_told_twice_it_ends_at_once(base: dict[str, str]) -> None:
    system = System("api", **base, YB_DRAIN="120s")
    try:
        system.read_until('"ready"')
        system.process.send_signal(signal.SIGTERM)
        system.read_until("draining")
        assert system.stop(signal.SIGTERM) == 0
    finally:
        system.process.kill()


def test_a_socket_that_is_handed_over_keeps_who_comes_between_two_apis(base: dict[str, str]) -> None:
    """As systemd does it: the socket outlives each API, and a connection waits in it for the next one."""
    listener = socket.create_server(("127.0.0.1", int(base["YB_PORT"])))
    port = listener.getsockname()[1]

    def start() -> "subprocess.Popen[bytes]":
        script = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        return subprocess.Popen(
            ["bash", "-c", script, "sh", sys.executable, "-m", "yellowbooks", "api"], cwd=ROOT, stderr=subprocess.DEVNULL,
            env=environment(**base, YB_DRAIN="0.3s"), pass_fds=(listener.fileno(),),
        )  # fmt: skip

    first = start()
    try:
        assert ask(port, "/readyz")[0] == 200
        os.kill(first.pid, signal.SIGTERM)
        assert first.wait(20) == 0
        answers: list[int] = []
        between = threading.Thread(target=lambda: answers.append(ask(port, "/readyz")[0]))
        between.start()
        second = start()
        try:
            between.join(20)
            assert answers == [200]
        finally:
            second.terminate()
            second.wait(20)
    finally:
        first.kill()
        first.wait()
        listener.close()


def test_several_sockets_are_refused(base: dict[str, str]) -> None:
    script = 'LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"'
    words = ["sh", "-c", script, "sh", sys.executable, "-m", "yellowbooks", "api"]
    shown = subprocess.run(words, env=environment(**base), capture_output=True, text=True, timeout=60, check=False)
    assert shown.returncode == 2
    assert "name one in ListenStream=" in shown.stderr
