"""How an operator's act is written down before it is done; who keeps the trail is handed in."""

from typing import Any, Protocol

from litestar import Request

from yellowbooks.api.filter import Filter


class Audit(Protocol):
    """Writes one act down, durably, before it is done. `what` is a job's id, a kind, a filter or a key as text;
    `before` and `after` are JSON without personal data. Gives how the operator is named in a job's history.

    Raises an HTTP 503 where it cannot be written: then the act is not done.
    """

    async def __call__(
        self, request: Request[Any, Any, Any], act: str, what: str, *, before: Any = None, after: Any = None,
        reason: str = "",
    ) -> str | None:  # fmt: skip
        """Write it down."""
        ...


class Plan(Protocol):
    """Takes an act on many dead jobs in, to be done after the filter's `delay`; gives what is answered."""

    async def __call__(
        self, request: Request[Any, Any, Any], act: str, chosen: Filter, count: int
    ) -> dict[str, Any]:  # fmt: skip
        """Take it in."""
        ...


async def unaudited(
    request: Request[Any, Any, Any],  # noqa: ARG001  the arguments are the protocol's
    act: str,  # noqa: ARG001
    what: str,  # noqa: ARG001
    *,
    before: Any = None,  # noqa: ARG001
    after: Any = None,  # noqa: ARG001
    reason: str = "",  # noqa: ARG001
) -> str | None:
    """Nobody keeps a trail: an API that was put together without a job log."""
    return None
