"""The API with all its faces."""

from collections.abc import Callable
from typing import Any

from yellowbooks.api import ApiParts, Door, Keys, create_app, own_page
from yellowbooks.dashboard import dashboard_routes, door_routes
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings
from yellowbooks.wiring.access import address_of, open_gate
from yellowbooks.wiring.edge import Edge
from yellowbooks.wiring.intake import open_intake
from yellowbooks.wiring.log import LogReader
from yellowbooks.wiring.mail import bounce_intake, open_inbox
from yellowbooks.wiring.metrics import metrics_page
from yellowbooks.wiring.notices import answers
from yellowbooks.wiring.notme import not_me_routes
from yellowbooks.wiring.operators import operators_parts
from yellowbooks.wiring.queue import kinds, open_queue
from yellowbooks.wiring.tracing import close_tracing, make_tracing
from yellowbooks.wiring.webhooks import webhook_routes

Says = Callable[[], bool]


def make_app(settings: Settings, tell: Tell, edge: Edge, stopping: Says, draining: Says) -> Any:
    """The ASGI application. `stopping` and `draining` say whether it is about to end. Raises `SettingsError`."""
    queue, known, log = open_queue(settings), kinds(settings), LogReader(settings)
    desk = operators_parts(settings, queue, log, known, stopping, tell)
    intake = open_intake(settings, queue, known, tell)
    page, refusals = metrics_page(settings, queue, known, edge.families)
    edge.count = refusals.turned_away
    gate = open_gate(settings, queue, tell, refusals.denied)
    keys = Keys(settings.api_keys, settings.admin_keys, gate)
    door = Door(keys, tell, address_of(settings))
    tracing = make_tracing(settings, "api")

    async def start() -> None:
        await gate.start()
        await desk.acts.start()

    async def close() -> None:
        await desk.close()
        await gate.close()
        await refusals.aclose()
        await queue.close()
        await close_tracing(tracing)

    return create_app(
        ApiParts(
            queue=queue, intake=intake, kinds=known, find=log.find, tell=tell, close=close, start=start,
            inbox=None if settings.smtp_url else open_inbox(settings),
            keys=keys, bounces=bounce_intake(settings, queue), stopping=stopping, draining=draining,
            operator_routes=[*desk.routes, *dashboard_routes(inbox=not settings.smtp_url, door=door)],
            routes=[
                *webhook_routes(settings, intake, known[0], tell, refusals),
                *not_me_routes(settings, queue),
                *door_routes(door, own_page),
            ],
            audit=desk.trail, plan=desk.acts.plan, metrics=page, refused=refusals, answers=answers(settings),
            trace=tracing.request if tracing else None,
        )
    )  # fmt: skip
