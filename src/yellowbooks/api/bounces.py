"""Delivery reports over HTTP: a mail server's hook posts them, and dead addresses get no further mail."""

from typing import Any

from litestar import Request, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody

from yellowbooks.api.operation import described
from yellowbooks.jobs import Fault, Invalid
from yellowbooks.mail import BounceIntake, NoReport

BODY_BYTES = 1024 * 1024


def bounce_route(intake: BounceIntake | None) -> HTTPRouteHandler:
    """`POST /api/admin/bounces`: the report as it came, as the body; 503 where no secret is set."""

    @post(
        "/api/admin/bounces",
        status_code=200,
        request_max_body_size=BODY_BYTES,
        summary="Take in a delivery report (a bounced mail, RFC 3464)",
        operation_id="take-bounce",
        operation_class=described({"type": "string", "format": "binary"}, media="message/rfc822"),
    )
    async def take(request: Request[Any, Any, Any], body: RawBody) -> dict[str, Any]:
        """`taken` has one entry a failure: `answer` is suppressed, struck, passed_over or not_ours."""
        if intake is None:
            raise HTTPException("YB_MAIL_SECRET is not set, so a report could be forged; set it", status_code=503)
        if request.content_type[0] not in ("message/rfc822", "application/octet-stream"):
            raise Invalid([Fault("body", "is no mail; set the header «Content-Type: message/rfc822»")])
        try:
            taken = await intake.take(body)
        except NoReport as error:
            raise Invalid([Fault("body", str(error))]) from None
        return {"taken": [{"answer": one.word, "ref": one.ref or None, "why": one.why} for one in taken]}

    return take
