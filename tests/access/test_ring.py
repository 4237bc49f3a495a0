"""What an API knows of issued keys: revoked at once, known while the store is away, and never forgotten by a loss."""

import asyncio
import os
import signal
import time

import msgspec
import pytest

from tests.access.conftest import Office
from tests.conftest import ValkeyServer
from tests.parts import eventually
from yellowbooks.access import Secrets, TooMany, make_key


async def test_a_key_is_found_and_one_that_nobody_made_is_not(office: Office) -> None:
    ring = await office.ring()
    assert not ring.any
    assert (await ring.find(make_key("api").text)).why == "unknown"
    given = await office.issue("api", "shop", ("ping",))
    found = await ring.find(given.text)
    assert found.record == await office.record(given)
    assert ring.any
    assert (ring.live("api"), ring.live("admin")) == (True, False)
    assert (await ring.find(given.text[:-1])).why == "unknown"


async def test_what_is_revoked_opens_nothing_from_the_next_request_on(office: Office) -> None:
    """Two APIs; each asks the moment the revocation is answered, and all the while before."""
    rings = [await office.ring("one.json"), await office.ring("two.json")]
    for _ in range(20):
        given = await office.issue("api")
        busy = [asyncio.create_task(ring.find(given.text)) for ring in rings for _ in range(20)]
        await asyncio.sleep(0.001)
        assert await office.store.revoke(given.id) == "revoked"
        after = await asyncio.gather(*(ring.find(given.text) for ring in rings for _ in range(5)))
        assert {found.why for found in after} == {"revoked"}
        await asyncio.gather(*busy)
    assert await office.store.revoke(given.id) == "already"
    assert await office.store.revoke("nobodys0") == "unknown"


async def test_only_its_holder_learns_that_a_key_was_revoked_or_has_expired(office: Office) -> None:
    ring = await office.ring()
    revoked, expired = await office.issue(), await office.issue(expires=int(time.time()) - 1)
    await office.store.revoke(revoked.id)
    assert [(await ring.find(one.text)).why for one in (revoked, expired)] == ["revoked", "expired"]
    for one in (revoked, expired):
        assert ring.known(one.id, make_key("api").text).why == "unknown"


async def test_two_of_a_name_live_and_a_third_only_when_one_is_revoked(office: Office) -> None:
    first, second = await office.issue(name="shop"), await office.issue(name="shop")
    with pytest.raises(TooMany, match="two keys of the name shop are live") as caught:
        await office.issue(name="shop")
    assert f"yellowbooks keys revoke {min(first.id, second.id)}" in str(caught.value)
    await office.issue(name="other")
    await office.store.revoke(first.id)
    third = await office.issue(name="shop")
    ring = await office.ring()
    assert [(await ring.find(one.text)).why for one in (first, second, third)] == ["revoked", "", ""]
    await office.issue(name="gone", expires=1)
    await office.issue(name="gone", expires=1)
    await office.issue(name="gone")  # what has expired is not live


async def test_while_the_store_is_away_known_keys_are_known(office: Office, own_valkey: ValkeyServer) -> None:
    ring, given, revoked = await office.ring(), await office.issue(), await office.issue()
    await office.store.revoke(revoked.id)
    assert (await ring.find(given.text)).record
    own_valkey.kill()
    assert (await ring.find(given.text)).record
    assert (await ring.find(revoked.text)).why == "revoked"
    assert (await ring.find(make_key("api").text)).why == "away"  # another API may have issued it
    assert office.told.words() == ["keys_away"]
    began = await office.ring()  # an API that starts now has its copy
    assert (await began.find(given.text)).record
    stranger = await office.ring("none.json")
    assert (await stranger.find(given.text)).why == "away"
    assert not stranger.any
    own_valkey.start()
    await eventually(lambda: not ring.away, 30)
    assert (await ring.find(make_key("api").text)).why == "unknown"
    assert "keys_back" in office.told.words()


async def test_a_store_that_does_not_answer_is_waited_for_once(office: Office, own_valkey: ValkeyServer) -> None:
    ring, given = await office.ring(), await office.issue()
    await ring.look()
    assert own_valkey.process
    own_valkey.process.send_signal(signal.SIGSTOP)
    try:
        found = await asyncio.wait_for(asyncio.gather(*(ring.find(given.text) for _ in range(50))), 30)
        assert all(one.record for one in found)
        assert ring.away
    finally:
        own_valkey.process.send_signal(signal.SIGCONT)
    await eventually(lambda: not ring.away, 30)


async def test_what_is_not_heard_of_for_too_long_is_not_known_any_more(
    office: Office, own_valkey: ValkeyServer
) -> None:
    ring, given = await office.ring(stale=0.5), await office.issue()
    assert (await ring.find(given.text)).record
    own_valkey.kill()
    await eventually(lambda: ring.away, 30)
    await eventually(lambda: ring.known(given.id, given.text).why == "away", 30)
    copy = office.folder / "keys.json"
    os.utime(copy, (time.time() - 90_000, time.time() - 90_000))  # 25 hours
    late = await office.ring()
    assert (await late.find(given.text)).why == "away"
    assert late.any  # but it is known that there are keys


async def test_what_the_store_lost_is_put_back_and_what_was_revoked_stays_so(
    office: Office, own_valkey: ValkeyServer
) -> None:
    rings = [await office.ring("one.json"), await office.ring("two.json")]
    given, revoked = await office.issue("admin", "ops"), await office.issue()
    for ring in rings:
        await ring.look()
    # One of them did not hear of the revocation, as one that was cut off would not.
    cut_off = (office.folder / "two.json").read_bytes()
    await rings[1].close()
    await office.store.revoke(revoked.id)
    await rings[0].look()
    client = own_valkey.client()
    client.flushall()
    (office.folder / "two.json").write_bytes(cut_off)
    await rings[0].look()
    behind = await office.ring("two.json")
    await eventually(lambda: client.hexists("{yb:keys}:revoked", revoked.id), 30)
    for ring in (rings[0], behind):
        assert (await ring.find(given.text)).record
        assert not (await ring.find(revoked.text)).record
    assert {word for word in office.told.words() if word.startswith("keys")} == {"keys_mended"}
    client.close()


async def test_a_key_of_an_older_secret_is_hashed_anew_when_it_is_used(office: Office) -> None:
    given = await office.issue()
    newer = Secrets([b"n" * 32, b"s" * 32])
    ring = await office.ring("new.json", newer)
    assert (await ring.find(given.text)).record

    async def anew() -> bool:
        return (await office.record(given)).under == newer.first

    await eventually(anew, 30)
    alone = await office.ring("alone.json", Secrets([b"n" * 32]))
    assert (await alone.find(given.text)).record
    old = await office.ring("old.json")
    assert (await old.find(given.text)).why == "secret"


async def test_a_key_is_not_issued_under_a_secret_that_no_api_has(office: Office, own_valkey: ValkeyServer) -> None:
    await office.ring()
    client = own_valkey.client()
    await eventually(lambda: client.scard("{yb:keys}:secrets"), 30)
    client.close()
    with pytest.raises(TooMany, match="YB_SECRET_KEYS"):
        await office.issue(known=Secrets([b"elsewhere" * 4]))
    assert await office.issue()


async def test_who_writes_the_store_and_has_no_secret_gives_no_rights(office: Office, own_valkey: ValkeyServer) -> None:
    ring, given = await office.ring(), await office.issue("api", "shop", ("ping",))
    client = own_valkey.client()
    raised = msgspec.structs.replace(await office.record(given), role="admin", kinds=())
    client.hset("{yb:keys}:keys", given.id, msgspec.json.encode(raised))
    client.hset("{yb:keys}:keys", "junk", b"\xff{")
    client.set("{yb:keys}:version", "forged")
    client.close()
    assert (await ring.find(given.text)).why == "unknown"


async def test_the_last_use_is_kept_coarsely_and_no_key_stands_anywhere(
    office: Office, own_valkey: ValkeyServer
) -> None:
    ring, given = await office.ring(), await office.issue("admin", "ops")

    async def used() -> int | None:
        await ring.find(given.text)
        return (await office.store.all()).used.get(given.id)

    assert abs(await eventually(used, 30) - time.time()) < 60
    client = own_valkey.client()
    kept = b"".join(key + client.dump(key) for key in client.scan_iter("*"))
    client.close()
    copy = (office.folder / "keys.json").read_bytes()
    assert given.id.encode() in copy
    assert (office.folder / "keys.json").stat().st_mode & 0o777 == 0o600
    for text in (kept, copy, str(office.told.lines).encode()):
        assert given.text.rpartition("_")[2][:16].encode() not in text


async def test_a_look_that_takes_no_notice_of_its_end_holds_nobody_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, begun = await office.ring(), asyncio.Event()

    async def deaf() -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ConnectionError("the client took it for a time-out") from None
        return ""

    ring.away = True  # then the one who looks waits for the look itself
    monkeypatch.setattr(office.store, "version", deaf)
    await asyncio.wait_for(begun.wait(), 30)
    await asyncio.wait_for(ring.close(), 30)
    assert all(task.done() for task in ring._tasks)
