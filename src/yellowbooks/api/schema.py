"""The OpenAPI document at /schema: what the framework knows of the paths, and each kind's payload."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import MediaType, Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from yellowbooks.jobs import Kind

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": ["integer", "string"]},
        "detail": {"type": "string"},
        "error": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "why"],
                "properties": {"field": {"type": "string"}, "why": {"type": "string"}},
            },
        },
    },
}
ANSWERS = {
    "400": "a field is wrong; `errors` names it",
    "401": "no key, or a wrong one",
    "503": "the queue, or what else this needs, is away; see Retry-After",
}
OF_ONE_JOB = {"404": "no job has this id"}
OF_ONE_DEAD_JOB = OF_ONE_JOB | {"409": "the job is not dead"}
ENQUEUE_ANSWERS = {
    "409": "this jobId came within the last 7 days; `status` is the first job's",
    "413": "the body is over 64 KiB",
    "429": "the user's limit is reached; see Retry-After",
}
ENQUEUED = {
    "type": "object",
    "required": ["jobId", "status"],
    "properties": {
        "jobId": {"type": "string"},
        "status": {"const": "enqueued"},
        "notify": {
            "enum": ["every", "new_device", "suspicious"],
            "description": "with YB_NOTIFY: which sign-ins are told at once; the others stand in a summary",
        },
    },
}


class SchemaPage(OpenAPIRenderPlugin):
    """Answers `GET /schema` with the document as JSON."""

    def __init__(self, kinds: Sequence[Kind[Any]]) -> None:
        super().__init__(path=["/", "/openapi.json"], media_type=MediaType.JSON)
        self._kinds = kinds
        self._document = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The framework's document, completed once."""
        self._document = self._document or self.render_json(request, describe(openapi_schema, self._kinds))
        return self._document


def describe(document: dict[str, Any], kinds: Sequence[Kind[Any]]) -> dict[str, Any]:
    """The framework's document with the request bodies and problems added."""
    _, components = msgspec.json.schema_components(
        [kind.payload for kind in kinds], ref_template="#/components/schemas/{name}"
    )
    document.setdefault("components", {}).setdefault("schemas", {}).update(components | {"Problem": PROBLEM})
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"] |= {status: _problem(why) for status, why in _answers(path).items()}
    for kind in kinds:
        operation = document["paths"][f"/api/jobs/{kind.name}"]["post"]
        body = {"$ref": f"#/components/schemas/{kind.payload.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        operation["responses"]["202"] = {
            "description": "The job is taken",
            "headers": {"Location": {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": ENQUEUED}},
        }
        operation["responses"] |= {status: _problem(why) for status, why in ENQUEUE_ANSWERS.items()}
    taking = document["paths"]["/api/admin/bounces"]["post"]
    mail = {"schema": {"type": "string", "format": "binary"}}
    taking["requestBody"] = {"required": True, "content": {"message/rfc822": mail}}
    taking["responses"]["413"] = _problem("the report is over 1 MiB")
    return document


def _answers(path: str) -> dict[str, str]:
    if "{job_id}" not in path:
        return ANSWERS
    return ANSWERS | (OF_ONE_DEAD_JOB if "/dlq/" in path else OF_ONE_JOB)


def _problem(why: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": why, "content": {"application/problem+json": {"schema": schema}}}
