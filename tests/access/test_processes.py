"""Real processes: an API beyond this machine needs keys, and two APIs hear of a revocation at once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.cli.test_api_keys import Keys
from tests.conftest import ValkeyServer
from tests.security.whole import bearer
from tests.test_up import EVENT, PATH, System, free_port, start  # noqa: F401  the fixture

NOWHERE = "0.0.0.0"


def ask(api: System, key: str = "", **changes: Any) -> httpx.Response:
    return httpx.post(api.url + PATH, json=EVENT | changes, headers=bearer(key) if key else {}, timeout=30)


def test_beyond_loopback_it_needs_keys_and_revokes_at_once(
    own_valkey: ValkeyServer, short_folder: Path, start: Callable[..., System]  # noqa: F811
) -> None:  # fmt: skip
    keys = Keys(own_valkey.url, short_folder / "data")
    settings = {"YB_VALKEY_URL": own_valkey.url, "YB_HOST": NOWHERE, "YB_PORT": str(free_port())}
    refused = start("api", ready="", **settings)
    refused.read_until("there is no key of api and of admin")
    assert refused.process.wait(30) == 2
    line = next(line for line in refused.lines if "there is no key" in line)
    for words in ("YB_HOST: 0.0.0.0 is reached", "keys issue --role admin", "YB_ADMIN_KEYS", "yellowbooks keys new"):
        assert words in line
    nothing_yet = start("up", ready="", YB_HOST=NOWHERE)
    nothing_yet.read_until("while `yellowbooks up` runs with YB_HOST=127.0.0.1")
    assert nothing_yet.process.wait(30) == 2
    keys.issue("--role", "admin", "--name", "ops")
    start("api", ready="there is no key of api.", **settings)
    staying, _ = keys.issue("--role", "api", "--name", "shop")
    ports = (settings["YB_PORT"], str(free_port()))
    apis = [start("api", ready='"ready"', **(settings | {"YB_PORT": port})) for port in ports]
    assert [ask(api).status_code for api in apis] == [401, 401]
    for number in range(5):
        going, key_id = keys.issue("--role", "api", "--name", "shop")
        assert {ask(api, going, userId=f"u{number}").status_code for api in apis} == {202}
        keys("revoke", key_id)
        replies = [ask(api, going) for api in apis]
        assert [reply.status_code for reply in replies] == [401, 401]
        assert all("was revoked" in reply.json()["detail"] for reply in replies)
    own_valkey.kill()
    assert [ask(api, staying, userId="u9").status_code for api in apis] == [202, 202]
    assert [ask(api, going).status_code for api in apis] == [401, 401]
    for api in apis:
        api.process.terminate()
    for api in apis:
        assert api.process.wait(30) == 0
    again = start("api", ready='"ready"', **settings)  # while the queue is away: it has its copy
    assert [ask(again, staying, userId="u10").status_code, ask(again, going).status_code] == [202, 401]
    own_valkey.start()
    deadline = time.monotonic() + 30
    while httpx.get(f"{again.url}/readyz", timeout=30).json()["status"] != "ok":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for api in (*apis, again):
        assert staying.rpartition("_")[2] not in "".join(api.lines)
