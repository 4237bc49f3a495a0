"""What decides without writing: back-off, outcomes, payloads, scripts and batches."""

import asyncio
import contextlib
import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yellowbooks.jobs import Backoff, Invalid, Kind, Paused, Payload, Permanent, RetryAfter, Uncertain, record
from yellowbooks.jobs.batch import Batch
from yellowbooks.jobs.fitness import Unfit, judge
from yellowbooks.jobs.outcome import Completed, Dead, Retry, Rules, Unknown, Unreadable, decide, describe
from yellowbooks.jobs.script import Script


def test_the_ladder_of_the_contract() -> None:
    assert [Backoff().delay(attempt) for attempt in (1, 2, 3, 4)] == [2, 4, 8, 16]


@given(st.integers(1, 10), st.text())
def test_jitter_only_adds_and_repeats_itself(attempt: int, seed: str) -> None:
    plain, spread = Backoff(10, 2.0), Backoff(10, 2.0, jitter=0.5)
    assert plain.delay(attempt) <= spread.delay(attempt, seed) <= plain.delay(attempt) * 1.5
    assert spread.delay(attempt, seed) == spread.delay(attempt, seed)


@pytest.mark.parametrize(
    ("error", "attempt", "doubt", "before", "outcome"),
    [
        (None, 1, "resend_once", 0, Completed()),
        (ValueError("x 7"), 1, "resend_once", 0, Retry(2.0, "ValueError: x 7", "ValueError: x #")),
        (ValueError("x"), 4, "resend_once", 0, Retry(16.0, "ValueError: x", "ValueError: x")),
        (ValueError("x"), 5, "resend_once", 0, Dead("ValueError: x", "ValueError: x")),
        (Permanent("gone", cause="550 mx"), 1, "resend_once", 0, Dead("Permanent: gone", "550 mx")),
        (Uncertain("?"), 1, "resend_once", 0, Retry(2.0, "Uncertain: ?", "Uncertain: ?", uncertain=True)),
        (Uncertain("?"), 2, "resend_once", 1, Dead("Uncertain: ?", "Uncertain: ?")),
        (Uncertain("?"), 1, "hold", 0, Dead("Uncertain: ?", "Uncertain: ?")),
    ],
)
def test_decide(error, attempt, doubt, before, outcome) -> None:
    assert decide(error, attempt, "job", Rules(Backoff(), doubt), before) == outcome


@pytest.mark.parametrize("attempt", [1, 5])
def test_what_is_put_off_spends_no_attempt(attempt: int) -> None:
    rules = Rules(Backoff(), deadline=100.0)
    later = decide(RetryAfter(60, "later"), attempt, "job", rules, age=10.0)
    assert (later.delay, later.spent) == (60, False)
    assert decide(RetryAfter(10**9, "never"), attempt, "job", rules, age=10.0).delay == 90.0
    late = decide(RetryAfter(1, "x", cause="y"), attempt, "job", rules, age=100.0)
    assert isinstance(late, Dead)
    assert late.cause == "expired"
    paused = decide(Paused("no login", 15), attempt, "job", rules, age=1000.0)
    assert (paused.delay, paused.spent, paused.hold) == (0, False, 15)
    parked = decide(Unknown("version 9"), attempt, "job", rules, age=1000.0)
    assert (parked.delay, parked.spent) == (60, False)


@given(st.text(max_size=2000))
def test_an_error_is_one_short_printable_line(text: str) -> None:
    line = describe(ValueError(text))
    assert line.isprintable()
    assert len(line) <= 500


class Order(Payload):
    count: int
    tags: list[str] = msgspec.field(default_factory=list)


ORDER = Kind("order", Order)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"), (b"{", "body"), (b"[]", "body"), (b"null", "body"), (b'"x"', "body"), (b"\xff\xfe", "body"),
        (b'{"count":1,"tags":["\xff"]}', "body"), (b"{}", "count"), (b'{"count":"1"}', "count"),
        (b'{"count":1,"tags":[1]}', "tags[0]"), (b'{"count":1,"extra":2}', "extra"),
        (b'{"count":1,"jobId":""}', "jobId"), (b'{"count":1,"jobId":"a/b"}', "jobId"), (b'{"count":1,"jobId":7}', "jobId"),
        (b"[" * 60_000, "body"), (b'{"count":' * 10_000, "count"), (b'{"count":1e400}', "count"), (b'{"count":NaN}', "body"),
    ],
)  # fmt: skip
def test_bad_bodies_name_the_field(body: bytes, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        ORDER.parse(body)
    assert [fault.field for fault in caught.value.faults] == [field]


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        ORDER.parse(body)


@given(st.integers(-(2**60), 2**60), st.lists(st.text()))
def test_a_stored_payload_comes_back_without_its_id(count: int, tags: list[str]) -> None:
    order = Order(count=count, tags=tags, job_id="a")
    assert ORDER.decode(ORDER.encode(order)) == msgspec.structs.replace(order, job_id=None)


@given(st.binary(max_size=50))
def test_a_bad_record_is_unreadable_and_nothing_else(stored: bytes) -> None:
    with contextlib.suppress(Unreadable):
        ORDER.decode(ORDER.encode(Order(count=1))[:2] + stored)


def test_a_script_with_other_names_fails_on_import() -> None:
    class Wrong(msgspec.Struct):
        id: str
        tokn: str

    with pytest.raises(TypeError, match="tokn"):
        Script("commit", list[str], args=("items", "lease"), item=Wrong)
    with pytest.raises(TypeError, match="args are"):
        Script("commit", list[str], args=("items",))


async def test_a_batch_groups_one_turn_and_hands_errors_to_all() -> None:
    calls: list[list[int]] = []

    async def send(items: list[int]) -> list[int]:
        calls.append(items)
        await asyncio.sleep(0)
        if 7 in items:
            raise ConnectionError("away")
        return [item * 2 for item in items]

    batch = Batch(send)
    assert await asyncio.gather(*(batch(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert calls == [[0, 1, 2, 3, 4]]
    answers = await asyncio.gather(batch(7), batch(8), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError] * 2
    assert await batch(1) == 2


async def test_a_cancelled_caller_leaves_the_others_their_answers() -> None:
    async def send(items: list[int]) -> list[int]:
        await asyncio.sleep(0.05)
        return items

    batch = Batch(send)
    tasks = [asyncio.create_task(batch(n)) for n in range(3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == 0
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 2


def test_lua_and_python_agree_on_the_record() -> None:
    prelude = Path(record.__file__).with_name("transitions").joinpath("prelude.lua").read_text("utf-8")
    [head, fixed, version] = re.findall(
        r"^local HEAD, BODY, VERSION = '(.*?)', '(.*?)', (\d+)$", prelude, re.MULTILINE
    )[0]
    [(front, size)] = re.findall(r"FRONT_SIZE, HEAD_SIZE = (\d+), (\d+)$", prelude, re.MULTILINE)
    named = re.findall(r"^-- record: (.*)$", prelude, re.MULTILINE)[0].split()
    theirs = re.sub(
        r"([cI])(\d+)", lambda m: f"{m[2]}s" if m[1] == "c" or m[2] == "6" else {"2": "H", "4": "I"}[m[2]], head
    )
    assert theirs == record.HEAD.format
    assert int(version) == record.VERSION
    assert int(size) == record.HEAD.size
    assert int(front) == struct.calcsize(record.HEAD.format.replace("BBH6s6s", ""))
    assert len(named) == len(record.HEAD.unpack(bytes(record.HEAD.size)))
    assert fixed == ">c8BBBBc0Bc0Bc0"
    assert record.BODY.format == ">8sBBB"


def test_a_payload_may_grow_at_its_end_and_is_never_taken_for_another() -> None:
    class Grown(Payload):
        count: int
        tags: list[str] = msgspec.field(default_factory=list)
        urgent: bool = False

    class Turned(Payload):
        tags: list[str] = msgspec.field(default_factory=list)
        count: int = 0

    old, grown, turned = ORDER, Kind("order", Grown), Kind("order", Turned)
    assert grown.decode(old.encode(Order(count=3, tags=["x"]))) == Grown(count=3, tags=["x"])
    for other in (grown.encode(Grown(count=3)), turned.encode(Turned(count=3)), b"", b"\x01"):
        with pytest.raises(Unknown, match="run a newer worker"):
            old.decode(other)


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"server_name": "valkey", "valkey_version": "7.2.0", "aof_enabled": 1}, []),
        ({"redis_version": "7.0.15", "aof_enabled": 1, "maxmemory_policy": "noeviction"}, []),
        ({"redis_version": "7.4.1", "aof_enabled": 0}, "keeps no AOF"),
        ({"server_name": "valkey", "valkey_version": "7.1.9", "aof_enabled": 1}, Unfit("valkey 7.1.9 is too old")),
        ({"redis_version": "6.2.14", "aof_enabled": 1}, Unfit("redis 6.2.14 is too old")),
        ({"redis_version": "7.4.1", "maxmemory_policy": "allkeys-lru"}, Unfit("may evict jobs")),
    ],
)
def test_a_server_is_fit_weak_or_unfit(info: dict[str, Any], found: Any) -> None:
    if isinstance(found, Unfit):
        with pytest.raises(Unfit, match=str(found)):
            judge(info)
    else:
        assert found == judge(info) or found in judge(info)[0]
    assert "power cut" in judge({"redis_version": "7.4.1", "aof_enabled": 1}, "no")[0]
