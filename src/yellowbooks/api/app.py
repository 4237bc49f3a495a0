"""The HTTP face: paths, keys and problems. No rule lives here; the parts are handed in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig

from yellowbooks import __version__
from yellowbooks.api.audit import Audit, Plan, unaudited
from yellowbooks.api.bounces import bounce_route
from yellowbooks.api.dead_letters import DeadLetters
from yellowbooks.api.finishing import answer_methods, answer_safely
from yellowbooks.api.inbox import inbox_routes
from yellowbooks.api.jobs import Find, Refuse, Trace, answer_request_name, counted, enqueue_route, follow_route
from yellowbooks.api.keys import Guard, Keys
from yellowbooks.api.metrics import MetricsPage, metrics_route
from yellowbooks.api.origin import own_page
from yellowbooks.api.problems import crashed, invalid, problem, refused, unavailable
from yellowbooks.api.schema import SchemaPage
from yellowbooks.intake import Intake
from yellowbooks.jobs import Invalid, Kind, Queue, QueueUnavailable, Unfit
from yellowbooks.mail import BounceIntake, Inbox

BODY_BYTES = 64 * 1024
READY_SECONDS = 3.0  # what the queue gets to answer a probe; most probes wait for five


async def _nothing() -> None:
    """Nothing is to be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """What the API is made of. `keys` say who is let in; without them those are that are given here, and without any it
    is open to whoever reaches it. `inbox` is None where SMTP is set.

    `answers` is what the 202 of a kind says besides; without an `intake` jobs are taken in by the queue alone.
    Other faces hand in their routes: `routes` guard themselves, `operator_routes` ask for an operator's key.
    `audit` writes operators' acts down, `plan` takes those in that can be taken back; `start` is awaited first.
    """

    queue: Queue
    kinds: Sequence[Kind[Any]]
    find: Find
    inbox: Inbox | None
    tell: Callable[..., None]
    close: Callable[[], Awaitable[None]]
    intake: Intake | None = None
    bounces: BounceIntake | None = None
    stopping: Callable[[], bool] = lambda: False
    draining: Callable[[], bool] = lambda: False
    routes: Sequence[Any] = ()
    operator_routes: Sequence[Any] = ()
    audit: Audit = unaudited
    plan: Plan | None = None
    start: Callable[[], Awaitable[None]] = _nothing
    keys: Keys | None = None
    api_keys: Sequence[str] = ()
    admin_keys: Sequence[str] = ()
    metrics: MetricsPage | None = None
    refused: Refuse = lambda _kind, _reason: None
    trace: Trace | None = None
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def create_app(parts: ApiParts) -> Litestar:
    """The ASGI application."""
    keys = parts.keys or Keys(parts.api_keys, parts.admin_keys)
    queue, intake = parts.queue, parts.intake or Intake(parts.queue, parts.kinds, None, parts.tell)
    return Litestar(
        [
            *_enqueue_routes(parts, intake, keys.callers()),
            follow_route(queue, intake, parts.find, keys.callers()),
            _operators_router(parts, keys.operators()),
            *_health_routes(queue, intake, parts.draining),
            *([metrics_route(parts.metrics, keys.callers())] if parts.metrics else []),
            *parts.routes,
        ],
        guards=[keys.names()],
        request_max_body_size=BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="Yellow Books Jobs",
            version=__version__,
            path="/schema",
            render_plugins=[SchemaPage(parts.kinds, closed=keys.closed)],
        ),
        exception_handlers=_problems(parts),
        lifespan=[_running(intake)],
        on_startup=[parts.start],
        on_shutdown=[parts.close],
        before_send=[answer_request_name, answer_methods, answer_safely],
        on_app_init=[_no_logging],
    )


def _problems(parts: ApiParts) -> dict[int | type[Exception], Any]:
    return {
        Invalid: invalid,
        QueueUnavailable: unavailable,
        HTTPException: counted(refused, parts.refused),
        Exception: counted(crashed(parts.tell), parts.refused),
    }


def _enqueue_routes(parts: ApiParts, intake: Intake, callers: Guard) -> list[Any]:
    return [
        enqueue_route(kind, intake, parts.find, callers, parts.refused, parts.answers.get(kind.name), parts.trace)
        for kind in parts.kinds
    ]


def _operators_router(parts: ApiParts, operators: Guard) -> Router:
    queue = parts.queue
    return Router(
        "/",
        guards=[own_page, operators],
        route_handlers=[
            DeadLetters,
            bounce_route(parts.bounces),
            *inbox_routes(parts.inbox, parts.stopping),
            *parts.operator_routes,
        ],
        dependencies={
            "queue": Provide(lambda: queue, sync_to_thread=False),
            "audit": Provide(lambda: parts.audit, sync_to_thread=False),
            "plan": Provide(lambda: parts.plan, sync_to_thread=False),
        },
    )


def _running(intake: Intake) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(_app: Litestar) -> AsyncIterator[None]:
        following = asyncio.create_task(intake.run())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})
            await asyncio.to_thread(intake.close)

    return run


def _no_logging(config: AppConfig) -> AppConfig:
    config.logging_config = None
    return config


def _health_routes(queue: Queue, intake: Intake, draining: Callable[[], bool]) -> list[Any]:
    @get("/healthz", summary="Is the process alive?", operation_id="health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", summary="Can a job be taken?", operation_id="ready")
    async def ready() -> Response[dict[str, Any]]:
        if draining():
            return problem(503, "this API is stopping; send to another one")
        try:
            async with asyncio.timeout(READY_SECONDS):
                await queue.ping()
        except (QueueUnavailable, Unfit, TimeoutError) as error:
            if isinstance(error, Unfit) or not intake.takes():
                return problem(503, str(error) or "the queue does not answer; see whether Valkey runs")
            return Response({"status": "spooling", "waiting": intake.waiting})
        return Response({"status": "ok"})

    return [health, ready]
