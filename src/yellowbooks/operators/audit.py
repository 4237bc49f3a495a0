"""Every act of an operator is written down before it is done; one that cannot be written down is not done."""

import hashlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from yellowbooks.api import operator_of
from yellowbooks.jobs import Fault, Invalid
from yellowbooks.operators.desk import Desk
from yellowbooks.operators.shapes import ActOf, Acts
from yellowbooks.views import time as shown_time

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

PAGE = 100


class Trail:
    """Writes acts into the job log's database. `secret` keys the hash by which a key is told from others."""

    def __init__(self, desk: Desk, secret: Callable[[], bytes]) -> None:
        self._desk = desk
        self._secret = secret

    async def __call__(
        self, request: Request[Any, Any, Any], act: str, what: str, *, before: Any = None, after: Any = None,
        reason: str = "",
    ) -> str:  # fmt: skip
        """Write one act down; gives how the operator is named in a job's history. Raises HTTP 503, and 400 for text
        that no database takes."""
        from yellowbooks.joblog import OperatorAct  # noqa: PLC0415  brings SQLAlchemy: only who acts pays

        who, key = self.who(request)
        texts = {"who": who, "what": what, "reason": reason}
        if bad := [Fault(name, "holds a NUL; remove it") for name, text in texts.items() if "\0" in text]:
            raise Invalid(bad)
        one = OperatorAct(
            at=round(time.time() * 1000), who=who, key=key, act=act, what=what, before=before, after=after,
            reason=reason,
        )  # fmt: skip
        try:
            await self._desk.log.ask(lambda log: log.act(one))
        except ConnectionError as error:
            raise HTTPException(
                f"nothing was done, as it cannot be written into the trail: {error}",
                status_code=503,
                headers={"Retry-After": "5"},
            ) from error
        return who or f"operator {key}".strip()

    def who(self, request: Request[Any, Any, Any]) -> tuple[str, str]:
        """How the operator is called, and the id of his issued key, or of another a short keyed hash ("" of none)."""
        name, caller = operator_of(request)
        return name, caller.id or (self.fingerprint(caller.secret) if caller.secret else "")

    def fingerprint(self, key: bytes) -> str:
        """Eight hexadecimal digits that tell a key from others and do not give it away."""
        return hashlib.blake2b(key, key=self._secret()[:64], digest_size=4, person=b"yb-operator").hexdigest()


def audit_route(desk: Desk) -> HTTPRouteHandler:
    """`GET /api/admin/audit`."""

    @get("/api/admin/audit", summary="What operators did, newest first", operation_id="list-acts")
    async def show(
        cursor: FromQuery[int | None] = None,
        what: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE)] = 50,
    ) -> Response[Acts]:
        """`what` is a job's id, a kind, a filter or a key; `next` is the cursor of the following page."""

        def look(log: "JobLog") -> Acts:
            found = log.acts(limit + 1, before=cursor, what=what)
            acts = [
                ActOf(
                    at=shown_time(one.at) or "", who=one.who, key=one.key, act=one.act, what=one.what,
                    before=one.before, after=one.after, reason=one.reason,
                )
                for one in found[:limit]
            ]  # fmt: skip
            return Acts(acts=acts, next=found[limit - 1].id if len(found) > limit else None)

        return Response(await desk.ask(look), headers={"Cache-Control": "no-store"})

    return show
