"""One run: a marked system under load and faults is searched, everybody is erased, and it is searched again."""

import base64
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from valkey import Valkey

from tests.canary.marks import marked
from tests.canary.search import COMMANDS, PLACES, Searched, search
from tests.canary.stage import Stage, stage
from yellowbooks import privacy, wiring
from yellowbooks.joblog import JobLog, OperatorAct
from yellowbooks.settings import load

LAST = ("logs and spooled jobs", "traces and alerts", "Valkey, AOF and log", "data folder (SQLite, keys)")

ASKED = ("API, every GET", "commands")  # where a process answers


@dataclass
class Outcome:
    """What was found before and after everybody was erased, and whom `erase` could not do."""

    before: Searched
    after: Searched = field(default_factory=Searched)
    planted: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    jobs: int = 0
    erased: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


async def run(
    folder: Path,
    users: int,
    seed: int,
    *,
    commands: Sequence[int] = (len(COMMANDS),) * 2,
    workers: int = 2,
    **settings: str,
) -> Outcome:
    """Settings are those of the system; see `stage`. `commands` is how many of the commands are looked at before and
    after everybody was erased.

    At the end a mark is planted in every place: a search that finds nothing must be one that can find something.
    """
    dice = random.Random(seed)
    people = [marked(number, dice) for number in range(users)]
    async with stage(folder, people, workers, **settings) as system:
        await system.load()
        system.most_commands = commands[0]
        outcome = Outcome(search(system), jobs=len(system.job_ids), statuses=system.statuses)
        outcome.undone, outcome.erased = await erase_all(system)
        system.most_commands = commands[1]
        outcome.after = search(system)
        system.stop()
        search(system, outcome.after, LAST)  # what a process says last, and the spans that it still had
        outcome.planted, outcome.found = plant(system)
    return outcome


async def erase_all(system: Stage) -> tuple[list[str], int]:
    """Everybody by his id and his address; whom it could not do, and how much was taken."""
    settings = load(system.settings, system.folder / "none").settings
    undone, taken = [], 0
    async with wiring.holdings(settings, 60.0) as held:
        for one in system.people:
            person = wiring.find_person(one.user_id, one.email)
            erasure = await privacy.erase(held.parts, person, lambda of=person: held.trail.write(of, "canary", "erase"))
            taken += sum(part.taken for part in erasure.seen)
            if not erasure.done:
                undone.append(
                    f"{one.number}: {[(part.part.name, part.left, part.found.gaps) for part in erasure.seen]}"
                )
        await privacy.rewrite_files(held.ways, 60.0)
    return undone, taken


def plant(system: Stage) -> tuple[list[str], list[str]]:
    """Put a mark into each place: the places that were searched, and those in which it was found."""
    one = marked(0, random.Random(0))
    client = Valkey.from_url(system.valkey.url)
    client.set("planted", one.email)
    client.close()
    (system.out / "planted.log").write_text(json.dumps({"error": one.name}))
    (system.data / "planted").write_text(quote(one.name))
    with (system.folder / "collected").open("ab") as file:
        file.write(base64.b64encode(f"a span of {one.user_id}".encode()))
    system.answers.append(one.ip_address.encode())
    log = JobLog(wiring.database_url(load(system.settings, system.folder / "none").settings))
    log.act(OperatorAct(at=1, who="x", key="", act="planted", what="x", reason=f"asked by {one.user_agent}"))
    log.close()
    found = search(system, places=[place for place in PLACES if place not in ASKED])
    return [place for place in PLACES if found.pieces[place]], sorted(found.found)
