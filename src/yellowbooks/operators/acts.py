"""Acts that are done after some seconds, unless they are taken back: kept in Valkey, so they outlive a process."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from litestar import Request, delete, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath

from yellowbooks.api import Filter, chosen_jobs
from yellowbooks.jobs import Queue, QueueUnavailable
from yellowbooks.operators.audit import Trail
from yellowbooks.operators.shapes import ActState
from yellowbooks.views import time as shown_time

KEY = "{yb:acts}:acts"
LOOK_SECONDS = 10.0  # how often acts of an API that died are looked for
LATE_SECONDS = 600.0  # what nobody could do for so long is not wanted any more
KEPT_SECONDS = 3600.0  # how long the end of an act can be asked for
SEAT_SECONDS = 15.0
AT_ONCE = 500  # jobs a step of progress
FRESH_SECONDS = 0.5

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `QueueUnavailable` where it is away."""

# An act's record is replaced where it is still the one that was read.
_REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """An act as it is kept. Times are seconds since 1970; `by` is the operator as a job's history names him."""

    id: str
    act: Literal["retry", "discard"]
    chosen: Filter
    by: str
    count: int
    at: float
    state: Literal["waiting", "running", "done", "undone", "failed"] = "waiting"
    done: int = 0
    error: str | None = None
    ended: float = 0.0

    def shown(self) -> ActState:
        """The act as listeners are told it."""
        return ActState(
            act_id=self.id, act=self.act, count=self.count, done=self.done, state=self.state, error=self.error,
            at=shown_time(round(self.at * 1000)) or "",
        )  # fmt: skip


class DelayedActs:
    """Takes acts in, does them when their time has come, and gives them back until then.

    Each process looks for what is due; of several one does it, as it needs the act's seat. A process that dies leaves
    its acts to the next one: what was done stays done, and the rest is done, as a job that was moved is dead no more.
    """

    def __init__(self, queue: Queue, execute: Execute, trail: Trail, tell: Callable[..., None]) -> None:
        self._queue = queue
        self._execute = execute
        self._trail = trail
        self._tell = tell
        self._holder = secrets.token_hex(8)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looked, self._shown = 0.0, list[ActState]()

    async def start(self) -> None:
        """Begin to look for what is due."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End; what is under way is gone on with by another process, or at the next start."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def plan(self, request: Request[Any, Any, Any], act: str, chosen: Filter, count: int) -> dict[str, Any]:
        """Take an act in, written into the trail first. Raises HTTP 503."""
        at = time.time() + (chosen.delay or 0.0)
        act_id = secrets.token_hex(8)
        moment = shown_time(round(at * 1000))
        by = await self._trail(
            request, act, chosen.text(), after={"actId": act_id, "count": count, "at": moment}, reason=chosen.reason
        )
        kept = Act(id=act_id, act="retry" if act == "retry" else "discard", chosen=chosen, by=by, count=count, at=at)
        await self._execute("HSET", KEY, act_id, msgspec.json.encode(kept))
        self._changed.set()
        return {"actId": act_id, "count": count, "at": moment}

    async def undo(self, request: Request[Any, Any, Any], act_id: str) -> ActState:
        """Take an act back. Raises HTTP 404, and 409 where it has begun."""
        act, body = await self._read(act_id)
        if act is None:
            raise NotFoundException("no act has this id; it ended more than an hour ago, or never was")
        if act.state == "undone":
            return act.shown()
        late = HTTPException(f"it is too late: the act is {act.state}", status_code=409)
        if act.state != "waiting":
            raise late
        await self._trail(request, "undo", act.chosen.text(), before={"actId": act_id, "act": act.act})
        undone = msgspec.structs.replace(act, state="undone", ended=time.time())
        if not await self._replace(undone, body):
            raise late
        return undone.shown()

    async def show(self, act_id: str) -> ActState:
        """How an act stands. Raises HTTP 404."""
        act, _ = await self._read(act_id)
        if act is None:
            raise NotFoundException("no act has this id; it ended more than an hour ago, or never was")
        return act.shown()

    async def recent(self) -> list[ActState]:
        """The acts of the last hour, at most half a second old; none where the queue is away."""
        if time.monotonic() - self._looked >= FRESH_SECONDS:
            self._looked = time.monotonic()
            with contextlib.suppress(QueueUnavailable):
                self._shown = [act.shown() for act, _ in await self._all()]
        return self._shown

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            pause = LOOK_SECONDS
            try:
                for act, body in await self._all():
                    pause = min(pause, await self._turn(act, body))
            except QueueUnavailable:
                pass  # it is told elsewhere; the acts are there when it is back
            except Exception as error:  # whatever one act came to, the others are looked after
                self._tell("failed", error=f"an operator's act: {error!r}"[:500])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(pause, 0.02))

    async def _turn(self, act: Act, body: bytes) -> float:
        """Do an act that is due, forget one that is old; gives the seconds until it is worth a look."""
        now = time.time()
        if act.ended:
            if now - act.ended > KEPT_SECONDS:
                await self._execute("EVAL", _REPLACE, 1, KEY, act.id, body, b"")
            return LOOK_SECONDS
        if act.at > now:
            return act.at - now
        if await self._queue.lock(f"act:{act.id}", self._holder, SEAT_SECONDS):
            await self._do(act, body)
        return LOOK_SECONDS

    async def _do(self, act: Act, body: bytes) -> None:
        if act.state == "waiting" and time.time() - act.at > LATE_SECONDS:
            why = f"nobody could do it for {LATE_SECONDS / 60:.0f} minutes; ask for it again"
            await self._replace(msgspec.structs.replace(act, state="failed", error=why, ended=time.time()), body)
            return
        running = msgspec.structs.replace(act, state="running")
        if act.state == "waiting" and not await self._replace(running, body):
            return  # it was taken back in this moment
        try:
            done = await self._move(running)
            ended = msgspec.structs.replace(running, state="done", done=done, ended=time.time())
        except QueueUnavailable:
            raise  # the rest follows when the queue is back
        except Exception as error:  # whatever it is, the operator is told
            ended = msgspec.structs.replace(running, state="failed", error=str(error)[:500], ended=time.time())
        await self._execute("HSET", KEY, act.id, msgspec.json.encode(ended))

    async def _move(self, act: Act) -> int:
        """Move the jobs, some at a time. Where it began before, those that were moved are not dead any more."""
        chosen = act.chosen
        if chosen.limit is not None:
            chosen = msgspec.structs.replace(chosen, limit=max(1, chosen.limit - act.done))
        ids = [job.id for job in await chosen_jobs(self._queue, chosen)]
        size = len(ids) if chosen.pace else AT_ONCE  # at a pace, each has its own delay from one beginning
        for start in range(0, len(ids), max(size, 1)):
            some = ids[start : start + size]
            if act.act == "retry":
                answers = await self._queue.requeue(some, pace=chosen.pace, by=act.by)
            else:
                answers = await self._queue.discard(some)
            act = msgspec.structs.replace(act, done=act.done + sum(one in _MOVED for one in answers))
            await self._execute("HSET", KEY, act.id, msgspec.json.encode(act))
            await self._queue.lock(f"act:{act.id}", self._holder, SEAT_SECONDS)
        return act.done

    async def _all(self) -> list[tuple[Act, bytes]]:
        stored = await self._execute("HGETALL", KEY)
        bodies = stored.values() if isinstance(stored, dict) else stored[1::2]
        return [(act, body) for body in bodies if (act := _act(body))]

    async def _read(self, act_id: str) -> tuple[Act | None, bytes]:
        body = await self._execute("HGET", KEY, act_id) or b""
        return _act(body), body

    async def _replace(self, act: Act, body: bytes) -> bool:
        return bool(await self._execute("EVAL", _REPLACE, 1, KEY, act.id, body, msgspec.json.encode(act)))


_MOVED = ("requeued", "discarded")


def _act(body: bytes) -> Act | None:
    try:
        return msgspec.json.decode(body, type=Act) if body else None
    except msgspec.MsgspecError:  # another version's
        return None


def act_routes(acts: DelayedActs) -> list[Any]:
    """`GET` and `DELETE /api/admin/acts/{actId}`."""

    @get("/api/admin/acts/{act_id:str}", summary="How an act stands", operation_id="show-act")
    async def show(act_id: FromPath[str]) -> ActState:
        """Waiting, running, done, undone or failed; for an hour after its end."""
        return await acts.show(act_id)

    @delete("/api/admin/acts/{act_id:str}", status_code=200, summary="Take an act back", operation_id="undo-act")
    async def undo(request: Request[Any, Any, Any], act_id: FromPath[str]) -> ActState:
        """Until it begins."""
        return await acts.undo(request, act_id)

    return [show, undo]
