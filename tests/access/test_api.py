"""Issued keys at the API: who may do what, and what each refusal says."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access.conftest import Office
from tests.conftest import ValkeyServer
from tests.parts import eventually
from tests.security.whole import Whole, bearer, whole
from yellowbooks.access import make_key
from yellowbooks.jobs import Queue
from yellowbooks.settings import Settings
from yellowbooks.wiring import key_secrets

SIGN_IN = {"userId": "u1", "email": "bat@example.com", "provider": "github"}
PATH, HELLO = "/api/jobs/signin-notification", "/api/jobs/hello"


class Desk(Office):
    """The whole API without keys in its settings, and what issues keys for it."""

    def __init__(self, queue: Queue, folder: Path, api: Whole) -> None:
        super().__init__(queue, folder)
        self.api, self.known = api, key_secrets(api.settings)

    async def headers(self, role: str = "api", name: str = "", kinds: tuple[str, ...] = (), **more: Any) -> Any:
        return bearer((await self.issue(role, name, kinds, known=self.known, **more)).text)


@pytest.fixture
async def desk(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    queue = Queue(own_valkey.url)
    keyless: dict[str, Any] = {"api_keys": (), "admin_keys": (), "kinds": ("examples.hello",)}
    async with whole(own_valkey.url, tmp_path, **keyless) as api:
        yield Desk(queue, tmp_path, api)
    await queue.close()


def problem(reply: httpx.Response, status: int, words: str) -> None:
    assert reply.status_code == status, reply.text
    assert words in reply.json()["detail"]


async def test_from_the_first_key_on_it_is_closed(desk: Desk) -> None:
    async with desk.api.client() as client:
        assert (await client.get("/api/admin/dlq")).status_code == 200
        admin = await desk.headers("admin")
        assert (await client.get("/api/admin/dlq", headers=admin)).status_code == 200

        async def closed() -> bool:
            return (await client.get("/api/admin/dlq")).status_code == 401

        await eventually(closed, 30)
        problem(await client.post(PATH, json=SIGN_IN), 401, "yellowbooks keys issue")


async def test_beyond_this_machine_it_is_never_open(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    exposed: dict[str, Any] = {"api_keys": (), "admin_keys": (), "host": "192.0.2.1"}
    async with whole(own_valkey.url, tmp_path, **exposed) as api, api.client() as client:
        for path in ("/api/jobs/x", "/api/admin/dlq", "/metrics"):
            problem(await client.get(path), 401, "yellowbooks keys issue")


async def test_a_scope_holds_for_enqueuing_and_following(desk: Desk) -> None:
    hello, every = await desk.headers(kinds=("hello",)), await desk.headers()
    async with desk.api.client() as client:
        problem(await client.post(PATH, json=SIGN_IN, headers=hello), 403, "this key may enqueue hello alone")
        taken = await client.post(PATH, json=SIGN_IN, headers=every)
        assert taken.status_code == 202
        job = taken.headers["location"]
        assert (await client.get(job, headers=every)).status_code == 200
        hidden = await client.get(job, headers=hello)
        missing = await client.get("/api/jobs/nobody-has-this", headers=hello)
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json() == missing.json() | {
            name: hidden.json()[name] for name in ("detail", "error")
        }  # but for the id that was asked for
        own = await client.post(HELLO, json={"name": "Bat"}, headers=hello)
        assert own.status_code == 202
        assert (await client.get(own.headers["location"], headers=hello)).status_code == 200


async def test_an_applications_key_never_reaches_operators_routes(desk: Desk) -> None:
    api, admin = await desk.headers(), await desk.headers("admin")
    async with desk.api.client() as client:
        for path in ("/api/admin/dlq", "/dashboard", "/inbox"):
            problem(await client.get(path, headers=api), 403, "yellowbooks keys issue --role admin")
            assert (await client.get(path, headers=admin)).status_code == 200
        assert (await client.post(PATH, json=SIGN_IN, headers=admin)).status_code == 202


async def test_each_refusal_says_what_to_do_and_is_counted(desk: Desk) -> None:
    given = await desk.issue(known=desk.known)
    gone, over = await desk.issue(known=desk.known), await desk.headers(expires=int(time.time()) - 1)
    await desk.store.revoke(gone.id)
    scoped = await desk.headers(kinds=("hello",))
    cases = [
        ({}, 401, "send a key as", "no_key"),
        (bearer(make_key("api").text), 401, "not a key of this API", "unknown"),
        (bearer(given.text[:-3]), 401, "send all of it", "unknown"),
        (bearer("something-else"), 401, "not a key of this API", "unknown"),
        (bearer(gone.text), 401, "was revoked", "revoked"),
        (over, 401, "has expired", "expired"),
        (scoped, 403, "may enqueue hello alone", "scope"),
    ]
    async with desk.api.client() as client:
        await eventually(lambda: asks(client), 30)
        for headers, status, words, _ in cases:
            reply = await client.post(PATH, json=SIGN_IN, headers=headers)
            problem(reply, status, words)
            assert (status == 401) == ("www-authenticate" in reply.headers)
        page = (await client.get("/metrics", headers=bearer(given.text))).text
    for why in {why for *_, why in cases}:
        count = sum(one[3] == why for one in cases)
        found = [line for line in page.splitlines() if line.startswith(f'yb_access_denials_total{{reason="{why}"}}')]
        assert float(found[0].split(" ")[1]) >= count, why
    assert f'yb_admission_refusals_total{{kind="signin-notification",reason="unauthorized"}} {len(cases)}' in page


async def asks(client: httpx.AsyncClient) -> bool:
    """Whether the API asks for a key: it hears of the first one within seconds."""
    return (await client.get("/api/jobs/nobody-has-this")).status_code == 401


async def test_the_trail_names_the_key(desk: Desk) -> None:
    headers = await desk.headers("admin", "night-watch")
    async with desk.api.client() as client:
        for more in ({}, {"X-Operator": "Бат".encode()}, {"X-Operator": "night-watch"}):
            reply = await client.post(
                "/api/admin/kinds/hello/pause", json={"reason": "why"}, headers=[*headers.items(), *more.items()]
            )
            assert reply.status_code == 200, reply.text
        acts = (await client.get("/api/admin/audit", headers=headers)).json()["acts"]
    assert [act["who"] for act in reversed(acts)] == ["night-watch", "night-watch: Бат", "night-watch"]
    assert {act["key"] for act in acts} == set((await desk.store.all()).records)


async def test_without_the_queue_a_known_key_enqueues_and_another_waits(desk: Desk, own_valkey: ValkeyServer) -> None:
    headers = await desk.headers()
    async with desk.api.client() as client:
        assert (await client.post(PATH, json=SIGN_IN, headers=headers)).status_code == 202
        own_valkey.kill()
        kept = await client.post(PATH, json=SIGN_IN | {"userId": "u2"}, headers=headers)
        assert kept.status_code == 202
        assert (await client.get("/readyz")).json()["status"] == "spooling"
        reply = await client.post(PATH, json=SIGN_IN, headers=bearer(make_key("api").text))
        problem(reply, 503, "does not know this key")
        assert reply.headers["retry-after"] == "5"
        own_valkey.start()


async def test_two_machines_without_a_common_secret_say_so(
    desk: Desk, own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    headers = await desk.headers()
    keyless: dict[str, Any] = {"api_keys": (), "admin_keys": ()}
    (tmp_path / "other").mkdir()
    async with whole(own_valkey.url, tmp_path / "other", **keyless) as other, other.client() as client:
        problem(await client.post(PATH, json=SIGN_IN, headers=headers), 401, "YB_SECRET_KEYS")


def test_the_secret_of_hashes_is_one_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert key_secrets(settings).first == key_secrets(settings).first
    assert (tmp_path / "keys.secret").stat().st_mode & 0o777 == 0o600
    sealing = Settings(data_dir=tmp_path, secret_keys=("a" * 32, "b" * 32))
    both = key_secrets(sealing)
    assert key_secrets(settings).first in both  # keys of before YB_SECRET_KEYS was set work on
    assert key_secrets(Settings(data_dir=tmp_path / "x", secret_keys=("b" * 32,))).first in both
