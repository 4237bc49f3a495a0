"""A shell for the blocks of one page: a folder of its own, our commands on the path, a system where one is started."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.docs.page import ROOT, Block, Command
from tests.test_up import environment, free_port, gone

SECONDS = 120.0  # what a command may take
START_SECONDS = 90.0
STARTS = re.compile(
    r"^(?:(?P<settings>(?:[A-Z_]+=\S+ +)*)(?:make run|yellowbooks up(?P<options>[^\n&|;#]*)) *(?:#[^\n]*)?)$"
)
NEEDS = re.compile(
    r":3333|\byellowbooks (jobs|dlq|check|doctor|audit|export|erase|mail (send-test|suppression)|keys (issue|list))"
)


@dataclass
class Result:
    """What a command said, and its exit status."""

    output: str
    status: int


class Shell:
    """Runs a page's blocks one after another; what one exports and makes, the next one finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = str(free_port())
        self.work = folder / "work"
        self.work.mkdir()
        for name in ("deploy", "examples", "Makefile", "scripts"):
            (self.work / name).symlink_to(ROOT / name)
        self._state = folder / "state"
        self._state.touch()
        self._up: subprocess.Popen[bytes] | None = None
        self._environment = environment(
            YB_DATA_DIR=str(folder / "data"), YB_PORT=self.port, YB_DEMO_PORT=str(free_port()),
            HOME=str(folder), COLUMNS="120", NO_COLOR="1",
            LANG="C.UTF-8", PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )  # fmt: skip

    def run(self, command: Command) -> Result:
        """Run a command; `yellowbooks up` and `make run` go on in the background, once they are up."""
        starts = STARTS.fullmatch(command.words.strip())
        if starts:
            return self._start(f"{starts['settings'] or ''}exec yellowbooks up{starts['options'] or ''}")
        if NEEDS.search(command.words) and self._up is None:
            self._start("exec yellowbooks up")
        return self._run(command.words)

    def python(self, block: Block) -> Result:
        """Run a block as a file of its own."""
        path = self.work / f"block_{block.line}.py"
        path.write_text(block.code.replace("127.0.0.1:3333", f"127.0.0.1:{self.port}"), "utf-8")
        if "127.0.0.1:3333" in block.code and self._up is None:
            self._start("exec yellowbooks up")
        return self._run(f"python {path.name}")

    def _script(self, words: str) -> list[str]:
        words = words.replace(":3333", f":{self.port}")
        # What a block exports and where it goes to is kept for the next one.
        script = f'. "{self._state}"; cd "{self.work}"; set -e\n{words}\nset +e; export -p > "{self._state}"'
        return ["bash", "-c", script]

    def _run(self, words: str) -> Result:
        done = subprocess.run(
            self._script(words), env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Result(done.stdout + done.stderr, done.returncode)

    def _start(self, words: str) -> Result:
        self.close()
        log = self.folder / "up.log"
        with log.open("wb") as file:
            self._up = subprocess.Popen(
                self._script(words), env=self._environment, stdout=file, stderr=file, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C stops" not in log.read_text("utf-8"):
            assert self._up.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.05)
        return Result(log.read_text("utf-8"), 0)

    def close(self) -> None:
        """End the system, as Ctrl-C does."""
        if self._up:
            os.kill(self._up.pid, signal.SIGINT)
            self._up.wait(30)
            assert gone(self._up.pid)
            self._up = None
