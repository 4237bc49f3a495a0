"""The routes of now: one answer, or a stream of server-sent events (HTML Living Standard, 9.2)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.response import ServerSentEvent, ServerSentEventMessage

from yellowbooks.api import described, still_in
from yellowbooks.jobs import Event
from yellowbooks.operators.now import Now
from yellowbooks.operators.shapes import ActState, NowBody
from yellowbooks.operators.watch import Watch
from yellowbooks.views import time as shown_time

LOOK_SECONDS = 0.2
NOW_SECONDS = 1.0
MOST_AT_ONCE = 20  # job events a look: a hundred a second are more than anybody reads
GOING = ("waiting", "running")
NO_STORE = {"Cache-Control": "no-store"}

Recent = Callable[[], Awaitable[list[ActState]]]
"""The acts on many jobs of the last hour, at most half a second old."""


def live_routes(now: Now, watch: Watch, acts: Recent, stopping: Callable[[], bool]) -> list[Any]:
    """`GET /api/admin/now` and `GET /api/events`; streams end when `stopping` says so."""

    @get("/api/admin/now", summary="What goes on now", operation_id="now")
    async def show() -> Response[NowBody]:
        """Depth, rates, times, workers and what is held; where the queue is away it says so, with 200."""
        return Response(await now.body(), headers=NO_STORE)

    @get(
        "/api/events", summary="What goes on, as it happens (server-sent events)", operation_id="events",
        operation_class=described(gives=("text/event-stream; charset=utf-8",)),
    )  # fmt: skip
    async def follow(request: Request[Any, Any, Any]) -> ServerSentEvent:
        """Events `now` (every second), `job` (a transition), `act` (how an act on many jobs goes) and `missed` (so many
        were not told); goes on after the Last-Event-ID."""
        last = request.headers.get("last-event-id", "")
        stream = _stream(now, watch, acts, stopping, last, lambda: still_in(request))
        return ServerSentEvent(stream, retry_duration=1000, headers=NO_STORE)

    return [show, follow]


async def _stream(
    now: Now, watch: Watch, acts: Recent, stopping: Callable[[], bool], last: str, let_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[ServerSentEventMessage]:
    with watch.listening():
        cursor, next_now = watch.cursor(last), 0.0
        told = {act.act_id: act for act in await acts() if act.state not in GOING}
        while not stopping():
            events, missed = watch.after(cursor, MOST_AT_ONCE)
            for number, event in events:
                cursor = number
                if event.job:
                    yield _message("job", job_event(event), watch.name(number))
                else:
                    missed += 1
            if missed:
                yield _message("missed", {"count": missed}, watch.name(cursor))
            for act in await acts():
                if told.get(act.act_id) != act:
                    told[act.act_id] = act
                    yield _message("act", act, watch.name(cursor))
            if time.monotonic() >= next_now:
                if not await let_in():
                    return  # the key was revoked, or the session ended
                next_now = time.monotonic() + NOW_SECONDS
                yield _message("now", await now.body(), watch.name(cursor))
            await asyncio.sleep(LOOK_SECONDS)


def job_event(event: Event) -> dict[str, Any]:
    """A transition as listeners are told it."""
    told = {
        "jobId": event.job, "type": event.kind, "event": event.name, "status": event.state,
        "at": shown_time(event.at), "worker": event.worker, "attempt": event.attempt, "error": event.error,
    }  # fmt: skip
    return {key: value for key, value in told.items() if value is not None}


def _message(event: str, data: Any, name: str) -> ServerSentEventMessage:
    return ServerSentEventMessage(msgspec.json.encode(data).decode(), event=event, id=name)
