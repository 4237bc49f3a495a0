"""`POST /api/webhooks/{source}`: the request proves itself by its signature, so no key of ours is asked for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.exceptions import HTTPException, NotAuthorizedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.params import PathParameter, RawBody

from yellowbooks.jobs import Fault, Invalid
from yellowbooks.webhooks.intake import Intake, Item
from yellowbooks.webhooks.schemes import Forged, Sent
from yellowbooks.webhooks.sources import SOURCES

Source = Annotated[str, PathParameter(schema_extra={"enum": [*SOURCES]})]
BODY_BYTES = 1024 * 1024
ANSWERS = {
    200: "A duplicate, or an event that makes no mail: `status` and `why` say which; nothing is to be sent again",
    404: "No source of this name, or none that has a secret",
    413: "The request is over 1 MiB",
}
FULL_RETRY_SECONDS = 30


@dataclass
class _Taking(Operation):
    """The operation as the OpenAPI document shows it: the body is the sender's, so nothing is said of its fields."""

    def __post_init__(self) -> None:
        schema = Schema(description=f"whatever the source sends; the sources are {', '.join(SOURCES)}")
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)


def webhook_route(intakes: Mapping[str, Intake]) -> HTTPRouteHandler:
    """The route over the sources that have a secret, by name."""

    @post(
        "/api/webhooks/{source:str}",
        status_code=202,
        request_max_body_size=BODY_BYTES,
        response_description="A job was made: `jobId`; of a batch `items`",
        responses={
            status: ResponseSpec(dict[str, Any], generate_examples=False, description=text)
            for status, text in ANSWERS.items()
        },
        operation_class=_Taking,
        summary="Take in the events of an identity provider, signed in its own way",
        operation_id="take-webhook",
    )
    async def take(request: Request[Any, Any, Any], source: Source, body: RawBody) -> Response[dict[str, Any]]:
        """202 where a job was made, 200 where the event was a duplicate or none that makes a mail."""
        intake = _intake(intakes, source)
        sent = Sent({name.lower(): value for name, value in request.headers.items()}, body, time.time())
        try:
            intake.prove(sent)
        except Forged as error:
            raise NotAuthorizedException(f"this request is not proved to be from {source}: {error}") from None
        if (waited_for := await intake.hear(sent)) is not None:
            return Response(waited_for, status_code=200)
        return _answer(source, await intake.take(sent), several=body.lstrip()[:1] == b"[")

    return take


def _intake(intakes: Mapping[str, Intake], source: str) -> Intake:
    if source not in SOURCES:
        raise NotFoundException(f"there is no source of this name; there are {', '.join(SOURCES)}")
    if source not in intakes:
        raise NotFoundException(f"YB_WEBHOOK_SECRETS has no secret of {source}; set YB_WEBHOOK_SECRETS={source}:SECRET")
    return intakes[source]


def _answer(source: str, items: list[Item], *, several: bool) -> Response[dict[str, Any]]:
    """A request is refused as a whole only where none of its events could be read, or the queue is full: a sender
    repeats the whole batch, and what was taken of it is then a duplicate."""
    if any(item.status == "full" for item in items):
        raise HTTPException(
            "too many jobs are waiting; start more workers",
            status_code=503,
            headers={"Retry-After": str(FULL_RETRY_SECONDS)},
        )
    if items and all(item.status == "invalid" for item in items):
        raise Invalid([Fault(fault.field, fault.why) for item in items for fault in item.faults])
    made = any(item.status == "enqueued" for item in items)
    several = several or len(items) != 1
    content = {"source": source} | ({"items": [item.view() for item in items]} if several else items[0].view())
    return Response(content, status_code=202 if made else 200)
