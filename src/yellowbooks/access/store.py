"""Where the records of keys are kept: beside the queue, the same for all APIs. `keys.lua` has its form."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import msgspec

from yellowbooks.access.key import Record

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `ConnectionError` where it is away."""

SCRIPT = (files("yellowbooks.access") / "keys.lua").read_text("utf-8")


class TooMany(Exception):
    """A key cannot be issued; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listed:
    """All that is kept at one moment. `revoked` and `used` are seconds since 1970 by the key's id."""

    version: str = ""
    records: Mapping[str, Record] = field(default_factory=dict)
    revoked: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)

    def live(self, record: Record, now: float) -> bool:
        """Whether the key works now."""
        return record.id not in self.revoked and not record.expired(now)


class KeyStore:
    """Every method raises `ConnectionError` where Valkey is away; each may be asked again."""

    def __init__(self, execute: Execute, tag: str = "{yb:keys}") -> None:
        self._execute = execute
        self._tag = tag

    async def version(self) -> str:
        """Another text after each change; "" where no key was ever issued, or all was lost."""
        found: bytes | None = await self._execute("GET", f"{self._tag}:version")
        return (found or b"").decode()

    async def all(self) -> Listed:
        """All of it at one moment."""
        version, records, revoked, used = await self._run("all")
        kept = [one for text in records[1::2] if (one := _record(text))]
        return Listed(version.decode(), {one.id: one for one in kept}, _times(revoked), _times(used))

    async def announce(self, secret: str) -> None:
        """An API hashes under this secret (its name): keys are issued under one that an API has."""
        await self._execute("SADD", f"{self._tag}:secrets", secret)

    async def issue(self, record: Record) -> None:
        """Keep a new key. Raises `TooMany`."""
        answer, *others = [text.decode() for text in await self._run("issue", _text(record), record.under)]
        if answer == "live":
            raise TooMany(
                f"two keys of the name {record.name} are live, {' and '.join(sorted(others))}; revoke one first: "
                f"yellowbooks keys revoke {sorted(others)[0]}"
            )
        if answer == "full":
            raise TooMany("500 keys are kept; revoke those that nobody uses (`yellowbooks keys list`)")
        if answer == "secret":
            raise TooMany(
                "the APIs of this queue hash keys under another secret; run this with their YB_SECRET_KEYS, or, where "
                "that is not set, on their machine with their YB_DATA_DIR. After a change start an API first"
            )

    async def revoke(self, key_id: str) -> str:
        """From the next request on the key opens nothing; gives revoked, already or unknown."""
        [answer] = await self._run("revoke", key_id)
        return str(answer.decode())

    async def replace(self, old: Record, new: Record) -> None:
        """The same key under another secret, where nobody else has done it."""
        await self._run("replace", old.id, _text(old), _text(new))

    async def mend(self, records: Mapping[str, Record], revoked: Mapping[str, int]) -> None:
        """Put back what the store has lost."""
        words: list[str | bytes | int] = [word for one in records.values() for word in (one.id, _text(one))]
        words += [word for pair in revoked.items() for word in pair]
        await self._run("mend", len(records), *words)

    async def use(self, key_id: str) -> None:
        """The key was used now."""
        await self._execute("HSET", f"{self._tag}:used", key_id, int(time.time()))

    async def _run(self, verb: str, *words: str | bytes | int) -> Any:
        version = secrets.token_hex(8)
        return await self._execute("EVAL", SCRIPT, 1, self._tag, verb, version, int(time.time()), *words)


def _record(text: bytes) -> Record | None:
    try:
        return msgspec.json.decode(text, type=Record)
    except msgspec.MsgspecError:
        return None  # somebody else's, or spoilt: it opens nothing


def _text(record: Record) -> bytes:
    return msgspec.json.encode(record)


def _times(flat: list[bytes]) -> dict[str, int]:
    return {flat[n].decode(): int(flat[n + 1]) for n in range(0, len(flat), 2)}
