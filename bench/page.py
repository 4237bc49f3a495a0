"""Writes what was measured: docs/benchmarks.md and its picture."""

import json
from datetime import UTC, datetime
from pathlib import Path

from bench.rig import ROOT, Found, Peer, machine

DOCS = ROOT / "docs"
CONFIGURATION = {"ours.py": "admit_many of 100, one worker process, concurrency 600, limits and events on"}


def write(found: Found, peers: tuple[Peer, ...], ours: Peer, bullmq: Peer, python: tuple[Peer, ...]) -> None:
    """The page, the picture, and the raw figures."""
    (DOCS / "benchmarks.json").write_text(json.dumps(found, indent=1, sort_keys=True, default=str) + "\n")
    us, bull = found[ours.name], found[bullmq.name]
    best = max(python, key=lambda peer: found[peer.name]["drain"])
    best_bulk = max(python, key=lambda peer: found[peer.name]["bulk"])
    parts = [
        _head(), _original(us), _targets(us, bull, found, best, best_bulk), _table(found, peers, us), _latency(us, bull),
        _growth(found), _commands(peers),
    ]  # fmt: skip
    (DOCS / "benchmarks.md").write_text("\n".join(parts))
    (DOCS / "benchmarks.svg").write_text(_picture(found, peers))


def _head() -> str:
    return f"""# Benchmarks

`make bench` builds the peers in a folder of its own, runs the same work on the same Valkey in one run, three rounds
each, and writes this page: medians. Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}. The payload is one sign-in
of a user of its own, its browser's header included. Valkey 9.1 over TCP on 127.0.0.1, AOF `everysec`, unless it says
otherwise. What counts are the ratios: another machine has other numbers.
"""


def _original(us: dict[str, float]) -> str:
    return f"""## What the original published, and this

| | the original | here |
|---|---|---|
| jobs a second, one worker process | about 100 | {us["drain"]:,.0f} (empty handler) |
| enqueue to done, p50 | 100 ms | {us["done p50"]:.0f} ms |
| p95 | 500 ms | {us["done p95"]:.0f} ms |
| p99 | 1 s | {us["done p99"]:.0f} ms |
| base memory | 50 MB | {us["rss"]:.0f} MB (an idle worker) |
| 1,000 jobs | 1 MB | {us["bytes"] / 1000:.2f} MB |

Enqueue to done: 100 sign-ins a second, rendered and put into the inbox by the real handler, from admission to the end
of the attempt, by the queue's clock (whole ms).
"""


def _targets(us: dict[str, float], bull: dict[str, float], found: Found, best: Peer, best_bulk: Peer) -> str:
    python, python_bulk = found[best.name], found[best_bulk.name]
    small, large = found["growth"][1000], found["growth"][1_000_000]
    rows = [
        ("drain, against BullMQ on Node", f"{us['drain'] / bull['drain']:.1f}x", "4x"),
        (f"drain, against the best in Python ({best.name})", f"{us['drain'] / python['drain']:.1f}x", "20x"),
        ("bulk enqueue, against BullMQ on Node", f"{us['bulk'] / bull['bulk']:.1f}x", "3x"),
        (
            f"bulk enqueue, against the best in Python ({best_bulk.name})",
            f"{us['bulk'] / python_bulk['bulk']:.1f}x",
            "",
        ),
        ("enqueue to handler, idle, p50, against BullMQ", f"{us['idle p50'] / bull['idle p50']:.2f}x", "at most 1x"),
        ("idle, p99", f"{us['idle p99'] / bull['idle p99']:.2f}x", "at most 1x"),
        ("at 1,000 jobs/s, p50", f"{us['loaded p50'] / bull['loaded p50']:.2f}x", "at most 1x"),
        ("at 1,000 jobs/s, p99", f"{us['loaded p99'] / bull['loaded p99']:.2f}x", "at most 1x"),
        ("bytes of Valkey a waiting job", f"{us['bytes']:.0f}", "at most 600"),
        ("idle worker", f"{us['rss']:.0f} MB", "at most 50 MB"),
        (
            "a job among 1,000,000 against one among 1,000 (server, with the allocator of its packages)",
            f"{large['packaged server'] / small['packaged server']:.2f}x",
            "at most 1.1x",
        ),
        ("the same with the C library's allocator", f"{large['server'] / small['server']:.2f}x", ""),
        (
            "jobs of one user, of 100,000 that wait, that start before another's first",
            f"{us['fair before']:.0f}; {us['fair ms']:.0f} ms",
            "",
        ),
        ("two worker processes against one", f"{us['2 workers'] / us['1 workers']:.2f}x", "at least 1x"),
    ]
    lines = "\n".join(f"| {what} | {value} | {wanted} |" for what, value, wanted in rows)
    return f"## The ratios\n\n| | measured | wanted |\n|---|---|---|\n{lines}\n"


def _table(found: Found, peers: tuple[Peer, ...], us: dict[str, float]) -> str:
    rows = []
    for peer in peers:
        it = found[peer.name]
        rows.append(
            f"| {peer.name} | {it['drain']:,.0f} | {us['drain'] / it['drain']:.1f}x | {it['bulk']:,.0f} | "
            f"{us['bulk'] / it['bulk']:.1f}x | {it['bytes']:,.0f} | {it.get('rss', 0):.0f} |"
        )
    rows.insert(
        1,
        f"| the same at AOF `always` | {us['drain always']:,.0f} | | {us['bulk always']:,.0f} | | {us['bytes']:,.0f} | |",
    )
    lines = "\n".join(rows)
    return f"""## All of them

| | drain, jobs/s | ours is | bulk enqueue, jobs/s | ours is | bytes a waiting job | idle worker, MB |
|---|---|---|---|---|---|---|
{lines}

![Jobs a second](benchmarks.svg)

Drain: a backlog, an empty handler, one worker process, from the start of the first handler to the end of the last.
The peers keep no limit, no fence and no history for this; ours does.
"""


def _latency(us: dict[str, float], bull: dict[str, float]) -> str:
    rows = "\n".join(
        f"| {label} | {us[f'{key} p50']:.2f} ms | {us[f'{key} p99']:.2f} ms | {bull[f'{key} p50']:.2f} ms | {bull[f'{key} p99']:.2f} ms |"
        for label, key in (("idle (50 a second)", "idle"), ("1,000 jobs a second", "loaded"))
    )
    return f"""## Enqueue to the start of the handler

| | ours p50 | p99 | BullMQ p50 | p99 |
|---|---|---|---|---|
{rows}
"""


def _growth(found: Found) -> str:
    rows = "\n".join(
        f"| {backlog:,} | {cost['packaged server']:.1f} us | {cost['packaged wall']:.1f} us "
        f"| {cost['server']:.1f} us | {cost['wall']:.1f} us |"
        for backlog, cost in found["growth"].items()
    )
    return f"""## What a job costs while others wait

Admitted, claimed and settled in hundreds, one after the other; the server's processor time, and the time on the wall.
Packages of Valkey and Redis are built with jemalloc. The server in the wheel, which `yellowbooks up` and the other tables
here use, is not: it takes jemalloc where the machine has it (`apt-get install libjemalloc2`), else the C library's
allocator, in which a new piece of memory costs more the more there are.

| others that wait | server, jemalloc | wall | server, C library | wall |
|---|---|---|---|---|
{rows}
"""


def _commands(peers: tuple[Peer, ...]) -> str:
    def configuration(peer: Peer) -> str:
        text = (ROOT / "bench/peers" / peer.file).read_text()
        first = text.splitlines()[0].strip('"/ ')
        return CONFIGURATION.get(peer.file, first)

    rows = "\n".join(f"| {peer.name} | `bench/peers/{peer.file}` | {configuration(peer)} |" for peer in peers)
    return f"""## How each is run

Each file has two acts, `enqueue URL COUNT` and `work URL COUNT`, and prints what it took. Whoever knows a faster
documented way: the files are short, and `bench/peers/requirements.txt` and `package.json` name the versions.

| | file | configuration |
|---|---|---|
{rows}
"""


def _picture(found: Found, peers: tuple[Peer, ...]) -> str:
    most = max(found[peer.name]["drain"] for peer in peers)
    rows = []
    for n, peer in enumerate(peers):
        rate, y = found[peer.name]["drain"], 30 + n * 26
        width = max(1, rate / most * 420)
        rows.append(
            f'<text x="150" y="{y + 13}" text-anchor="end">{peer.name}</text>'
            f'<rect x="160" y="{y}" width="{width:.0f}" height="17" fill="{"#b8860b" if n == 0 else "#8899aa"}"/>'
            f'<text x="{166 + width:.0f}" y="{y + 13}">{rate:,.0f}</text>'
        )
    height = 40 + len(peers) * 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {height}" font-family="sans-serif" font-size="13">'
        f'<rect width="680" height="{height}" fill="#fff"/><text x="160" y="18">drained jobs a second, one worker process'
        f"</text>{''.join(rows)}</svg>\n"
    )


def before() -> Found:
    """The raw figures of the last page."""
    found: Found = json.loads(Path(DOCS / "benchmarks.json").read_text())
    found["growth"] = {int(backlog): cost for backlog, cost in found["growth"].items()}
    return found
