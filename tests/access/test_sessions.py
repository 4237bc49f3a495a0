"""Sessions: they end by idleness, by age, by signing out and by their key, also while the store is away."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.access.conftest import SECRETS
from tests.conftest import ValkeyServer
from yellowbooks.access import Secrets, Sessions
from yellowbooks.access.sessions import IDLE_SECONDS, REMEMBERED, WHOLE_SECONDS
from yellowbooks.jobs import Queue


class Desk:
    """Sessions of several APIs over one store, with a clock and a store that the test moves."""

    def __init__(self, queue: Queue) -> None:
        self.now, self.away, self._queue = 1_000_000.0, False, queue

    def api(self, known: Secrets = SECRETS) -> Sessions:
        execute = self._queue.beside("{yb:keys}").execute
        return Sessions(execute, known, lambda: self.away, clock=lambda: self.now)


@pytest.fixture
async def desk(own_valkey: ValkeyServer) -> AsyncIterator[Desk]:
    queue = Queue(own_valkey.url)
    yield Desk(queue)
    await queue.close()


async def test_a_session_is_known_to_every_api_and_ends_everywhere(desk: Desk) -> None:
    one, other = desk.api(), desk.api()
    token = await one.begin("key-id", "bat")
    for api in (one, other):
        found = await api.find(token)
        assert found
        assert (found.key, found.name) == ("key-id", "bat")
    assert await one.begin("key-id", "bat") != token
    await other.end(token)
    assert [await api.find(token) for api in (one, other)] == [None, None]
    assert await one.find("x" * 43) is None
    assert await one.find("") is None


async def test_it_ends_when_nobody_asks_and_in_the_end_whatever_is_asked(desk: Desk) -> None:
    api = desk.api()
    token = await api.begin("k", "")
    desk.now += IDLE_SECONDS - 1
    assert await api.find(token)
    desk.now += IDLE_SECONDS - 1
    assert await desk.api().find(token)  # the other API's request counted
    desk.now += IDLE_SECONDS + 1
    assert await api.find(token) is None
    token, began = await api.begin("k", ""), desk.now
    while desk.now + 1000 < began + WHOLE_SECONDS:
        desk.now += 1000
        assert await api.find(token)
    desk.now = began + WHOLE_SECONDS
    assert await api.find(token) is None


async def test_the_store_has_neither_token_nor_more_time_than_the_session(desk: Desk, own_valkey: ValkeyServer) -> None:
    token = await desk.api().begin("key-id", "bat")
    client = own_valkey.client()
    [key] = client.scan_iter("*:session:*")
    assert 0 < client.pttl(key) <= IDLE_SECONDS * 1000
    assert token.encode() not in key + client.get(key)
    client.close()


async def test_who_writes_the_store_makes_no_session(desk: Desk, own_valkey: ValkeyServer) -> None:
    api, client = desk.api(), own_valkey.client()
    mine, victim = await api.begin("my-key", ""), await api.begin("admins-key", "")
    keys = {token: next(key for key in client.scan_iter("*") if _of(token) in key) for token in (mine, victim)}
    kept = msgspec.json.decode(client.get(keys[mine]))
    for forged in (
        client.get(keys[victim]),
        msgspec.json.encode(kept | {"mark": kept["mark"][:-1] + "0"}),
        b"\xff",
        b"{}",
    ):
        client.set(keys[mine], forged)
        found = await desk.api().find(mine)
        assert found is None or forged == client.get(keys[mine])
        assert found is None or found.key == "my-key"
    client.close()
    token = await desk.api(Secrets([b"elsewhere" * 4])).begin("k", "")
    assert await api.find(token) is None


def _of(token: str) -> bytes:
    import hashlib

    return hashlib.sha256(token.encode()).hexdigest().encode()


async def test_while_the_store_is_away_an_api_knows_its_own(desk: Desk, own_valkey: ValkeyServer) -> None:
    api, other = desk.api(), desk.api()
    before, left = await api.begin("k", ""), await api.begin("k", "")
    assert await other.find(left)
    own_valkey.kill()
    assert await api.find(before)  # found out by asking
    desk.away = True
    assert await api.find(before)
    during = await api.begin("k", "")
    assert await api.find(during)
    await api.end(left)
    assert await api.find(left) is None
    assert await other.find(during) is None
    desk.now += IDLE_SECONDS
    assert await api.find(before) is None
    own_valkey.start()
    desk.away = False
    desk.now -= 1
    assert await api.find(during)  # and now it is in the store
    assert await other.find(during)
    assert await api.find(left) is None
    assert await other.find(left) is None


async def test_one_that_is_ended_elsewhere_is_not_brought_back(desk: Desk) -> None:
    api, other = desk.api(), desk.api()
    token = await api.begin("k", "")
    desk.now += 120
    found = await api.find(token)
    assert found
    await other.end(token)
    await api._keep(_of(token).decode(), found, again=True)  # a request that was under way
    assert await other.find(token) is None
    assert await desk.api().find(token) is None


async def test_what_an_api_remembers_is_bounded(desk: Desk) -> None:
    api = desk.api()
    desk.away = True
    for _ in range(REMEMBERED + 50):
        await api.begin("k", "")
    assert len(api._known) == len(api._unkept) == REMEMBERED
