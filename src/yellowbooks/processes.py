"""Child processes: started, watched, started again when they die, and ended in order."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

CRASH_PAUSE = (0.5, 10.0)  # seconds before a child that died is started again: the first time, and at most
STEADY_SECONDS = 30.0  # a child that lived this long is not in a crash loop
LOOK_SECONDS = 0.1
MISCONFIGURED = 2  # the exit status of a role whose settings are wrong: starting it again would not help


class Misconfigured(Exception):
    """A child ended because its settings are wrong; it has said which."""


@dataclass(slots=True)
class Child:
    """One child process. It ends by itself when its parent does, as its standard input then closes."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: int | None = None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = field(default=CRASH_PAUSE[0])

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the parent, which ends it in order."""
        self._close()
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # nosec B603 # the commands are our own
            self.command,
            env=dict(self.environment),
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id; 0 where it was never started."""
        return self.process.pid if self.process else 0

    def status(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.poll() if self.process else None

    def end(self, seconds: float) -> None:
        """Ask it to stop, wait, and kill it where it does not."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._close()

    def _close(self) -> None:
        """Our end of the input of a process that is gone."""
        if self.process and self.process.stdin:
            self.process.stdin.close()


def role(name: str, *options: str) -> list[str]:
    """The command line of one of our own roles, as a child."""
    return [sys.executable, "-m", "yellowbooks", name, "--child", *options]


def watch(children: Sequence[Child], stop: threading.Event, tell: Callable[..., None]) -> None:
    """Start again what dies, until `stop`. Raises `Misconfigured`."""
    while not stop.wait(LOOK_SECONDS):
        for child in children:
            status = child.status()
            if status is None:
                continue
            if status == MISCONFIGURED:
                raise Misconfigured(child.name)
            steady = time.monotonic() - child.started > STEADY_SECONDS
            child.pause = CRASH_PAUSE[0] if steady else min(child.pause * 2, CRASH_PAUSE[1])
            tell("restarted", child=child.name, status=status, after=child.pause)
            if stop.wait(child.pause):
                return
            child.start()


@contextmanager
def beside(child: Child, tell: Callable[..., None]) -> Iterator[None]:
    """Keep one child running beside this process, which ends with SIGTERM where the child is misconfigured."""
    stop = threading.Event()

    def keep() -> None:
        try:
            watch([child], stop, tell)
        except Misconfigured:
            os.kill(os.getpid(), signal.SIGTERM)

    child.start()
    watching = threading.Thread(target=keep, name=child.name, daemon=True)
    watching.start()
    try:
        yield
    finally:
        stop.set()
        watching.join()
        child.end(2)


def end_with_parent() -> None:
    """In a child: stop as for SIGTERM when standard input closes, which is when the parent is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
