"""What `Queue` speaks to instead of a server: the client's methods, over a store in memory."""

import asyncio
from collections.abc import Sequence
from typing import Any

from valkey.exceptions import ResponseError

from yellowbooks.jobs.simulated.lua import Engine
from yellowbooks.jobs.simulated.store import Refused, Store, Stream, text
from yellowbooks.jobs.verbs import VERBS

ENGINE = Engine()
_SCRIPTS = {script.sha: script for script in VERBS.values()}


class SimulatedServer:
    """A server in memory, with a clock that stands still until it is moved. Its state can be copied and put back."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()

    async def execute_command(self, name: str, *args: Any) -> Any:
        """A command, EVALSHA of a transition, or EVAL of a script beside the queue. Raises the client's errors."""
        try:
            if name == "EVAL":
                script, count, *rest = args
                given = [text(arg) for arg in rest]
                return ENGINE.evaluate(script, self.store, given[:count], given[count:])
            if name == "EVALSHA":
                sha, _, tag, *argv = args
                return ENGINE.run(_SCRIPTS[sha], self.store, tag, argv)
            if name == "BLPOP":  # the clock stands still, so it never waits
                await asyncio.sleep(0)
                return next((found for key in args[:-1] if (found := self.store.do_lpop(text(key)))), None)
            return self.store.call(name, *args)
        except Refused as error:
            raise ResponseError(str(error)) from error

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """MGET."""
        return self.store.do_mget(*(text(key) for key in keys))

    async def xread(self, streams: dict[str, str], count: int, block: int) -> Any:
        """XREAD of one stream; does not wait."""
        [(key, after)] = streams.items()
        at = tuple(int(part) for part in after.split("-"))
        entries = self.store.values.get(text(key), Stream())
        found = [
            (b"%d-%d" % position, dict(zip(fields[::2], fields[1::2], strict=True)))
            for position, fields in entries
            if position > at
        ]
        await asyncio.sleep(0)
        return [[key, found[:count]]] if found else []

    async def zrevrangebyscore(
        self, key: str, top: str, bottom: str, start: int, num: int, withscores: bool
    ) -> list[tuple[bytes, float]]:
        """ZREVRANGEBYSCORE with scores, as dead letters are read."""
        limit = (b"LIMIT", text(start), text(num))
        flat = self.store.do_zrange(text(key), text(top), text(bottom), b"BYSCORE", b"REV", *limit, b"WITHSCORES")
        return [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]

    async def zcard(self, key: str) -> int:
        """ZCARD."""
        return self.store.do_zcard(text(key))

    async def set(self, key: str, value: str, px: int) -> str:
        """SET with an end."""
        return self.store.do_set(text(key), text(value), b"PX", text(px))

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        """HGETALL."""
        flat = self.store.do_hgetall(text(key))
        return dict(zip(flat[::2], flat[1::2], strict=True))

    async def aclose(self) -> None:
        """Nothing to close."""
