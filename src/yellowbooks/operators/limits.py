"""Kinds with their limits, pausing them, and the addresses that get no mail."""

import re
from collections import Counter
from collections.abc import Awaitable
from typing import Annotated, Any, Protocol

from litestar import Request, delete, get, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, QueryParameter, RawBody

from yellowbooks.jobs import Fault, Invalid, Kind, Partitions, Survey
from yellowbooks.operators.audit import Trail
from yellowbooks.operators.desk import Desk
from yellowbooks.operators.shapes import KindHeld, KindList, KindOf, RateOf, Suppressed, SuppressedList
from yellowbooks.operators.touching import WITH_WHY, Why, read_body
from yellowbooks.views import time as shown_time

NAMED = 1000  # running jobs that are counted by kind
PAGE = 50
CURSOR = re.compile("^[0-9]{1,8}$")
Cursor = Annotated[str | None, QueryParameter(schema_extra={"pattern": CURSOR.pattern})]
WHY = '{"reason": "…"}'


class SuppressedOnes(Protocol):
    """The list of addresses that get no mail. Raises `ConnectionError` where the queue's server is away."""

    def entries(self) -> Awaitable[list[Suppressed]]:
        """All of them, newest first."""
        ...

    def lift(self, key: str) -> Awaitable[None]:
        """This one gets mail again."""
        ...


def limit_routes(desk: Desk, trail: Trail, ones: SuppressedOnes) -> list[Any]:
    """Kinds, pause and resume; the addresses that get no mail, and lifting one."""
    return [*_kind_routes(desk, trail), _resume_route(desk, trail), *_suppression_routes(trail, ones)]


def _kind_routes(desk: Desk, trail: Trail) -> list[Any]:
    @get("/api/admin/kinds", summary="Every kind of job, with its limits", operation_id="list-kinds")
    async def list_kinds() -> KindList:
        """Those that are known here, and those that wait and are not."""
        survey = await desk.queue.survey(NAMED)
        waiting = {name.rpartition(":")[0] for name in dict(survey.lines)}
        left = await _left(desk)
        return KindList(
            kinds=[_kind(name, desk.kinds.get(name), survey, left) for name in sorted(waiting | {*desk.kinds})]
        )

    @post(
        "/api/admin/kinds/{kind:str}/pause", status_code=200, summary="Hold a kind", operation_id="pause-kind",
        operation_class=WITH_WHY,
    )  # fmt: skip
    async def pause(request: Request[Any, Any, Any], kind: FromPath[str], body: RawBody) -> KindOf:
        """Its jobs wait and spend no attempt, until it is resumed; what runs goes on."""
        why = read_body(body, Why, WHY)
        one = await _one(desk, kind)
        before, after = {"paused": one.paused}, {"paused": True}
        by = await trail(request, "pause", kind, before=before, after=after, reason=why.reason)
        await desk.queue.hold(kind, by=by, reason=why.reason)
        return await _one(desk, kind)

    return [list_kinds, pause]


def _resume_route(desk: Desk, trail: Trail) -> Any:
    @post(
        "/api/admin/kinds/{kind:str}/resume", status_code=200, summary="Let a kind go on", operation_id="resume-kind",
        operation_class=WITH_WHY,
    )  # fmt: skip
    async def resume(request: Request[Any, Any, Any], kind: FromPath[str], body: RawBody) -> KindOf:
        """At once, whoever holds it or its channel. 409 where nobody does."""
        why = read_body(body, Why, WHY)
        one = await _one(desk, kind)
        if one.paused is None:
            raise HTTPException("nobody holds this kind or its channel", status_code=409)
        await trail(request, "resume", kind, before={"paused": one.paused}, after={"paused": None}, reason=why.reason)
        gates = dict((await desk.queue.survey()).gates)
        for channel in dict.fromkeys((kind, one.channel)):
            if channel in gates and gates[channel].pace is None:
                sharing = [name for name, known in desk.kinds.items() if known.channel == channel]
                await desk.queue.unhold(channel, kinds=sorted({kind, *sharing}))
        return await _one(desk, kind)

    return resume


def _suppression_routes(trail: Trail, ones: SuppressedOnes) -> list[Any]:
    @get("/api/admin/suppressions", summary="Addresses that get no mail", operation_id="list-suppressions")
    async def list_them(cursor: Cursor = None) -> SuppressedList:
        """By their keyed hashes, newest first; `next` is the cursor of the following page."""
        start = _start(cursor)
        found = [one for one in await ones.entries() if one.until]
        following = str(start + PAGE) if len(found) > start + PAGE else None
        return SuppressedList(suppressions=found[start : start + PAGE], next=following)

    @delete(
        "/api/admin/suppressions/{key:str}",
        status_code=200,
        summary="Send mail again",
        operation_id="lift",
        operation_class=WITH_WHY,
    )
    async def lift(request: Request[Any, Any, Any], key: FromPath[str], body: RawBody) -> dict[str, str]:
        """Its dead jobs wait to be requeued."""
        why = read_body(body, Why, WHY)
        found = next((one for one in await ones.entries() if one.key == key), None)
        if found is None:
            raise NotFoundException("no suppressed address has this key")
        await trail(request, "lift", key, before=found, reason=why.reason)
        await ones.lift(key)
        return {"key": key, "status": "lifted"}

    return [list_them, lift]


async def _one(desk: Desk, name: str) -> KindOf:
    survey = await desk.queue.survey(NAMED)
    if name not in desk.kinds and name not in {line.rpartition(":")[0] for line in dict(survey.lines)}:
        raise NotFoundException(f"no kind is called {name[:64]}; GET /api/admin/kinds lists them")
    return _kind(name, desk.kinds.get(name), survey, await _left(desk))


def _kind(name: str, kind: Kind[Any] | None, survey: Survey, left: dict[str, float]) -> KindOf:
    gates = dict(survey.gates)
    channel = kind.channel if kind else name
    held = next((gate for gate in (gates.get(name), gates.get(channel)) if gate and gate.pace is None), None)
    running = Counter(one.kind for one in survey.running)
    waits = sum(line.waiting for line_name, line in dict(survey.lines).items() if line_name.rpartition(":")[0] == name)
    shown = KindOf(
        kind=name, channel=channel, waiting=waits,
        processing=running[name] if survey.processing <= len(survey.running) else None,
        paused=KindHeld(since=shown_time(held.since or None), by=held.by, why=held.reason) if held else None,
    )  # fmt: skip
    if kind:
        shown.attempts, shown.exclusive, shown.deadline_seconds = kind.backoff.attempts, kind.exclusive, kind.deadline
        shown.rate = RateOf(count=kind.rate.limit, seconds=kind.rate.window) if kind.rate else None
        if kind.quota:
            shown.quota = RateOf(count=kind.quota.limit, seconds=kind.quota.window, left=left.get(channel))
    return shown


async def _left(desk: Desk) -> dict[str, float]:
    """What each channel's quota has left now; of a queue in partitions it is not known."""
    if isinstance(desk.queue, Partitions):
        return {}
    facts = await desk.queue.look("")
    limits = {kind.channel: kind.quota for kind in desk.kinds.values() if kind.quota}
    buckets = facts.buckets if isinstance(facts.buckets, dict) else {}
    left = {channel: float(quota.limit) for channel, quota in limits.items()}
    for channel, bucket in buckets.items():
        if channel in limits:
            refilled = (facts.now - bucket.at) / 1000 * limits[channel].limit / limits[channel].window
            left[channel] = min(float(limits[channel].limit), bucket.tokens + refilled)
    return left


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not CURSOR.fullmatch(cursor):
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")])
    return int(cursor)
