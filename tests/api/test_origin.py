"""No page of another site acts for an operator."""

import httpx
import pytest

from tests.api.conftest import Api

OURS = {"host": "127.0.0.1:3333"}
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},  # another port, another subdomain
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:3333"},
    {"origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:8000"},
    {"origin": "null"},  # a sandboxed page
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for method, path in (
        ("POST", "/api/admin/dlq/retry"),
        ("DELETE", "/api/admin/dlq/x"),
        ("POST", "/api/admin/bounces"),
    ):
        reply = await client.request(method, path, headers=OURS | headers, content=b"{}")
        assert reply.status_code == 403
        assert "another site" in reply.json()["detail"]
    assert (await client.get("/api/admin/dlq", headers=OURS | headers)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1:3333"}], ids=str
)
async def test_our_own_page_and_a_program_pass(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/api/admin/dlq/retry", headers=OURS | headers)).status_code == 202


async def test_a_right_key_does_not_help_a_foreign_page(api: Api) -> None:
    async with api.client(admin_keys=["secret"]) as client:
        reply = await client.post("/api/admin/dlq/retry", headers=FOREIGN[0], auth=("bat", "secret"))
        assert reply.status_code == 403
        assert (await client.post("/api/admin/dlq/retry", auth=("bat", "secret"))).status_code == 202
