"""What the fuzz found once, each kept as a case of its own."""

from typing import Any

import pytest

from tests.security.conftest import api
from tests.security.whole import OPERATOR, Whole, bearer

__all__ = ["api"]

DLQ = "/api/admin/dlq"


async def ask(api: Whole, method: str, path: str, **options: Any) -> Any:
    async with api.client(headers=bearer(OPERATOR)) as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", f"{DLQ}/retry", {"json": {"pace": 5e-324}}),  # was 500: a delay without end
        ("POST", f"{DLQ}/retry", {"json": {"limit": 1e300}}),
        ("POST", f"{DLQ}/retry", {"json": {"limit": 1.5}}),
        ("POST", f"{DLQ}/discard", {"json": {"error": "", "reason": "all of them"}}),  # was every dead job
        ("POST", f"{DLQ}/discard", {"json": {"cause": "", "reason": "all of them"}}),
        ("GET", DLQ, {"params": {"cursor": "1_000"}}),
        ("GET", "/api/admin/jobs", {"params": {"until": "0.5"}}),  # was half a second after 1970
        ("GET", "/api/admin/jobs", {"params": {"cursor": "٣.job"}}),
        ("GET", "/api/admin/suppressions", {"params": {"cursor": "٣"}}),
    ],
)
async def test_bad_input_is_a_400(api: Whole, method: str, path: str, options: dict[str, Any]) -> None:
    reply = await ask(api, method, path, **options)
    assert reply.status_code == 400, reply.text


async def test_a_whole_number_may_be_written_with_a_point(api: Whole) -> None:
    assert (await ask(api, "POST", f"{DLQ}/retry", json={"limit": 5.0})).status_code == 202


async def test_options_names_every_method_of_a_path(api: Whole) -> None:
    for path, methods in {
        f"{DLQ}/a": "DELETE, GET, OPTIONS, PATCH", "/api/admin/acts/a": "DELETE, GET, OPTIONS", "/healthz": "GET, OPTIONS",
    }.items():  # fmt: skip
        assert (await ask(api, "OPTIONS", path)).headers["allow"] == methods
