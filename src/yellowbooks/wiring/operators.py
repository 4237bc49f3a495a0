"""What operators see and do over HTTP."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yellowbooks.jobs import Queue


def operators_desk(queue: "Queue", stopping: Callable[[], bool]) -> tuple[list[Any], Callable[[], Awaitable[None]]]:
    """The operators' routes, and what closes the parts behind them."""
    from yellowbooks.operators import Now, Watch, live_routes

    watch = Watch(queue)
    return live_routes(Now(queue, watch), watch, stopping), watch.close
