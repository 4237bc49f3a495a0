"""The hook of examples/webhooks in Better Auth itself, which is installed into .venv from a lock."""

import asyncio
import fcntl
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.api.test_inbox import served
from tests.browser import NODE
from tests.parts import take
from tests.webhooks.cases import STANDARD
from tests.webhooks.test_page import FOLDER, run
from yellowbooks.jobs import Queue
from yellowbooks.settings import load
from yellowbooks.wiring import webhook_routes

HERE = Path(__file__).parent / "betterauth"
BUILT = Path(sys.prefix) / "betterauth"  # in .venv
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0"


def install() -> None:
    """Install what is not there, or not by today's lock."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the tests may be at it
        wanted, done = (HERE / "package-lock.json").read_text("utf-8"), BUILT / ".done"
        if not done.exists() or done.read_text("utf-8") != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, BUILT / name)
            npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
            options = ["--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run([NODE / "bin/node", npm, "ci", *options], cwd=BUILT, check=True)
            done.write_text(wanted, "utf-8")
        shutil.copy(HERE / "sign_in.mjs", BUILT)


@pytest.fixture
async def url(api: Api, queue: Queue) -> AsyncIterator[str]:
    settings = load({"YB_WEBHOOK_SECRETS": f"better-auth:{STANDARD}"}).settings
    api.parts["routes"] = webhook_routes(settings, queue, api.kind, api.told)
    async with served(api) as (address, _server):
        yield address


async def sign_in(url: str) -> list[str]:
    await asyncio.to_thread(install)
    status, output = await run(
        NODE / "bin/node", "--no-warnings", BUILT / "sign_in.mjs", FOLDER / "better-auth.ts", AGENT,
        YELLOWBOOKS_URL=url, YELLOWBOOKS_SECRET=STANDARD, BETTER_AUTH_SECRET=secrets.token_hex(32), NO_PROXY="*",
    )  # fmt: skip
    assert status == 0, output
    return output.splitlines()


async def test_a_sign_in_makes_a_job(url: str, api: Api, queue: Queue) -> None:
    lines = await sign_in(url)
    assert lines == ["/sign-up/email 200 signed in", "/sign-in/email 200 signed in", "/sign-in/email 401 "]
    [lease] = await take(queue, "signin-notification")
    sent = api.kind.decode(lease.payload)
    assert (sent.email, sent.name, sent.provider) == ("bat@example.com", "Бат", "email")
    assert (sent.ip_address, sent.user_agent) == ("192.0.2.44", AGENT)
    assert lease.job_id.startswith("better-auth.")
    # The registration was told too; its address was not verified then.
    assert [fields["why"] for _, fields in api.told.lines] == [
        "the address is not verified, so it may be somebody else's"
    ]


async def test_with_us_away_the_sign_in_is_the_same() -> None:
    lines = await sign_in("http://127.0.0.1:9")  # nobody answers there
    ours = [line for line in lines if "yellow books" in line]
    assert len(ours) == 2
    assert [line for line in lines if line not in ours] == [
        "/sign-up/email 200 signed in", "/sign-in/email 200 signed in", "/sign-in/email 401 ",
    ]  # fmt: skip
