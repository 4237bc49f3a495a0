"""docs/integrations/webhooks.md: what it shows is run, from examples/webhooks, against the API on a real port."""

import asyncio
import json
import os
import runpy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import rjsonnet
import yaml

from tests.api.conftest import Api
from tests.api.test_inbox import served
from tests.browser import NODE
from tests.parts import take
from tests.webhooks.cases import OLD_STANDARD, RECORDED, SECRETS, STANDARD, fresh
from yellowbooks.jobs import Queue
from yellowbooks.settings import load
from yellowbooks.webhooks import SOURCES
from yellowbooks.wiring import webhook_routes

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "examples/webhooks"
PAGE = (ROOT / "docs/integrations/webhooks.md").read_text("utf-8")
by_name = {path.stem: path for path in RECORDED}
TEXT = f"better-auth:{STANDARD},own:{OLD_STANDARD},kratos:{SECRETS['kratos']}"


@pytest.fixture
async def url(api: Api, queue: Queue) -> AsyncIterator[str]:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    api.parts["routes"] = webhook_routes(settings, queue, api.kind, api.told)
    async with served(api) as (address, _server):
        yield address


async def payload(api: Api, queue: Queue) -> Any:
    [lease] = await take(queue, "signin-notification")
    return api.kind.decode(lease.payload)


async def run(*words: str | Path, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *words, env=os.environ | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def test_the_table_has_every_source() -> None:
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert rows == sorted(SOURCES)


async def test_an_application_of_ones_own(url: str, api: Api, queue: Queue) -> None:
    status, output = await run(sys.executable, FOLDER / "send.py", YELLOWBOOKS_URL=url, YELLOWBOOKS_SECRET=OLD_STANDARD)
    assert (status, "'status': 'enqueued'" in output) == (0, True), output
    sent = await payload(api, queue)
    assert (sent.email, sent.name, sent.provider, sent.ip_address) == ("bat@example.com", "Бат", "github", "192.0.2.44")


async def test_its_second_telling_is_a_duplicate(url: str) -> None:
    tell = runpy.run_path(str(FOLDER / "send.py"))["tell_yellow_books"]
    event = fresh(by_name["own"])["data"]
    event["occurredAt"] = fresh(by_name["own"])["timestamp"]
    answers = [await asyncio.to_thread(tell, event, url, OLD_STANDARD) for _ in range(2)]
    assert [answer["status"] for answer in answers] == ["enqueued", "duplicate"]


# Runs the page's hook in Node with what Better Auth hands to it, and says how long the hook took.
SIGN_IN = """
const { databaseHooks } = await import(process.argv[1]);
const { session, user } = JSON.parse(process.argv[2]);
for (const name of ["createdAt", "updatedAt", "expiresAt"]) session[name] = new Date(session[name]);
const waiting = [];
const context = { internalAdapter: { findUserById: async (id) => id === user.id ? user : null },
                  runInBackground: (promise) => waiting.push(promise) };
const ctx = { path: "/callback/:id", params: { id: "github" }, context };
const begun = performance.now();
await databaseHooks.session.create.after({ ...session, token: "canary-token" }, ctx);
console.log("took", performance.now() - begun, "ms");
await Promise.all(waiting);
"""


async def better_auth(url: str) -> str:
    data = fresh(by_name["better-auth"])["data"]
    status, output = await run(
        NODE / "bin/node", "--no-warnings", "--input-type=module", "-e", SIGN_IN, FOLDER / "better-auth.ts",
        json.dumps(data), YELLOWBOOKS_URL=url, YELLOWBOOKS_SECRET=STANDARD, NO_PROXY="*",
    )  # fmt: skip
    assert status == 0, output
    return output


async def test_better_auth(url: str, api: Api, queue: Queue) -> None:
    assert "yellow books" not in await better_auth(url)
    sent = await payload(api, queue)
    assert (sent.email, sent.name, sent.provider, sent.ip_address) == ("bat@example.com", "Бат", "github", "192.0.2.44")
    assert "Chrome/143" in sent.user_agent


async def test_better_auths_sign_in_does_not_fail_with_us() -> None:
    output = await better_auth("http://127.0.0.1:9")  # nobody answers there
    assert "yellow books" in output
    assert "took" in output


async def test_kratos(url: str, api: Api, queue: Queue) -> None:
    """The page's Jsonnet over what Kratos binds, and the header that its configuration says."""
    body = fresh(by_name["kratos"])
    ctx = body | {"request_method": "POST", "request_url": "https://x/login", "request_cookies": {"secret": "canary"}}
    ctx["flow"] |= {"issued_at": "2026-11-25T04:29:00Z", "ui": {"nodes": []}}
    ctx["request_headers"] |= {"Accept-Language": ["mn"], "Referer": ["https://x"]}
    source = (FOLDER / "kratos.jsonnet").read_text("utf-8")
    made = rjsonnet.evaluate_snippet("kratos.jsonnet", source, tla_codes={"ctx": json.dumps(ctx)})
    assert "canary" not in made
    hooks = yaml.safe_load((FOLDER / "kratos.yml").read_text("utf-8"))["selfservice"]["flows"]["login"]["after"][
        "hooks"
    ]
    config = hooks[0]["config"]
    auth = config["auth"]["config"]
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.request(
            config["method"],
            config["url"].replace("http://yellowbooks:3333", url),
            content=made,
            headers={auth["name"]: auth["value"]},
        )
    assert (reply.status_code, reply.json()["status"]) == (202, "enqueued")
    sent = await payload(api, queue)
    assert (sent.email, sent.name, sent.provider, sent.ip_address) == (
        "bat@example.com",
        "Бат Дорж",
        "google",
        "192.0.2.44",
    )
