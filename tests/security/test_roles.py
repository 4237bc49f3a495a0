"""Role x route: every route has a rule, every rule a route, and every role gets what the rule says."""

import re
from pathlib import Path

import httpx
import pytest
from litestar import get

from tests.conftest import ValkeyServer
from tests.security.roles import PAGES, ROLES, ROUTES, RULES, VALUES
from tests.security.whole import Whole, whole


def unruled(operations: set[str]) -> set[str]:
    """What is served and has no rule, or has one and is not served."""
    return operations ^ set(ROUTES)


async def documented(api: Whole) -> set[str]:
    """Every operation of the OpenAPI document."""
    async with api.client() as client:
        paths = (await client.get("/schema")).json()["paths"]
    return {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}


async def ask(client: httpx.AsyncClient, operation: str, headers: dict[str, str]) -> httpx.Response:
    """The operation, on things that are not there."""
    method, path = operation.split(" ")
    path = re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "nobody-has-this"), path)
    body = {"json": {}} if method not in ("GET", "HEAD") else {}
    return await client.request(method, path, headers=headers, **body)


async def wrong_answers(api: Whole, role: str) -> list[str]:
    """What the role gets and should not, or does not get and should: a line each."""
    wrong = []
    async with api.client() as client:
        headers = await ROLES[role](client)
        for operation, rule in ROUTES.items():
            reply = await ask(client, operation, headers)
            refused = reply.status_code in (401, 403)
            if refused == (role in RULES[rule]) or reply.status_code == 500:
                wrong.append(f"{role}: {operation} is «{rule}» and was answered {reply.status_code}")
            if refused and not reply.headers["content-type"].startswith("application/problem+json"):
                wrong.append(f"{role}: {operation} is refused without a problem")
            if reply.status_code == 401 and rule != "signature" and "www-authenticate" not in reply.headers:
                wrong.append(f"{role}: {operation} does not say how to be let in")
    return wrong


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_gets_what_the_table_says(api: Whole, role: str) -> None:
    assert await wrong_answers(api, role) == []


async def test_every_route_has_a_rule_and_stands_in_the_document(api: Whole) -> None:
    served, shown = api.operations(), await documented(api)
    assert not unruled(served), "give the route a line in tests/security/roles.py"
    assert shown <= served
    hidden = {operation for operation in served - shown if not operation.split(" ")[1].startswith(PAGES)}
    assert not hidden, "what programs may call stands in the OpenAPI document"


async def test_the_document_says_where_a_key_is_asked_for(api: Whole) -> None:
    async with api.client() as client:
        paths = (await client.get("/schema")).json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            rule = ROUTES[f"{method.upper()} {path}"]
            assert ("security" in operation) == (rule in ("callers", "operators")), path


async def test_rules_name_roles_that_there_are() -> None:
    assert set(ROUTES.values()) <= set(RULES)
    assert all(roles <= set(ROLES) for roles in RULES.values())


async def test_a_new_route_without_a_rule_or_a_guard_is_found(api: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/api/admin/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "everything"

    api.app.register(forgotten)
    assert unruled(api.operations()) == {"GET /api/admin/forgotten"}
    monkeypatch.setitem(ROUTES, "GET /api/admin/forgotten", "operators")
    assert await wrong_answers(api, "nobody") == [
        "nobody: GET /api/admin/forgotten is «operators» and was answered 200"
    ]


async def test_without_keys_everybody_is_let_in(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    """On loopback alone: beyond it the API refuses to start without keys (tests/access/test_processes.py)."""
    async with whole(own_valkey.url, tmp_path, api_keys=(), admin_keys=()) as api, api.client() as client:
        refused = {one for one in ROUTES if (await ask(client, one, {})).status_code in (401, 403)}
    assert {ROUTES[one] for one in refused} == {"signature"}
