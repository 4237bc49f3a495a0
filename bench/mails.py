"""Sign-in events to accepted mails: ours, BullMQ with nodemailer's pool, and the original's way, on the same sink.

`python -m bench.mails` measures all and writes docs/benchmarks-mail.md; `--quick` does short rounds and writes nothing.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import smtplib
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.mails_page import write
from bench.rig import BUILT, PEERS, ROOT, Found, build, median, node, packaged, running, said, server

SINK, FAR, API = 7392, 7393, 7394
OURS, POOL, SINGLE = "Yellow Books Jobs", "BullMQ + nodemailer, pool of 20", "the original's way"


@dataclass(frozen=True)
class Size:
    """How much is sent in a round, and how many rounds there are."""

    rounds: int
    ours: int
    pool: int
    single: int
    far: int
    posts: int


FULL = Size(3, 20_000, 5000, 1000, 2000, 1000)
QUICK = Size(1, 4000, 1500, 300, 600, 200)


@contextmanager
def sink(*options: str) -> Iterator[str]:
    """The server that throws mails away; its URL."""
    with running([sys.executable, "-m", "bench.sink", str(SINK), *options]):
        _wait_for(SINK)
        yield f"smtp://127.0.0.1:{SINK}?starttls=never"


@contextmanager
def far(seconds: float) -> Iterator[str]:
    """The sink, so far away."""
    with running([sys.executable, "-m", "bench.slow", str(FAR), str(SINK), str(seconds / 2)]):
        _wait_for(FAR)
        yield f"smtp://127.0.0.1:{FAR}?starttls=never"


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), smtplib.SMTP("127.0.0.1", port, timeout=5):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listens on port {port}")


def ask(command: str) -> bytes:
    """What the sink says of what it took."""
    with smtplib.SMTP("127.0.0.1", SINK) as client:
        return client.docmd(command)[1]


def rate(count: int) -> float:
    """Mails a second, from the first that was accepted to the last."""
    found, first, last = map(int, ask("XCOUNT").split())
    assert found == count, f"{found} mails of {count} were accepted"
    return (count - 1) / (last - first) * 1e9


def act(*words: object, ours: bool) -> dict[str, Any]:
    """Run one act of a side to its end; what it printed."""
    start = (
        [sys.executable, str(PEERS / "ours_mails.py")] if ours else [str(node()), str(BUILT / "peer_nodemailer.mjs")]
    )
    return said([*start, *(str(word) for word in words)])


def letter() -> Path:
    """Our letter with holes for the user's fields: the peer sends the same text and HTML."""
    path = BUILT / "letter.json"
    path.write_text(json.dumps(act("letter", "", 1, ours=True)))
    return path


def drains(found: Found, size: Size) -> None:
    """A backlog of sign-in events to accepted mails, one worker process, 20 connections; every round all sides."""
    shutil.copy(PEERS / "peer_nodemailer.mjs", BUILT / "peer_nodemailer.mjs")
    rounds: dict[tuple[str, str], list[float]] = defaultdict(list)
    sides = ((OURS, "work", size.ours), (POOL, "pool", size.pool), (SINGLE, "single", size.single))
    with server("everysec", environment=packaged()) as (url, client), sink() as smtp:
        path = letter()
        for _ in range(size.rounds):
            for name, how, count in sides:
                client.flushall()
                ask("XRESET")
                act("enqueue", url, count, ours=name is OURS)
                cpu = act(how, url, count, smtp, path, ours=name is OURS)
                rounds[name, "mails"].append(rate(count))
                for what, value in cpu.items():
                    rounds[name, what].append(value)
                say(name, {what: round(values[-1]) for (who, what), values in rounds.items() if who == name})
    for (name, what), values in rounds.items():
        found[name][what] = median(values)


def round_trips(found: Found, size: Size) -> None:
    """The same worker at 20 ms from the server: pipelined, and where the server does not offer it."""
    rounds: dict[str, list[float]] = defaultdict(list)
    with server("everysec", environment=packaged()) as (url, client):
        for _ in range(size.rounds):
            for what, options, count in (("pipelined", (), size.far), ("plain", ("plain",), size.far)):
                with sink(*options), far(0.02) as smtp:
                    client.flushall()
                    act("enqueue", url, count, ours=True)
                    act("work", url, count, smtp, 20, ours=True)
                    rounds[what].append(rate(count))
            say("20 ms away", {what: round(values[-1]) for what, values in rounds.items()})
    for what, values in rounds.items():
        found["far"][what] = median(values)


def posts(found: Found, size: Size) -> None:
    """From before a POST to the accepted mail, 100 a second, api and worker being processes of their own."""
    rounds: dict[str, list[float]] = defaultdict(list)
    ours = [sys.executable, "-m", "yellowbooks"]
    with server("everysec", environment=packaged()) as (url, client), sink() as smtp:
        environment = {
            "YB_VALKEY_URL": url,
            "YB_SMTP_URL": smtp,
            "YB_PORT": str(API),
            "YB_DATA_DIR": str(BUILT / "data"),
        }
        for _ in range(size.rounds):
            client.flushall()
            with running([*ours, "api"], **environment), running([*ours, "worker"], **environment):
                waits = asyncio.run(_post(size.posts))
            for p in (50, 95, 99):
                rounds[f"p{p}"].append(waits[len(waits) * p // 100])
            say("POST to accepted", {what: round(values[-1], 2) for what, values in rounds.items()})
    for what, values in rounds.items():
        found["post"][what] = median(values)


async def _post(count: int) -> list[float]:
    """The waits in ms, sorted; the first mails, which open connections, are not counted.

    The client writes plain HTTP/1.1 over connections that it keeps: a library's own time would be in every wait.
    """
    warm, sent = 50, {}
    await _ready()
    free = [await asyncio.open_connection("127.0.0.1", API) for _ in range(20)]

    async def post(number: int) -> None:
        body = {"userId": f"u{number}", "email": f"bat{number}@example.mn", "provider": "google", "name": "Бат-Эрдэнэ"}
        text = json.dumps(body).encode()
        head = f"POST /api/jobs/signin-notification HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        reader, writer = free.pop()
        sent[f"bat{number}@example.mn"] = time.monotonic_ns()
        writer.write(head.encode() + text)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 202"), answer
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        free.append((reader, writer))

    ask("XRESET")
    began, tasks = time.perf_counter(), []
    for number in range(warm + count):
        await asyncio.sleep(max(0.0, began + number / 100 - time.perf_counter()))
        tasks.append(asyncio.create_task(post(number)))
    await asyncio.gather(*tasks)
    while int(ask("XCOUNT").split()[0]) < warm + count:
        await asyncio.sleep(0.05)
    for _, writer in free:
        writer.close()
    taken = {line.split()[1].decode(): int(line.split()[0]) for line in ask("XTIMES").splitlines()[:-1]}
    counted = [f"bat{number}@example.mn" for number in range(warm, warm + count)]
    return sorted((taken[address] - sent[address]) / 1e6 for address in counted)


async def _ready() -> None:
    for _ in range(300):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", API)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            line = await reader.readline()
            writer.close()
            if b" 200 " in line:
                break
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)  # the worker too


def transaction(found: Found, size: Size) -> None:
    """What a mail costs this side from ready bytes to the server's answer, the queue and rendering left out."""
    with sink() as smtp:
        values = [act("transaction", "", size.ours, smtp, ours=True)["cpu"] for _ in range(size.rounds)]
    found["transaction"]["cpu"] = median(values)
    say("CPU of a transaction, us", dict(found["transaction"]))


def say(*words: Any) -> None:
    """Progress, for whoever waits."""
    print(*words, flush=True)


def main() -> None:
    """Everything, then the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, and no page")
    parser.add_argument("--only", default="", help="measurements whose name has this in it")
    options = parser.parse_args()
    build()
    found: Found = defaultdict(dict)
    size = QUICK if options.quick else FULL
    for measure in (drains, round_trips, posts, transaction):
        if options.only in measure.__name__:
            measure(found, size)
    if not options.quick and not options.only:
        write(found, OURS, POOL, SINGLE, ROOT / "docs/benchmarks-mail.md")


if __name__ == "__main__":
    main()
