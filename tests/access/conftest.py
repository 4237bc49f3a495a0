"""Issued keys over a real Valkey, and APIs that know them."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ValkeyServer
from tests.parts import Told
from yellowbooks.access import Given, KeyStore, Record, Ring, Secrets, issue_key
from yellowbooks.jobs import Queue

SECRETS = Secrets([b"s" * 32])


class Office:
    """Issues keys into the store of one Valkey, and opens rings over it."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.store = KeyStore(queue.beside("{yb:keys}").execute)
        self.folder, self.told = folder, Told()
        self.rings: list[Ring] = []

    async def issue(self, role: str = "api", name: str = "", kinds: tuple[str, ...] = (), **more: Any) -> Given:
        """A key that is kept."""
        expires, known = more.get("expires", 0), more.get("known", SECRETS)
        given, record = issue_key(known, role, name, kinds, int(time.time()), expires)
        await self.store.issue(record)
        return given

    async def ring(self, name: str = "keys.json", known: Secrets = SECRETS, **more: Any) -> Ring:
        """What one API knows of the keys; its copy is in the file."""
        ring = Ring(self.store, known, self.folder / name, self.told, **more)
        await ring.start()
        self.rings.append(ring)
        return ring

    async def record(self, given: Given) -> Record:
        """What is kept of a key."""
        return (await self.store.all()).records[given.id]


@pytest.fixture
async def office(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Office]:
    queue = Queue(own_valkey.url)
    office = Office(queue, tmp_path)
    yield office
    for ring in office.rings:
        await ring.close()
    await queue.close()


Offices = Callable[[], Office]
