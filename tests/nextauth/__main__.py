"""What a notification adds to a sign-in: `python -m tests.nextauth [--size 200] [--write]`.

A table on the screen, or in docs/integrations/nextauth.md too.

Three copies of an example run side by side, one that tells Yellow Books and two that tell nobody. Sign-ins go to one
after another in turn, so that all meet the same noise of the machine; what is timed is the request in which next-auth
runs its hooks, as the client sees it. The two that tell nobody differ by nothing, so the difference of their quantiles
is what such a difference is worth. The hooks alone are timed within next-auth itself, in a process
without `after()`. Each state of the API has sign-ins of its own, all by different users.
"""

import argparse
import json
import re
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller

from tests.nextauth.apps import APPS, ROOT, install, next_app
from tests.nextauth.flow import Visitor
from tests.nextauth.github import GitHub
from tests.nextauth.servers import Failing, hanging, serving
from tests.nextauth.test_hooks import handlers
from tests.test_up import Sink, System, free_port

PAGE = ROOT / "docs/integrations/nextauth.md"
FIGURES = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.S)
WARM_UP = 10
"""Sign-ins before those that count: the first requests load code."""
KEY = "a-key-of-the-measurement"
STATES = ("running", "stopped", "hanging", "answering 500")


@contextmanager
def yellow_books(folder: Path, sink: Sink) -> Iterator[int]:
    """The real system, whose mails go to a real SMTP server; gives the port."""
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    port = free_port()
    settings = {"YB_DATA_DIR": str(folder / "data"), "YB_PORT": str(port), "YB_API_KEYS": KEY}
    up = System("up", YB_SMTP_URL=f"smtp://127.0.0.1:{controller.port}", **settings)
    up.read_until("Ctrl-C stops")
    yield port
    up.stop(signal.SIGTERM)
    controller.stop()


@contextmanager
def api(state: str, folder: Path, sink: Sink) -> Iterator[int]:
    """An API in one of the states; gives its port."""
    if state == "running":
        with yellow_books(folder, sink) as port:
            yield port
    elif state == "hanging":
        with hanging() as port:
            yield port
    elif state == "answering 500":
        with serving(Failing) as port:
            yield port
    else:
        yield free_port()


def sign_in(port: int, github: GitHub) -> float:
    """One whole sign-in, whose outcome must be right; gives the ms of the request with the hooks."""
    visitor = Visitor(port)
    reply = visitor.sign_in(github)
    assert reply.status == 302, reply
    assert "error" not in reply.location, reply.location
    assert visitor.email() == f"bat{github.users}@example.com"
    return reply.seconds * 1000


def quantile(values: list[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed."""
    return sorted(values)[max(0, -(-len(values) * round(share * 1000) // 1000) - 1)]


def compare(app: str, size: int, port: int, github: GitHub) -> list[list[float]]:
    """Sign-ins at an app that tells nobody, at one that tells the API and at a twin of the first, in turn; ms each."""
    apps = silent, telling, twin = free_port(), free_port(), free_port()
    told = {"YB_URL": f"http://127.0.0.1:{port}", "YB_API_KEY": KEY}
    with (
        next_app(app, silent, github.url),
        next_app(app, telling, github.url, **told),
        next_app(app, twin, github.url),
    ):
        turns = [[sign_in(one, github) for one in apps] for _ in range(WARM_UP + size)]
    return [list(column) for column in zip(*turns[WARM_UP:], strict=True)]


def alone(version: str, form: str, size: int, port: int, github: GitHub) -> list[float]:
    """How long the hook took by itself, in ms."""
    with handlers(version, form, False, github, port, KEY) as (visitor, _):
        for _ in range(size + WARM_UP):
            sign_in(visitor.port, github)
        took: list[float] = json.loads(visitor.ask("GET", "/took").body)
    return took[WARM_UP:]


def row(app: str, version: str, state: str, size: int, github: GitHub) -> str:
    """One line of the table."""
    sink = Sink()
    with tempfile.TemporaryDirectory(prefix="yb") as folder, api(state, Path(folder), sink) as port:
        hook = [ms for form in ("event", "callback") for ms in alone(version, form, size // 2, port, github)]
        columns = compare(app, size, port, github)
        told = 2 * (size // 2 + WARM_UP) + size + WARM_UP
        deadline = time.monotonic() + 60
        while state == "running" and len(sink.mails) < told:
            assert time.monotonic() < deadline, f"{len(sink.mails)} mails of {told} sign-ins"
            time.sleep(0.05)
    without, with_it, twin = [(statistics.median(values), quantile(values, 0.99)) for values in columns]
    added, noise = ([b - a for a, b in zip(without, other, strict=True)] for other in (with_it, twin))
    cells = [" / ".join(f"{ms:.1f}" for ms in cell) for cell in (without, with_it, added, noise)]
    return f"| {app} | {state} | {quantile(hook, 0.99):.2f} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=200, help="sign-ins of each kind (200)")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    asked = parser.parse_args()
    install()
    github = GitHub()
    lines = [
        "| app | the API is | hooks alone, p99 | without it, p50 / p99 | with it, p50 / p99 | added, p50 / p99 "
        "| of two without it, p50 / p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for app, version in zip(APPS, ("v4", "core"), strict=True):
        for state in STATES:
            lines.append(row(app, version, state, asked.size, github))
            print(lines[-1], flush=True)
    github.close()
    if asked.write:
        table = "\n".join(lines)
        text = PAGE.read_text("utf-8")
        PAGE.write_text(FIGURES.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text), "utf-8")


if __name__ == "__main__":
    main()
