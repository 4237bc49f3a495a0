"""`make bench`: the same work on the same Valkey, ours and the peers, and docs/benchmarks.md with the ratios."""

import contextlib
import sys
import time
from collections import defaultdict

from bench.page import before, write
from bench.rig import Found, Peer, build, median, packaged, rss, running, server

ROUNDS = 3
OURS = Peer("Yellow Books Jobs", "ours.py", 60_000, 60_000)
BULLMQ = Peer("BullMQ on Node", "peer_bullmq.mjs", 20_000, 20_000)
PYTHON = (
    Peer("Huey", "peer_huey.py", 4000, 4000),
    Peer("BullMQ for Python", "peer_bullmq.py", 4000, 10_000),
    Peer("SAQ", "peer_saq.py", 4000, 4000),
    Peer("Taskiq", "peer_taskiq.py", 4000, 4000),
    Peer("Dramatiq", "peer_dramatiq.py", 3000, 3000),
    Peer("Celery", "peer_celery.py", 2000, 2000),
    Peer("streaQ", "peer_streaq.py", 3000, 6000),
    Peer("RQ", "peer_rq.py", 600, 3000),
)
ALL = (OURS, BULLMQ, *PYTHON)


def speed(found: Found) -> None:
    """Bulk enqueue, drain, and the memory of what waits; every round goes once through all systems.

    Each measurement has a server of its own: one that rewrites its AOF meanwhile would be slower for whoever is next.
    """
    rounds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(ROUNDS):
        for peer in ALL:
            with server("everysec") as (url, client):
                before = client.info("memory")["used_memory"]
                seconds = peer.run("enqueue", url, peer.bulk)["seconds"]
                rounds[peer.name, "bulk"].append(peer.bulk / seconds)
                rounds[peer.name, "bytes"].append((client.info("memory")["used_memory"] - before) / peer.bulk)
                if peer.bulk != peer.count:
                    client.flushall()
                    peer.run("enqueue", url, peer.count)
                rounds[peer.name, "drain"].append(peer.count / peer.run("work", url, peer.count)["seconds"])
                say(
                    f"round {number + 1}",
                    peer.name,
                    {k[1]: round(v[-1]) for k, v in rounds.items() if k[0] == peer.name},
                )
    for (name, what), values in rounds.items():
        found[name][what] = median(values)


def durable(found: Found) -> None:
    """Ours again where every write is on the disk before its answer."""
    rounds: dict[str, list[float]] = defaultdict(list)
    with server("always") as (url, client):
        for _ in range(ROUNDS):
            client.flushall()
            rounds["bulk always"].append(OURS.bulk / OURS.run("enqueue", url, OURS.bulk)["seconds"])
            rounds["drain always"].append(OURS.count / OURS.run("work", url, OURS.count)["seconds"])
    for what, values in rounds.items():
        found[OURS.name][what] = median(values)
    say("always", found[OURS.name])


def latencies(found: Found) -> None:
    """Enqueue to the start of the handler, idle (20 a second) and at 1,000 jobs a second; and to the end, really sent."""
    rounds: dict[tuple[str, str], list[float]] = defaultdict(list)
    with server("everysec") as (url, client):
        for _ in range(ROUNDS):
            for peer in (OURS, BULLMQ):
                for label, count, rate in (("idle", 200, 50), ("loaded", 5000, 1000)):
                    client.flushall()
                    for what, value in peer.run("latency", url, count, rate).items():
                        rounds[peer.name, f"{label} {what}"].append(value)
            client.flushall()
            for what, value in OURS.run("done", url, 500, 100).items():
                rounds[OURS.name, f"done {what}"].append(value)
    for (name, what), values in rounds.items():
        found[name][what] = median(values)
    say("latencies", {name: found[name] for name in (OURS.name, BULLMQ.name)})


def idle_memory(found: Found) -> None:
    """Resident memory of a worker that has nothing to do; of ours, the real one."""
    with server("everysec") as (url, _):
        for peer in ALL:
            ours = [sys.executable, "-m", "yellowbooks", "worker"]
            with running(ours if peer is OURS else peer.command("work", url, 10**9), YB_VALKEY_URL=url) as process:
                time.sleep(4)
                with contextlib.suppress(OSError, StopIteration):
                    found[peer.name]["rss"] = rss(process.pid)
    say("rss", {peer.name: round(found[peer.name].get("rss", 0), 1) for peer in ALL})


def growth(found: Found) -> None:
    """What one of our jobs costs while so many others wait: by the C library's allocator, and by that of packages."""
    costs: dict[tuple[int, str], list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for backlog in (1000, 10_000, 100_000, 1_000_000):
            for prefix, environment in (("", None), ("packaged ", packaged())):
                with server("everysec", environment=environment) as (url, _):
                    for what, value in OURS.run("growth", url, backlog).items():
                        costs[backlog, prefix + what].append(value)
    for (backlog, what), values in costs.items():
        found["growth"].setdefault(backlog, {})[what] = median(values)
    say("growth", found["growth"])


def fairness(found: Found) -> None:
    """100,000 jobs of one user wait when the first of another comes."""
    rounds: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        with server("everysec") as (url, _):
            for what, value in OURS.run("fair", url, 100_000).items():
                rounds[what].append(value)
    for what, values in rounds.items():
        found[OURS.name][f"fair {what}"] = median(values)
    say("fairness", found[OURS.name]["fair before"], found[OURS.name]["fair ms"])


def two_workers(found: Found) -> None:
    """One worker process and two, on the same backlog."""
    rates: dict[int, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for count in (1, 2):
            with server("everysec") as (url, client), contextlib.ExitStack() as stack:
                OURS.run("enqueue", url, OURS.count)
                for _ in range(count):
                    stack.enter_context(running(OURS.command("work", url, 10**9)))
                began, done = 0.0, 0
                while done < OURS.count:
                    done = client.llen("{yb:jobs:0}:ended")
                    began = began or (time.perf_counter() if done else 0.0)
                    time.sleep(0.01)
                rates[count].append(OURS.count / (time.perf_counter() - began))
    for count, values in rates.items():
        found[OURS.name][f"{count} workers"] = median(values)
    say("workers", found[OURS.name]["1 workers"], found[OURS.name]["2 workers"])


def say(*words: object) -> None:
    """Progress, for whoever waits."""
    print(*words, flush=True)


def main() -> None:
    """Everything, or the parts that are named into what was found before; then the page."""
    build()
    parts = (speed, durable, latencies, idle_memory, two_workers, fairness, growth)
    names = sys.argv[1:]
    found = before() if names else defaultdict(dict)
    for measure in parts:
        if not names or measure.__name__ in names:
            measure(found)
    write(found, ALL, OURS, BULLMQ, PYTHON)


if __name__ == "__main__":
    main()
