"""Everything that came out of a system and lies in it, searched for marks."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from sqlalchemy import create_engine, inspect, text
from valkey import Valkey

from tests.canary.marks import FORMS, hits, key
from tests.canary.stage import Stage
from tests.test_up import ROOT, environment
from yellowbooks.settings import load
from yellowbooks.wiring import database_url

CONTEXT = 60


@dataclass
class Searched:
    """What was searched: pieces and bytes by place, and where marks stood."""

    pieces: Counter[str] = field(default_factory=Counter)
    secret: str = ""
    octets: Counter[str] = field(default_factory=Counter)
    found: dict[str, Counter[str]] = field(default_factory=dict)
    example: dict[str, str] = field(default_factory=dict)

    def look(self, place: str, data: bytes, name: str = "") -> None:
        """Search one piece."""
        self.pieces[place] += 1
        self.octets[place] += len(data)
        if found := hits(data, self.secret):
            self.found.setdefault(place, Counter()).update(found)
            self.example.setdefault(place, f"{name}: {_around(data)}" if hits(data) else name)

    @property
    def total(self) -> int:
        """How many marks were found in all."""
        return sum(count.total() for count in self.found.values())

    def lines(self) -> Iterator[str]:
        """A line a place."""
        for place in self.pieces:
            marks = self.found.get(place)
            words = ", ".join(f"{form} {count}" for form, count in marks.items()) if marks else ""
            where = f" ({words}; first in {self.example[place]})" if marks else ""
            size = f"{self.pieces[place]:6} pieces {self.octets[place]:11} bytes"
            yield f"  {place:28} {size} {marks.total() if marks else 0:6} hits{where}"


def _around(data: bytes) -> str:
    """The first mark with what stands around it, as it may be shown: marks are nobody's data."""
    at = min(place for spellings in FORMS.values() for one in spellings if (place := data.find(one)) >= 0)
    return repr(data[max(0, at - CONTEXT) : at + CONTEXT])


def search(system: Stage, searched: Searched | None = None, places: Iterable[str] = ()) -> Searched:
    """All places, or some; for some the system must still run."""
    found = searched or Searched(secret=system.issued)
    for place in places or PLACES:
        for name, data in PLACES[place](system):
            found.look(place, data, name)
    return found


def _files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                path = Path(root, name)
                if path.is_file() and not path.is_symlink():
                    try:
                        yield str(path.relative_to(folder)), path.read_bytes()
                    except FileNotFoundError:  # written anew meanwhile
                        continue


def _out(system: Stage) -> Iterator[tuple[str, bytes]]:
    yield from _files(system.out)


def _collected(system: Stage) -> Iterator[tuple[str, bytes]]:
    yield "collected", (system.folder / "collected").read_bytes()


def _valkey_files(system: Stage) -> Iterator[tuple[str, bytes]]:
    yield from _files(system.folder / "valkey")


def _data(system: Stage) -> Iterator[tuple[str, bytes]]:
    yield from _files(system.data)


READ: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda client, name: client.get(name),
    b"hash": lambda client, name: client.hgetall(name),
    b"list": lambda client, name: client.lrange(name, 0, -1),
    b"zset": lambda client, name: client.zrange(name, 0, -1, withscores=True),
    b"stream": lambda client, name: client.xrange(name),
    b"set": lambda client, name: client.smembers(name),
}


def _values(system: Stage) -> Iterator[tuple[str, bytes]]:
    client = Valkey.from_url(system.valkey.url)
    for name in client.scan_iter("*", count=10_000):
        kind = client.type(name)
        if kind == b"none":  # its time was over a moment ago
            continue
        value = READ[kind](client, name)
        yield name.decode(), name + b" " + b"".join(_octets(value)) + (client.dump(name) or b"")
    client.close()


def _octets(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _octets(pair)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            yield from _octets(one)


def _sql(system: Stage) -> Iterator[tuple[str, bytes]]:
    url = database_url(load(system.settings, system.folder / "none").settings)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')):
                yield table, b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in row)
    engine.dispose()


def _database_files(system: Stage) -> Iterator[tuple[str, bytes]]:
    """PostgreSQL's own, after a checkpoint; SQLite's are in the data folder."""
    url = system.settings.get("YB_DATABASE_URL", "")
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        yield from _files(Path(folder))


def _answers(system: Stage) -> Iterator[tuple[str, bytes]]:
    for number, answer in enumerate(system.answers):
        yield f"answer {number}", answer


def _gets(system: Stage) -> Iterator[tuple[str, bytes]]:
    """Every GET of the schema, for nobody, for whoever may enqueue, and for an operator; of wrong ids, too."""
    with httpx.Client(base_url=system.url, timeout=30) as client:
        admin = {"Authorization": f"Bearer {key('admin')}"}
        schema = client.get("/schema/openapi.json", headers=admin)
        paths = [path for path, verbs in schema.json()["paths"].items() if "get" in verbs]
        dead = [job["jobId"] for job in client.get("/api/admin/dlq", headers=admin).json()["jobs"]]
        ids = [*system.job_ids[:5], *dead[:10], "no-such-job"]
        for headers in ({}, {"Authorization": f"Bearer {key('api')}"}, admin):
            for path in [*paths, "/dashboard", "/dashboard/jobs", "/inbox", "/metrics", "/healthz", "/readyz"]:
                if path.endswith(
                    ("/events", "/mail")
                ):  # one has no end, and one shows the mail, to operators, and says so
                    continue
                for filled in {_filled(path, job_id) for job_id in ids}:
                    reply = client.get(filled, headers=headers)
                    yield filled, reply.content + str(reply.headers).encode()


def _filled(path: str, job_id: str) -> str:
    head, brace, rest = path.partition("{")
    return head + job_id + rest.partition("}")[2] if brace else path


COMMANDS = (
    ("settings",), ("doctor", "--json"), ("jobs", "list"), ("jobs", "list", "--json"), ("dlq", "list"),
    ("dlq", "list", "--json"), ("dlq", "causes"), ("mail", "suppression", "list"), ("jobs", "show", "{dead}"),
    ("dlq", "show", "{dead}"), ("jobs", "explain", "{dead}"), ("jobs", "show", "no-such-job"),
)  # fmt: skip


def _commands(system: Stage) -> Iterator[tuple[str, bytes]]:
    dead = next(iter(system.job_ids), "none")
    processes = [
        (words, subprocess.Popen(
            [sys.executable, "-m", "yellowbooks", *(word.format(dead=dead) for word in words)], cwd=ROOT,
            env=environment(**system.settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ))
        for words in COMMANDS[: system.most_commands]
    ]  # fmt: skip
    for words, process in processes:
        output, _ = process.communicate(timeout=120)
        yield " ".join(words), output


PLACES: dict[str, Callable[[Stage], Iterator[tuple[str, bytes]]]] = {
    "logs and spooled jobs": _out,
    "traces and alerts": _collected,
    "Valkey, values and DUMP": _values,
    "Valkey, AOF and log": _valkey_files,
    "SQL, rows": _sql,
    "SQL, PostgreSQL's files": _database_files,
    "data folder (SQLite, keys)": _data,
    "API, answers to requests": _answers,
    "API, every GET": _gets,
    "commands": _commands,
}
