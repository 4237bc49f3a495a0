"""The example apps of next-auth, built and started. `python -m tests.nextauth.apps` builds; `make test` does so once.

They are installed into .venv from a lock that holds hashes and no addresses, and built again when a file of theirs
changes.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.browser import NODE
from tests.nextauth.github import CLIENT_ID, CLIENT_SECRET

ROOT = Path(__file__).parent.parent.parent
BUILT = Path(sys.prefix) / "nextauth"  # in .venv
PACKAGE = "integrations/nextauth"
APPS = ("examples/nextjs", "examples/nextjs-v5")
HANDLERS = "tests/nextauth/handlers"
MADE = {"node_modules", "dist", ".next", "next-env.d.ts", "__pycache__"}
QUIET = {"NEXT_TELEMETRY_DISABLED": "1", "CI": "1", "NODE_ENV": "production"}


def files(folder: str, root: Path = ROOT) -> list[Path]:
    """The files of ours in a folder that something is made of."""
    paths = [path for path in (root / folder).rglob("*") if not MADE & set(path.relative_to(root).parts)]
    return sorted(path for path in paths if path.is_file() and path.suffix != ".md")


def node(*words: str | Path, cwd: Path) -> None:
    """Run Node to its end; its output is shown where it fails."""
    path = f"{NODE / 'bin'}:{os.environ['PATH']}"
    ended = subprocess.run(
        [NODE / "bin/node", *words], cwd=cwd, env=os.environ | {"PATH": path} | {"NEXT_TELEMETRY_DISABLED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout


def made_of(*paths: Path) -> str:
    """A hash of names and contents."""
    parts = [f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def install() -> Path:
    """Install and build what is not there or not of today's files; gives the folder."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the tests may be at it
        locks = [ROOT / "tests/nextauth" / name for name in ("package.json", "package-lock.json")]
        locks += [ROOT / folder / "package.json" for folder in (PACKAGE, *APPS)]
        package = files(PACKAGE)
        if _changed("installed", made_of(*locks)):
            _copy(PACKAGE, *APPS)
            for path in locks[:2]:
                shutil.copy(path, BUILT / path.name)
            npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
            node(npm, "ci", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts", cwd=BUILT)
            _done("installed", made_of(*locks))
        if _changed("package", made_of(*locks, *package)):
            _copy(PACKAGE)
            node("build.mjs", cwd=BUILT / PACKAGE)
            _done("package", made_of(*locks, *package))
        for app in APPS:
            if _changed(Path(app).name, made_of(*locks, *package, *files(app))):
                _copy(app)
                node(BUILT / "node_modules/next/dist/bin/next", "build", cwd=BUILT / app)
                _done(Path(app).name, made_of(*locks, *package, *files(app)))
        _copy(HANDLERS)
    return BUILT


def _copy(*folders: str) -> None:
    for folder in folders:
        for path in files(folder, BUILT):
            path.unlink()  # what is gone from the tree must go here too
        for path in files(folder):
            target = BUILT / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _changed(what: str, hashed: str) -> bool:
    stamp = BUILT / f".{what}"
    return not stamp.exists() or stamp.read_text() != hashed


def _done(what: str, hashed: str) -> None:
    (BUILT / f".{what}").write_text(hashed)


@contextmanager
def running(
    *words: str | Path, cwd: Path, ready: str, env: Mapping[str, str]
) -> Iterator[tuple[re.Match[str], list[str]]]:
    """A Node process that has said that it is ready: what it said, and all lines of it so far."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("YB_", "NEXTAUTH", "AUTH_"))
    }
    process = subprocess.Popen(
        [NODE / "bin/node", *words], cwd=cwd, env=environment | QUIET | dict(env), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    lines: list[str] = []

    def read() -> None:
        assert process.stdout
        with process.stdout:
            for line in process.stdout:
                lines.append(line)  # noqa: PERF402  as they come, not at the end

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(ready, "".join(lines))):
            assert process.poll() is None, "".join(lines)
            assert time.monotonic() < deadline, "".join(lines)
            time.sleep(0.02)
        yield found, lines
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)


@contextmanager
def next_app(app: str, port: int, github: str, **settings: str) -> Iterator[list[str]]:
    """One of the example apps on a port of 127.0.0.1, as `next start` runs it; its lines so far."""
    url = settings.pop("url", f"http://localhost:{port}")  # Next.js turns 127.0.0.1 into localhost in redirects
    env = {
        "GITHUB_ID": CLIENT_ID, "GITHUB_SECRET": CLIENT_SECRET, "GITHUB_SERVER": github,
        "NEXTAUTH_URL": url, "NEXTAUTH_SECRET": "a secret of the tests", "AUTH_TRUST_HOST": "1",
    }  # fmt: skip
    words = (BUILT / "node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", str(port))
    with running(*words, cwd=BUILT / app, ready=r"Ready in", env=env | settings) as (_, lines):
        yield lines


if __name__ == "__main__":
    install()
