"""Writes what was measured of mails: docs/benchmarks-mail.md."""

import json
from datetime import UTC, datetime
from pathlib import Path

from bench.rig import Found, machine


def write(found: Found, ours: str, pool: str, single: str, path: Path) -> None:
    """The page, and the raw figures beside it."""
    path.with_suffix(".json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    us, theirs, floor = found[ours], found[pool], found[single]
    rows = "\n".join(
        f"| {name} | {it['mails']:,.0f} | {us['mails'] / it['mails']:.1f}x | {it['cpu']:,.0f} us |"
        for name, it in ((ours, us), (pool, theirs), (single, floor))
    )
    far, post = found["far"], found["post"]
    targets = "\n".join(
        f"| {what} | {value} | {wanted} |"
        for what, value, wanted in (
            ("against BullMQ + nodemailer's pool", f"{us['mails'] / theirs['mails']:.1f}x", "at least 8x"),
            ("20 ms away, pipelined against not", f"{far['pipelined'] / far['plain']:.2f}x", "at least 1.8x"),
            ("POST to accepted at 100/s, p50", f"{post['p50']:.1f} ms", "at most 5 ms"),
            ("POST to accepted at 100/s, p99", f"{post['p99']:.1f} ms", "at most 25 ms"),
            ("CPU of a transaction, rendering left out", f"{found['transaction']['cpu']:.0f} us", "at most 60 us"),
        )
    )
    path.write_text(f"""# Benchmarks of mails

`.venv/bin/python -m bench.mails` (a part of `make bench`) sends from the same queue server to the same sink in one run,
and writes this page: medians. Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}. The sink (`bench/sink.py`) speaks
PIPELINING, throws mails away and says when the first and the last were accepted: the rates are between these. Valkey over
TCP on 127.0.0.1, AOF `everysec`, with the allocator that packages of Valkey are built with (jemalloc), for all sides. The
letter is ours, its text and HTML the same on all sides.

| | measured | wanted |
|---|---|---|
{targets}

## A backlog of sign-in events to accepted mails

One worker process, 20 connections; each mail is written by the worker. The CPU is the worker's own, a mail.

| | mails/s | ours is | CPU a mail |
|---|---|---|---|
{rows}

{ours}: `bench/peers/ours_mails.py`, 200 jobs at once, with limits, leases, the commit before each text, and events.
{pool}: `bench/peers/peer_nodemailer.mjs`, concurrency 100, `pool: true, maxConnections: 20`, completed jobs removed.
{single}: the same file, concurrency 1, a new connection a mail.

## 20 ms from the server

The same worker and 20 connections through a proxy that delays each direction by 10 ms (`bench/slow.py`).

| the server | mails/s |
|---|---|
| offers PIPELINING | {far["pipelined"]:,.0f} |
| does not | {far["plain"]:,.0f} |

## POST to accepted

100 a second for some seconds; `yellowbooks api` and `yellowbooks worker` are processes of their own, and the sink says
when it accepted which mail.

| p50 | p95 | p99 |
|---|---|---|
| {post["p50"]:.1f} ms | {post["p95"]:.1f} ms | {post["p99"]:.1f} ms |

## A transaction alone

From ready bytes to the server's answer, 100 at once over 20 connections, no queue and no rendering: {found["transaction"]["cpu"]:.0f} us
of CPU a mail.
""")
