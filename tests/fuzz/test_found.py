"""What the fuzz found once, each kept as a case of its own."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fuzz.wire import Wire
from tests.security.conftest import api
from tests.security.whole import OPERATOR, SECRET, SOURCE, Whole, bearer
from tests.webhooks.cases import signed
from yellowbooks.jobs import record
from yellowbooks.mail.session import Session
from yellowbooks.settings import SettingsError, load

__all__ = ["api"]

DLQ = "/api/admin/dlq"


async def ask(api: Whole, method: str, path: str, **options: Any) -> Any:
    async with api.client(headers=bearer(OPERATOR)) as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", f"{DLQ}/retry", {"json": {"pace": 5e-324}}),  # was 500: a delay without end
        ("POST", f"{DLQ}/retry", {"json": {"limit": 1e300}}),
        ("POST", f"{DLQ}/retry", {"json": {"limit": 1.5}}),
        ("POST", f"{DLQ}/discard", {"json": {"error": "", "reason": "all of them"}}),  # was every dead job
        ("POST", f"{DLQ}/discard", {"json": {"cause": "", "reason": "all of them"}}),
        ("GET", DLQ, {"params": {"cursor": "1_000"}}),
        ("GET", "/api/admin/jobs", {"params": {"until": "0.5"}}),  # was half a second after 1970
        ("GET", "/api/admin/jobs", {"params": {"cursor": "٣.job"}}),
        ("GET", "/api/admin/suppressions", {"params": {"cursor": "٣"}}),
    ],
)
async def test_bad_input_is_a_400(api: Whole, method: str, path: str, options: dict[str, Any]) -> None:
    reply = await ask(api, method, path, **options)
    assert reply.status_code == 400, reply.text


async def test_a_whole_number_may_be_written_with_a_point(api: Whole) -> None:
    assert (await ask(api, "POST", f"{DLQ}/retry", json={"limit": 5.0})).status_code == 202


async def test_options_names_every_method_of_a_path(api: Whole) -> None:
    for path, methods in {
        f"{DLQ}/a": "DELETE, GET, OPTIONS, PATCH", "/api/admin/acts/a": "DELETE, GET, OPTIONS", "/healthz": "GET, OPTIONS",
    }.items():  # fmt: skip
        assert (await ask(api, "OPTIONS", path)).headers["allow"] == methods


@pytest.mark.parametrize("header", ["Basic é", "Basic \xff\xfe", "Bearer é"])
async def test_a_key_that_is_not_ascii_is_a_401(api: Whole, header: str) -> None:
    async with api.client() as client:
        reply = await client.get(DLQ, headers={"authorization": header.encode("latin-1")})
    assert reply.status_code == 401  # was 500


async def test_a_signature_that_is_not_ascii_is_a_401(api: Whole) -> None:
    headers = signed("own", b"{}", SECRET) | {"webhook-signature": "v1,é"}
    async with api.client() as client:
        reply = await client.post(
            f"/api/webhooks/{SOURCE}",
            content=b"{}",
            headers={name: value.encode("latin-1") for name, value in headers.items()},
        )
    assert reply.status_code == 401  # was 500


def test_a_home_of_nobody_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"YB_DATA_DIR.*is not known here"):  # was a RuntimeError
        load({"YB_DATA_DIR": "~nobody-of-this-name/x"}, Path("/nowhere"))


def test_an_entry_that_tells_what_it_must_not_is_read() -> None:
    packed = msgspec.msgpack.encode([["died", "ping", "dead", [["a", 1, 5, {"job": "b", "error": "e"}]]]])
    [event] = record.events_of(b"1-1", packed, b"")  # was a TypeError, at which the recorder stood for ever
    assert (event.job, event.error) == ("a", "e")


def test_a_job_whose_story_is_spoilt_is_shown() -> None:
    head = record.HEAD.pack(record.VERSION, 2, 1, 0, b"t" * 16, bytes(6), bytes(6), 0, 0, 0, 0, bytes(6), bytes(6))
    raw = head + record.body(bytes(8), b"n", 1, 5, 0, b"ping", b"", b"x")
    line = msgspec.msgpack.encode(["admitted", 1, "enqueued", 0, None])
    story = len(line).to_bytes(2, "big") + line
    for spoilt in (story + b"\0\0", story + b"\0\x09\xc1", story[:-1]):
        job = record.job_of("a", raw, spoilt)  # was a DecodeError: a 500 for whoever followed the job
        assert job
        assert job.history[0].name == "admitted"


async def test_a_reply_that_comes_as_its_time_ends_breaks_nothing() -> None:
    failed: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failed.append(context))
    one = Session("mx.example", (9.0, 9.0, 9.0))
    one.connection_made(Wire())
    one.data_received(b"220 mx.example\r\n")
    await one.greeted(9)
    one._deadline = loop.time() - 1  # the reply is there, and who waits for it has not run yet
    loop.call_soon(one._late)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert failed == []  # was a StopIteration
