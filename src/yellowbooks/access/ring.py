"""The keys as one API knows them: looked at for every request, and for a bounded time without the store."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from yellowbooks.access.key import Record, Secrets, read_key
from yellowbooks.access.store import KeyStore, Listed

PATIENCE_SECONDS = 1.0  # what the store gets to answer; the first request to find it silent waits for so long
AGAIN_SECONDS = 0.5  # how often a store that is away is asked whether it is back
LOOK_SECONDS = 2.0  # how often it is asked when no request asks
STALE_SECONDS = 24 * 3600.0  # for how long keys are known without the store
USED_SECONDS = 600  # how coarsely the last use of a key is kept

Why = Literal["", "unknown", "revoked", "expired", "secret", "away"]
Tell = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Found:
    """The record of a key, or why there is none: it is nobody's, was revoked, has expired, was hashed under a secret
    that is not here, or cannot be looked up now."""

    record: Record | None = None
    why: Why = ""


class _Copy(msgspec.Struct):
    """What is kept on this machine's disk: hashes, as in the store."""

    version: str
    records: list[Record]
    revoked: dict[str, int]


class Ring:
    """Finds the record of a key. `path` is where a copy is kept, for a start while the store is away.

    A key that was revoked before a request came is refused: each request waits for a look at the store's version that
    began after it came; requests of one moment share a look. While the store is away, keys that were known are known
    for `stale` seconds, and one that was not is neither right nor wrong.
    """

    def __init__(
        self, store: KeyStore, known: Secrets, path: Path, tell: Tell, *, stale: float = STALE_SECONDS
    ) -> None:
        self._store, self._known, self._path, self._tell, self._stale = store, known, path, tell, stale
        self._listed, self._seen, self._touched = Listed(), 0.0, 0.0
        self._looking: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self.away = self._closing = False
        self._used: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up the copy, look, and go on looking."""
        await asyncio.to_thread(self._load)
        await self.look()
        self._begin(self._watch())

    async def close(self) -> None:
        """End. A client that takes a cancellation for a time-out of its own cannot hold it up."""
        self._closing = True
        for task in (tasks := [*self._tasks]):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2 * PATIENCE_SECONDS)

    @property
    def any(self) -> bool:
        """Whether a key was ever issued, as far as is known here."""
        return bool(self._listed.records)

    def live(self, role: str) -> bool:
        """Whether a key of this role works, as far as is known here."""
        now = time.time()
        return any(one.role == role and self._listed.live(one, now) for one in self._listed.records.values())

    async def find(self, text: str) -> Found:
        """The record of a key."""
        given = read_key(text)
        if given is None:
            return Found(why="unknown")
        await self.look()
        return self.known(given.id, text)

    async def signer(self, key_id: str) -> tuple[Record, bytes] | None:
        """The record of a key that signs, whatever became of it, and what it signs by; None where there is none."""
        await self.look()
        record = self._listed.records.get(key_id)
        if record is None or not record.signs or record.under not in self._known or not self._fresh():
            return None
        return record, self._known.signing_key(record)

    def ended(self, record: Record) -> Why:
        """How a key of which this is the record has ended; "" where it works."""
        if self._listed.live(record, time.time()):
            return ""
        return "expired" if record.id not in self._listed.revoked else "revoked"

    def used(self, record: Record) -> None:
        """A key that signs was used."""
        self._note_use(record, time.time())

    async def holds(self, key_id: str) -> Record | None:
        """The record of a key that was shown before; None where it does not work any more."""
        await self.look()
        record = self._listed.records.get(key_id)
        return record if record and self._fresh() and self._listed.live(record, time.time()) else None

    def known(self, key_id: str, text: str) -> Found:
        """As `find`, without a look."""
        record, now = self._listed.records.get(key_id), time.time()
        if not self._fresh() or (record is None and self.away):
            return Found(why="away")
        if record is None:
            return Found(why="unknown")
        if record.under not in self._known:
            return Found(why="secret")
        if not self._known.fits(record, text):
            return Found(why="unknown")
        if ended := self.ended(record):
            return Found(why=ended)
        self._note(record, text, now)
        return Found(record)

    async def look(self) -> None:
        """Wait for a look at the store that begins after this was called; while it is away, do not wait."""
        if self.away:
            return
        if self._looking is None:
            self._looking = self._begin(self._look())
        await asyncio.shield(self._looking)

    # Inside

    def _fresh(self) -> bool:
        return time.time() - self._seen < self._stale or not self.away

    async def _look(self) -> None:
        async with self._turn:  # one after another: an older answer never follows a newer one
            self._looking = None  # who comes from now on needs another look
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._read()
            except (ConnectionError, TimeoutError) as error:
                if not self.away:
                    self.away = True
                    self._tell("keys_away", error=str(error) or f"no answer within {PATIENCE_SECONDS:g} s")
                return
            if self.away:
                self.away = False
                self._tell("keys_back")
            await self._keep()

    async def _read(self) -> None:
        if await self._store.version() != self._listed.version or not self._seen:
            found = await self._store.all()
            now = time.time()
            # A record goes only when it ended long ago, and what was revoked stays so: else the store lost something.
            lost = {
                key_id: record
                for key_id, record in self._listed.records.items()
                if key_id not in found.records and self._listed.live(record, now)
            }
            undone = {
                key_id: when
                for key_id, when in self._listed.revoked.items()
                if key_id in found.records and key_id not in found.revoked
            }
            if lost or undone:
                self._tell("keys_mended", keys=len(lost), revoked=len(undone))
                await self._store.mend(lost, undone)
                found = await self._store.all()
            # What was revoked here stays so, whatever a store that lost something says later.
            self._listed = replace(found, revoked={**self._listed.revoked, **found.revoked})
            self._touched = 0.0
        self._seen = time.time()

    async def _watch(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._store.announce(self._known.first)
        while not self._closing:
            await asyncio.sleep(AGAIN_SECONDS if self.away else LOOK_SECONDS)
            if self.away:
                await self._begin(self._look())
            else:
                await self.look()

    def _note(self, record: Record, text: str, now: float) -> None:
        """That the key was used; and hash it under the first secret, where it stands under an older one."""
        if self.away:
            return
        if record.under != self._known.first:
            self._begin(self._quietly(self._store.replace(record, self._known.sign(record, text))))
        self._note_use(record, now)

    def _note_use(self, record: Record, now: float) -> None:
        if self.away:
            return
        if now - self._used.get(record.id, 0) > USED_SECONDS:
            self._used[record.id] = int(now)
            self._begin(self._quietly(self._store.use(record.id)))

    async def _quietly(self, work: Any) -> None:
        with contextlib.suppress(ConnectionError):
            await work

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The copy on this machine

    async def _keep(self) -> None:
        """Write the copy after a change; else say of it, once a minute, that it is still right."""
        if time.time() - self._touched < 60 or not self._listed.records:
            return
        changed, self._touched = not self._touched, time.time()
        try:
            await asyncio.to_thread(self._write if changed else self._path.touch)
        except OSError as error:
            self._tell("keys_unkept", error=str(error))

    def _write(self) -> None:
        listed = self._listed
        copy = _Copy(listed.version, list(listed.records.values()), dict(listed.revoked))
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.json.encode(copy))
        draft.replace(self._path)

    def _load(self) -> None:
        try:
            copy = msgspec.json.decode(self._path.read_bytes(), type=_Copy)
            self._seen = self._path.stat().st_mtime
        except (OSError, msgspec.MsgspecError):
            return  # none yet, or not readable: the store has it all
        self._listed = Listed(copy.version, {one.id: one for one in copy.records}, copy.revoked)
