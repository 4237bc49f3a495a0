"""His rows in the job log, and the operators' acts that name him."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from yellowbooks.joblog import JobLog, LogUnavailable, OperatorAct
from yellowbooks.jobs import About, Kind, Queue, look_at_bodies, parts_of
from yellowbooks.privacy.person import Found, NotYet, Person, job_item
from yellowbooks.views import time as shown_time

AGAIN_SECONDS = 0.2
Keys = Callable[[Person], Collection[str]]
"""The keys of the search that lead to a person's jobs. Raises `LookupError` where there is no secret to make them."""


class LoggedJobs:
    """Rows of the log. `erase` first waits up to `patience` s until the log has every event that the queue holds: one
    that came after would bring the row back."""

    name = "job log"
    kept = ""

    def __init__(
        self, log: JobLog, queue: Queue, kinds: Sequence[Kind[Any]], keys: Keys, where: str, patience: float
    ) -> None:  # fmt: skip
        self._log = log
        self._kinds = kinds
        self._queue = queue
        self._keys = keys
        self.where = where
        self._patience = patience

    async def find(self, person: Person) -> Found:
        """Each job with its history. Raises `ConnectionError`."""
        keys = await self._keys_of(person)
        sent = await self.ask(self._sent, person)
        ids, rows = await self.ask(self._log.about, keys, {*person.job_ids, *sent.jobs})
        person.job_ids.update(ids)
        found = Found(gaps=[f"what came with job {one}: {why}" for one, why in sorted(sent.unread.items())])
        for job_id in sorted({*ids, *sent.jobs}):
            job, payload = await self.ask(self._log.find, job_id), sent.jobs.get(job_id)
            item = job_item(job) if job else {"jobId": job_id}
            found.items.append(item | ({"payload": msgspec.to_builtins(payload)} if payload else {}))
        if rows and not ids:
            found.items.append({"searchKeys": rows})
        return found

    async def erase(self, person: Person) -> int:
        """The rows and what they are found by. Raises `NotYet` and `ConnectionError`."""
        await self._caught_up()
        keys = await self._keys_of(person)
        sent = await self.ask(self._sent, person)
        ids, _ = await self.ask(self._log.about, keys, {*person.job_ids, *sent.jobs})
        person.job_ids.update(ids)
        count = await self.ask(self._log.erase, keys, sorted({*ids, *sent.jobs}))
        if count:
            await self.ask(self._log.compact)
        return int(count)

    async def ask(self, method: Callable[..., Any], *given: Any) -> Any:
        """What the log answers, asked in a thread. Raises `ConnectionError`."""
        try:
            return await asyncio.to_thread(method, *given)
        except LogUnavailable as error:
            raise ConnectionError(str(error)) from error

    def _sent(self, person: Person) -> About:
        """What callers sent about him, of jobs that the queue may have lost."""
        found = About()
        for bodies in self._log.every_body():
            look_at_bodies(bodies, self._kinds, person.wanted, found)
        return found

    async def _keys_of(self, person: Person) -> Collection[str]:
        try:
            return self._keys(person)
        except LookupError:
            if await self.ask(self._log.searched):
                raise
            return ()  # no job has a key yet, so there is none to be found

    async def _caught_up(self) -> None:
        until = time.monotonic() + self._patience
        for part in parts_of(self._queue):
            key, client = f"{part.tag}:events", part.link.client
            newest = await part.link.reach(lambda: client.xrevrange(key, count=1))  # noqa: B023  awaited here
            while newest:
                first = await part.link.reach(lambda: client.xrange(key, count=1))  # noqa: B023  awaited here
                if not first or _place(first[0][0]) > _place(newest[0][0]):
                    break
                if time.monotonic() > until:
                    raise NotYet(
                        "the recorder has not written the newest events, and would bring the rows back; see whether it "
                        "runs and reaches the database (its log: log_away), then run it again"
                    )
                await asyncio.sleep(AGAIN_SECONDS)


class Trail:
    """The acts of operators on his jobs, and those in whose text his id or address stands. The database lets nobody
    change them."""

    name = "audit trail"
    kept = "acts of operators on his jobs stay: they name the job and not him, and the trail only grows"

    def __init__(self, rows: LoggedJobs, log: JobLog, secret: Callable[[], bytes], where: str) -> None:
        self._rows = rows
        self._log = log
        self._secret = secret
        self.where = where

    async def find(self, person: Person) -> Found:
        """The acts, oldest first. Raises `ConnectionError`."""
        found: list[OperatorAct] = []
        for job_id in sorted(person.job_ids):
            found += await self._rows.ask(lambda one=job_id: self._log.acts(1000, what=one))
        acts = [
            {"at": shown_time(act.at), "who": act.who, "act": act.act, "job": act.what, "reason": act.reason}
            for act in sorted(found, key=lambda act: act.id)
        ]
        return Found(acts, await self._named(person))

    async def erase(self, _person: Person) -> int:
        """Nothing can be taken from it."""
        return 0

    async def write(self, person: Person, who: str, act: str, after: Any = None) -> None:
        """An act that says that somebody was erased, and not who he is. Raises `ConnectionError`."""
        one = OperatorAct(
            at=round(time.time() * 1000), who=who, key="", act=act, what=self.ref(person), after=after,
        )  # fmt: skip
        await self._rows.ask(self._log.act, one)

    def ref(self, person: Person) -> str:
        """A keyed hash that stands for him: whoever has his id and the key can tell that it was he."""
        try:
            secret = self._secret()[:64]
        except LookupError:  # nobody is to guess who it was
            secret = secrets.token_bytes(32)
        text = f"{person.user or ''}\0{person.address or ''}".encode()
        return "person-" + hashlib.blake2b(text, key=secret, digest_size=12, person=b"yb-erase").hexdigest()

    async def _named(self, person: Person) -> list[str]:
        places = await self._rows.ask(self._log.named, list(person.wanted.values()))
        if not places:
            return []
        shown = ", ".join(map(str, places[:10]))
        return [
            f"his id or address stands in the text of acts {shown}, where an operator wrote it; the database lets "
            "nobody change them: an owner of the database may, with the trigger of operator_act off"
        ]


def _place(position: bytes) -> tuple[int, int]:
    at, _, seq = position.partition(b"-")
    return int(at), int(seq)
