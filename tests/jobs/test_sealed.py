"""Sealed payloads: the server sees none of them, every key of the ring opens its own, and a new key takes over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import SCANNED, Ping, take
from yellowbooks.jobs import BrokenSeal, Kind, Queue, Rate, Unknown, UnknownKey, Unreadable, reseal
from yellowbooks.jobs.outcome import COMPLETED
from yellowbooks.sealing import Keyring

OLD, NEW = "o" * 40, "n" * 40
CANARY = "canary-3f9a"


def kind(*keys: str) -> Kind[Ping]:
    return Kind("ping", Ping, rate=Rate(10, 3600), seal=Keyring(keys) if keys else None)


async def stored(queue: Queue) -> bytes:
    """Every value that the queue has in the server, and every key's name."""
    client, found = queue.link.client, b""
    async for key in client.scan_iter(f"{queue.tag}:*", count=SCANNED):
        found += key + await client.dump(key)
    return found


@given(st.binary(max_size=500), st.binary(max_size=20))
def test_what_is_closed_comes_back_to_its_own_kind_alone(plain: bytes, about: bytes) -> None:
    ring = Keyring([NEW, OLD])
    closed = ring.close(plain, about)
    assert ring.open(closed, about) == plain
    assert ring.close(plain, about) != closed  # equal payloads do not look equal
    assert ring.is_current(closed)
    with pytest.raises(BrokenSeal):
        ring.open(closed, about + b"x")
    assert Keyring([OLD, NEW]).open(closed, about) == plain
    assert not Keyring([OLD, NEW]).is_current(closed)
    with pytest.raises(UnknownKey):
        Keyring([OLD]).open(closed, about)


@given(st.data())
def test_one_changed_octet_breaks_the_seal(data: st.DataObject) -> None:
    ring = Keyring([NEW])
    closed = bytearray(ring.close(b"payload", b"ping"))
    closed[data.draw(st.integers(0, len(closed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BrokenSeal, UnknownKey)):
        ring.open(bytes(closed), b"ping")
    with pytest.raises((BrokenSeal, UnknownKey)):
        ring.open(bytes(closed[: data.draw(st.integers(0, 30))]), b"ping")


async def test_the_server_sees_no_payload_and_the_worker_does(queue: Queue) -> None:
    sealed = kind(NEW)
    await queue.admit(sealed, Ping(user=CANARY, note=CANARY))
    assert CANARY.encode() not in await stored(queue)
    [lease], _ = await queue.claim([sealed], 1)
    assert sealed.decode(lease.payload).note == CANARY
    assert await queue.admit(kind(), Ping(user=CANARY, note=CANARY))
    assert CANARY.encode() in await stored(queue)  # the look above can see one


async def test_a_repeated_request_is_told_apart_and_counted_as_before(queue: Queue) -> None:
    sealed = kind(NEW)
    for note, word, same in (("a", "admitted", False), ("a", "seen", True), ("b", "seen", False)):
        _, receipt = await queue.admit(sealed, Ping(job_id="one", user="u", note=note))
        assert (receipt.word, receipt.same) == (word, same)
    words = [(await queue.admit(sealed, Ping(user="u")))[1].word for _ in range(10)]
    assert words == ["admitted"] * 9 + ["limited"]


@pytest.mark.parametrize(
    ("ring", "error"), [((), Unknown), ((OLD,), Unknown), ((NEW, OLD), None), ((OLD, NEW), None), ((NEW,), None)]
)
async def test_who_can_open_it(queue: Queue, ring: tuple[str, ...], error: type[Exception] | None) -> None:
    await queue.admit(kind(NEW), Ping(note="x"))
    [lease], _ = await queue.claim([kind(NEW)], 1)
    if error:
        with pytest.raises(error, match="YB_SECRET_KEYS"):
            kind(*ring).decode(lease.payload)
    else:
        assert kind(*ring).decode(lease.payload).note == "x"
    broken = lease.payload[:-1] + bytes([lease.payload[-1] ^ 1])
    with pytest.raises(Unreadable, match="broken"):
        kind(NEW).decode(broken)


async def test_a_new_key_takes_over_while_jobs_go_on(queue: Queue) -> None:
    before = [(await queue.admit(kind(), Ping(user=f"p{n}", note=f"plain {n}")))[0] for n in range(3)]
    before += [(await queue.admit(kind(OLD), Ping(user=f"o{n}", note=f"old {n}")))[0] for n in range(150)]
    before.append((await queue.admit(kind(OLD), Ping(note="later"), delay=60))[0])
    [running], _ = await queue.claim([kind(OLD)], 1)
    now = kind(NEW, OLD)
    assert await reseal(queue, [now]) == {"resealed": 154, "current": 0, "changed": 0, "unreadable": 0}
    assert await reseal(queue, [now]) == {"resealed": 0, "current": 154, "changed": 0, "unreadable": 0}
    assert b"plain 1" not in await stored(queue)
    assert await queue.settle_many([(running, COMPLETED)]) == ["settled"]
    leases = [*await take(queue, room=100), *await take(queue, room=100)]
    notes = sorted(kind(NEW).decode(lease.payload).note for lease in leases)  # the old key is not needed any more
    assert notes == sorted([f"plain {n}" for n in range(1, 3)] + [f"old {n}" for n in range(150)])
    assert (await reseal(queue, [kind(OLD)]))["unreadable"] == 153
    assert before[-1] not in [lease.job_id for lease in leases]
