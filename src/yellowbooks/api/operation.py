"""What the OpenAPI document says of an operation beyond what the framework can read from its handler."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
from litestar.openapi.spec import Link, OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody

NOT_BLANK = r"[^\s\x00\x1c-\x1f\x85]"
"""A pattern: one character at least that is no space, as Python's `str.strip` has it."""


def schema_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON Schema of one flat struct."""
    _, components = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
    schema: dict[str, Any] = components[shape.__name__]
    return schema


def described(
    takes: dict[str, Any] | None = None, *, media: str = "application/json", required: bool = True,
    gives: tuple[str, ...] = (), leads: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> type[Operation]:  # fmt: skip
    """The class of an operation whose body, of type `media`, has the JSON Schema `takes`, and whose 200 is text of the
    types `gives`. Its 202 leads to operations: `leads` has the parameter of each, and where in the answer it stands."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            if takes is not None:
                body: Any = takes  # a schema as it stands, where the framework has a class for one
                self.request_body = RequestBody(content={media: OpenAPIMediaType(schema=body)}, required=required)
            answer, taken = ((self.responses or {}).get(status) for status in ("200", "202"))
            if gives and isinstance(answer, OpenAPIResponse):
                answer.content = {one: OpenAPIMediaType() for one in gives}
            if leads and isinstance(taken, OpenAPIResponse):
                taken.links = {
                    to: Link(operation_id=to, parameters={name: f"$response.body#/{where}"})
                    for to, (name, where) in leads.items()
                }

    return Described
