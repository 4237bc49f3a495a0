"""His jobs on this machine's disk, where an API keeps them while the queue is away."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from yellowbooks.intake import Kept
from yellowbooks.jobs import Failure, Kind, fits
from yellowbooks.privacy.person import Found, NotYet, Person
from yellowbooks.spool import lying, rewrite

AGAIN_SECONDS = 0.2


class SpooledJobs:
    """The files of one folder. `patience` (s) is how long `erase` waits for a living API to bring them to the queue."""

    name = "disk"
    kept = ""

    def __init__(self, folder: Path, kinds: Sequence[Kind[Any]], patience: float) -> None:
        self._folder = folder
        self._kinds = {kind.name: kind for kind in kinds}
        self.where = str(folder)
        self._patience = patience

    async def find(self, person: Person) -> Found:
        """Each job with its payload; one that the queue has already, too, as long as its bytes lie there."""
        return await asyncio.to_thread(self._find, person)

    async def erase(self, person: Person) -> int:
        """A living API brings its own files to the queue, where they are erased; files of the dead are written anew.

        Raises `NotYet` and `OSError`.
        """
        until, most = time.monotonic() + self._patience, 0
        while True:
            left = len((await self.find(person)).items)
            most = max(most, left)
            if not left:
                return most
            await asyncio.to_thread(rewrite, self._folder, lambda record: not self._is_his(record, person))
            if not (await self.find(person)).items:
                return most
            if time.monotonic() > until:
                raise NotYet(
                    f"{left} of his jobs lie in {self._folder}, and the API that wrote them holds the files; see "
                    "why it does not bring them to the queue (its log: spool_unread), or stop it, and run it again"
                )
            await asyncio.sleep(AGAIN_SECONDS)

    def _find(self, person: Person) -> Found:
        found = Found()
        for path, record in lying(self._folder):
            if record is None:
                found.gaps.append(f"{path} was written by another release; look with that one")
                continue
            try:
                kept, payload = self._read(record)
            except (msgspec.MsgspecError, Failure) as error:
                found.gaps.append(f"a job in {path} cannot be read: {error}")
                continue
            if fits(payload, person.wanted):
                person.job_ids.add(kept.job_id)
                found.items.append({"jobId": kept.job_id, "type": kept.kind, "payload": msgspec.to_builtins(payload)})
        return found

    def _is_his(self, record: bytes, person: Person) -> bool:
        try:
            return fits(self._read(record)[1], person.wanted)
        except (msgspec.MsgspecError, Failure):
            return False  # it is a gap, and stays

    def _read(self, record: bytes) -> tuple[Kept, Any]:
        kept = msgspec.msgpack.decode(record, type=Kept)
        kind = self._kinds.get(kept.kind)
        if kind is None:
            raise Failure(f"the kind {kept.kind} is not known here; name its module in YB_KINDS")
        return kept, kind.decode(kept.payload)
