"""The OpenAPI document at /schema: what the framework knows of the paths, and each kind's payload."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import MediaType, Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

from yellowbooks.api.hosts import PROBES
from yellowbooks.api.session import COOKIE
from yellowbooks.api.signed import KEY_ID
from yellowbooks.jobs import Kind, State

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
_TEXT, _WHOLE, _MAYBE = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}
_STATUS = {"enum": [state.value for state in State]}
JOB = {
    "type": "object",
    "additionalProperties": False,  # whatever a job holds besides is nobody's to see
    "required": ["jobId", "type", "status", "attempts", "maxAttempts", "createdAt", "history"],
    "properties": {
        "jobId": _TEXT, "type": _TEXT, "status": _STATUS, "attempts": _WHOLE, "maxAttempts": _WHOLE,
        "crashes": _WHOLE, "generation": _WHOLE, "createdAt": _MAYBE, "startedAt": _MAYBE, "processedAt": _MAYBE,
        "nextAttemptAt": _MAYBE, "error": _MAYBE,
        "history": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["at", "event"],
                "properties": {
                    "at": _TEXT, "event": _TEXT, "status": _TEXT, "attempt": _WHOLE, "nextAttemptAt": _TEXT,
                    "error": _TEXT, "worker": _TEXT,
                },
            },
        },
    },
}  # fmt: skip
ANSWERS = {
    "400": "a field is wrong; `errors` names it",
    "414": "the address is over 4 KiB",
    "429": "too many requests from one address, or with one key; see Retry-After",
    "503": "the queue, or what else this needs, is away, or too much is asked at once; see Retry-After",
}
UNAUTHORIZED = {"401": "no key, or a wrong one"}
FORBIDDEN = {"403": "a key that may not do this, or a browser that sent it for the page of another site"}
MISSING = {"404": "there is none of this name"}
CONFLICT = {"409": "it is not in the state that this needs"}
LARGE = {"413": "the body is over 64 KiB (a delivery report or a webhook: 1 MiB)"}
ENQUEUE_ANSWERS = LARGE | {
    "409": "this jobId came within the last 7 days; `status` is the first job's",
    "429": "the user's limit is reached, or too many requests came from one address; see Retry-After",
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
FOLLOWED = ("follow-job", "show-job", "cancel", "reveal", "job-mail")
"""Operations on one job, which the answer to its POST leads to."""

OPEN = (*PROBES, "/api/webhooks/")
"""Where no key of ours is asked for."""

KEYS = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "a key of YB_API_KEYS or YB_ADMIN_KEYS, or an issued one",
    },
    "password": {"type": "http", "scheme": "basic", "description": "any name, and the key as the password"},
}
SESSION = {
    "session": {
        "type": "apiKey", "in": "cookie", "name": COOKIE,
        "description": "of a browser that signed in at /dashboard/login; acts also need X-CSRF-Token",
    }
}  # fmt: skip
SIGNATURE = {
    "keyId": {"type": "apiKey", "in": "header", "name": KEY_ID, "description": "the id of a key that signs"},
    "signature": {
        "type": "apiKey", "in": "header", "name": "webhook-signature",
        "description": "Standard Webhooks, with webhook-id and webhook-timestamp; a job without an id of its own gets "
        "one from webhook-id",
    },
}  # fmt: skip
OPERATORS = ("/api/admin/", "/api/events")


class SchemaPage(OpenAPIRenderPlugin):
    """Answers `GET /schema` with the document as JSON. Unless `closed`, a key is asked for once one was issued."""

    def __init__(self, kinds: Sequence[Kind[Any]], *, closed: bool) -> None:
        super().__init__(path=["/", "/openapi.json"], media_type=MediaType.JSON)
        self._kinds = kinds
        self._closed = closed
        self._document = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The framework's document, completed once."""
        if not self._document:
            described = describe(openapi_schema, self._kinds, closed=self._closed)
            self._document = self.render_json(request, described)
        return self._document


def describe(document: dict[str, Any], kinds: Sequence[Kind[Any]], *, closed: bool) -> dict[str, Any]:
    """The framework's document with the request bodies, keys and problems added."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for shape in schemas.values():  # what an answer does not name, it does not hold
        if "properties" in shape:
            shape.setdefault("additionalProperties", False)
    _, payloads = msgspec.json.schema_components(
        [kind.payload for kind in kinds], ref_template="#/components/schemas/{name}"
    )
    schemas.update(payloads | {"Problem": PROBLEM, "Job": JOB})
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, _answers(method, path, operation))
            if not path.startswith(OPEN):
                # From this machine /metrics is open, so a key is one of two ways.
                without: list[dict[str, Any]] = [] if closed and path != "/metrics" else [{}]
                ways = KEYS | SESSION if path.startswith(OPERATORS) else KEYS
                operation["security"] = [*without, *({name: []} for name in ways)]
    document["components"]["securitySchemes"] = KEYS | SESSION | SIGNATURE
    for kind in kinds:
        _describe_enqueue(document["paths"][f"/api/jobs/{kind.name}"]["post"], kind, document)
    _gives(document["paths"]["/api/jobs/{job_id}"]["get"], {"$ref": "#/components/schemas/Job"})
    return document


def _describe_enqueue(operation: dict[str, Any], kind: Kind[Any], document: dict[str, Any]) -> None:
    operation["security"].append({name: [] for name in SIGNATURE})
    body = {"$ref": f"#/components/schemas/{kind.payload.__name__}"}
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    known = {one.get("operationId") for operations in document["paths"].values() for one in operations.values()}
    operation["responses"]["202"] = {
        "description": "The job is taken",
        "headers": {"Location": {"schema": {"type": "string"}}},
        "content": {"application/json": {"schema": ENQUEUED}},
        "links": {
            name: {"operationId": name, "parameters": {"job_id": "$response.body#/jobId"}}
            for name in FOLLOWED
            if name in known
        },
    }
    _complete(operation, ENQUEUE_ANSWERS)


def _complete(operation: dict[str, Any], answers: Mapping[str, str]) -> None:
    """Every error is a problem, whoever described it; what was said of it stands."""
    said = {status: one["description"] for status, one in operation["responses"].items() if int(status) >= 400}
    operation["responses"] |= {status: _problem(why) for status, why in {**said, **answers}.items()}


def _answers(method: str, path: str, operation: dict[str, Any]) -> dict[str, str]:
    answers = dict(ANSWERS)
    if not path.startswith(PROBES):
        answers |= UNAUTHORIZED
    if not path.startswith(OPEN):
        answers |= FORBIDDEN
    if "{" in path:
        answers |= MISSING
    if method != "get":
        answers |= LARGE if "requestBody" in operation else {}
        answers |= CONFLICT if path.startswith("/api/admin/") and "{" in path else {}
    elif "/dlq/{" in path:
        answers |= CONFLICT
    return answers


def _gives(operation: dict[str, Any], schema: dict[str, Any]) -> None:
    operation["responses"]["200"]["content"] = {"application/json": {"schema": schema}}


def _problem(why: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": why, "content": {"application/problem+json": {"schema": schema}}}
