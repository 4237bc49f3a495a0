"""Attacks an API of its own and counts: `python -m tests.edge [--size small|full] [--only ATTACK]`.

All of it on 127.0.0.1. The good client posts 50 sign-ins a second and repeats where it hears 503; times are from the
moment in which a request was due. The API's answers to the attack itself are in the last column.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

from tests.edge.attacks import ATTACKS
from tests.edge.stage import Row, Stage, percentile, stage


@dataclass(frozen=True)
class Size:
    """How much: sockets that wait, sockets that flood, requests at once, and for how long (s)."""

    waiting: int
    flooding: int
    at_once: int
    seconds: float


SIZES = {"small": Size(200, 20, 500, 4.0), "full": Size(2000, 100, 10_000, 20.0)}
QUICK = {"YB_RECEIVE": "2s", "YB_IDLE": "2s"}  # so that a small one sees the ends of waits too
WAITING = ("slow heads", "slow bodies", "silent", "idle", "half open", "unread")
COLUMNS = (
    "attack", "sockets", "s", "tried", "good requests", "failed", "p50 ms", "p99 ms", "probes failed", "probe p99 ms",
    "peak MB", "5xx but 503", "answers",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """A row of the table."""
    times, probes = row.good.times, row.probes
    answers: dict[str, int] = {}
    for one in row.told:
        for status, count in one.statuses.items():
            answers[status] = answers.get(status, 0) + count
    sockets = row.sockets * (len(ATTACKS) if row.attack == "all" else 1)
    said = ", ".join(f"{status} {count}" for status, count in sorted(answers.items()))
    return [
        row.attack, str(sockets), f"{row.seconds:g}", str(sum(one.tried for one in row.told)), str(row.good.tried),
        str(row.failed()), f"{percentile(times, 0.5):.0f}", f"{percentile(times, 0.99):.0f}",
        str(sum(one == float("inf") for one in probes)), f"{percentile(probes, 0.99):.0f}", f"{row.memory:.0f}",
        str(sum(row.wrong().values())), said or "–",
    ]  # fmt: skip


def broken(it: Stage, lost: int, twice: int) -> list[str]:
    """Which promises were broken."""
    found = [f"{row.attack}: {row.failed()} good requests failed" for row in it.rows if row.failed()]
    found += [f"{row.attack}: answered {row.wrong()}" for row in it.rows if row.wrong()]
    found += [f"{row.attack}: a probe failed: {one}" for row in it.rows for one in row.unanswered]
    found += [f"{lost} jobs that were answered 202 sent no mail"] if lost else []
    found += [f"{twice} mails came twice"] if twice else []
    found += ["the API told of a failure: " + line for line in it.log().splitlines() if '"failed"' in line][:3]
    found += ["the API ended"] if it.roles["api"].poll() is not None else []
    return found


async def show(it: Stage, plan: list[tuple[str, int]], size: Size, name: str = "") -> None:
    """Run some attacks, and print their row."""
    row = await it.attack(plan, size.seconds)
    row.attack = name or row.attack
    print("| " + " | ".join(cells(row)) + " |", flush=True)


async def campaign(size: Size, only: str = "") -> int:
    """Each attack after the other, all at once, and more than there is room for; prints the table as it grows."""
    waits = QUICK if size.seconds < 10 else {}
    async with stage(50, **waits) as it:
        print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        plans: list[list[tuple[str, int]]] = [[], [("at once", size.at_once // 2)] * 2]
        plans += [[(name, size.waiting if name in WAITING else size.flooding)] for name in ATTACKS]
        plans.append([("all", size.waiting // 20)])
        for plan in plans:
            if not only or not plan or only in (name for name, _ in plan):
                await show(it, plan, size)
        if not only or only == "crowd":
            await it.start_again(YB_MOST_CONNECTIONS=str(size.waiting // 2), **waits)
            await show(it, [("slow heads", size.waiting)], size, "slow heads, room for half of them")
        lost, twice = await it.mails()
        print(f"\n{len(it.taken)} sign-ins were answered 202; {lost} without a mail, {twice} with two")
        wrong = broken(it, lost, twice)
        print("\n".join(wrong) or "nothing was broken")
        return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Attack an API of its own, and count.")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", default="", help="one attack, by its name")
    given = parser.parse_args()
    sys.exit(asyncio.run(campaign(SIZES[given.size], given.only)))
