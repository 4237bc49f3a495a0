"""What the API says, and what it does not say: nothing is lost, nothing doubled, and nobody waits."""

import itertools
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.client.conftest import OK, Answer, Api, Heard, problem, until
from yellowbooks.client import AsyncClient, Client
from yellowbooks.spool import Disk, Spool

WHO: dict[str, Any] = {"user_id": 7, "email": "bat@example.com", "provider": "github"}
Open = Callable[..., Client]


def ids(count: int, name: str = "j") -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def test_a_sign_in_is_sent_as_the_api_takes_it(api: Api, open_client: Open) -> None:
    api.start()
    client = open_client(key="a-key-of-16-or-more")
    before = time.time()
    receipt = client.signed_in(**WHO, name="Бат", ip_address="192.0.2.7", user_agent="x" * 5000, locale="mn")
    assert receipt.word == "queued"
    assert client.flush()
    [(path, headers, body)] = api.requests
    assert path == "/api/jobs/signin-notification"
    assert headers["Authorization"] == "Bearer a-key-of-16-or-more"
    at = datetime.fromisoformat(body.pop("timestamp")).timestamp()
    assert before - 1 < at < time.time() + 1
    assert body == {
        "userId": "7", "email": "bat@example.com", "provider": "github", "name": "Бат", "ipAddress": "192.0.2.7",
        "userAgent": "x" * 4096, "locale": "mn", "jobId": receipt.job_id,
    }  # fmt: skip
    assert client.state().sent == 1


def test_one_connection_is_kept_and_opened_again_when_the_api_has_closed_it(api: Api, open_client: Open) -> None:
    api.start()
    client = open_client()
    for number in range(20):
        client.signed_in(**WHO, job_id=f"a{number}")
    assert client.flush()
    assert api.connections == 1
    api.answer = lambda body: "drop" if api.connections == 1 else OK
    client.signed_in(**WHO, job_id="b")
    assert client.flush()
    assert api.ids == [*ids(20, "a"), "b"]
    assert api.connections == 2
    assert client.state().away is None


def test_while_the_api_is_away_it_is_kept_and_sent_in_order_when_it_is_back(
    api: Api, open_client: Open, heard: Heard
) -> None:
    client = open_client()
    for name in ids(200):
        assert client.signed_in(**WHO, job_id=name).word == "queued"
    until(lambda: client.state().in_memory == 0)
    assert client.state().waiting == 200
    assert client.state().away
    api.start()
    assert client.flush(30)
    assert api.ids == ids(200)
    assert len(heard.of("away")) == len(heard.of("back")) == 1
    spool = Path(client._works.line.spool.folder)  # type: ignore[union-attr]
    assert list(spool.iterdir()) == []


def test_an_api_that_hangs_holds_up_nobody_and_nothing_stays_in_memory(api: Api, open_client: Open) -> None:
    api.answer = lambda body: "hang"
    api.start()
    client = open_client(timeout=1.0)
    client.signed_in(**WHO, job_id="j0")
    until(lambda: api.requests)
    for name in ids(50)[1:]:
        assert client.signed_in(**WHO, job_id=name).word == "queued"
    until(lambda: client.state().in_memory == 0, 10)
    assert client.state().waiting == 50
    api.answer = lambda body: OK
    assert client.flush(30)
    assert api.ids == ids(50)


def test_new_ones_wait_behind_those_on_disk(api: Api, open_client: Open) -> None:
    client = open_client()
    for name in ids(30):
        client.signed_in(**WHO, job_id=name)
    until(lambda: client.state().in_memory == 0)
    stop = threading.Event()

    def more() -> None:
        for number in itertools.count(30):
            if stop.is_set():
                return
            client.signed_in(**WHO, job_id=f"j{number}")
            time.sleep(0.001)

    thread = threading.Thread(target=more)
    thread.start()
    api.start()
    until(lambda: len(api.taken) > 100)
    stop.set()
    thread.join()
    assert client.flush(30)
    assert api.ids == ids(len(api.taken))


def test_a_call_never_waits_longer_than_its_deadline_and_what_has_no_room_is_told(
    open_client: Open, heard: Heard
) -> None:
    client = open_client(spool=None, capacity=3, deadline=0.2)
    assert [client.signed_in(**WHO, job_id=name).word for name in ids(3)] == ["queued"] * 3
    began = time.monotonic()
    assert client.signed_in(**WHO, job_id="full").word == "lost"
    assert 0.2 <= time.monotonic() - began < 2
    until(lambda: heard.of("lost"))
    assert heard.of("lost")[0]["job_id"] == "full"
    assert client.state().lost == 1


def test_room_that_comes_in_time_is_taken(api: Api, open_client: Open) -> None:
    api.answer = lambda body: "hang"
    api.start()
    client = open_client(spool=None, capacity=1, deadline=20)
    client.signed_in(**WHO, job_id="j0")
    until(lambda: api.requests)
    threading.Timer(0.1, lambda: (setattr(api, "answer", lambda body: OK), api.let_go.set())).start()
    assert client.signed_in(**WHO, job_id="j1").word == "queued"
    assert client.flush(30)
    assert api.ids == ids(2)


REFUSALS = [(400, "email: is no address"), (404, "nothing here"), (413, "too long"), (422, "")]


@pytest.mark.parametrize(("status", "detail"), REFUSALS)
def test_what_will_never_be_taken_is_told_and_not_sent_again(
    api: Api, open_client: Open, heard: Heard, status: int, detail: str
) -> None:
    api.answer = lambda body: problem(status, detail) if body["jobId"] == "bad" else OK
    client = open_client()
    client.signed_in(**WHO, job_id="bad")
    client.signed_in(**WHO, job_id="good")
    until(lambda: client.state().in_memory == 0)  # both on disk
    api.start()
    assert client.flush()
    until(lambda: heard.of("refused"))
    assert heard.of("refused") == [
        {"job_id": "bad", "kind": "signin-notification", "status": status, "why": detail or '{"detail": ""}'}
    ]
    assert api.ids == ["good"]
    assert sum(body["jobId"] == "bad" for _, _, body in api.requests) == 1
    assert client.state().refused == 1


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_field_that_is_not_needed_cannot_stop_the_mail(
    api: Api, open_client: Open, heard: Heard, on_disk: bool
) -> None:
    """Whoever signs in with somebody else's password chooses the user agent."""

    def answer(body: dict[str, Any]) -> Answer:
        wrong = [name for name in ("userAgent", "name") if "=?" in body.get(name, "")]
        return problem(400, "wrong", errors=[{"field": name, "why": "x"} for name in wrong]) if wrong else OK

    api.answer = answer
    client = open_client()
    if not on_disk:
        api.start()
    client.signed_in(**WHO, job_id="a", user_agent="=?utf-8?q?x", name="Бат")
    if on_disk:
        until(lambda: client.state().in_memory == 0)
        api.start()
    assert client.flush()
    [body] = api.taken
    assert (body["jobId"], body["name"], "userAgent" in body) == ("a", "Бат", False)
    until(lambda: heard.of("trimmed"))


@pytest.mark.parametrize("answer", [problem(401), problem(403), (301, {"Location": "https://x.test/"}, b"")])
def test_a_configuration_that_is_wrong_loses_nothing(api: Api, open_client: Open, heard: Heard, answer: Answer) -> None:
    api.answer = lambda body: answer
    api.start()
    client = open_client()
    for name in ids(20):
        client.signed_in(**WHO, job_id=name)
    until(lambda: heard.of("misconfigured"))
    until(lambda: client.state().in_memory == 0)
    assert client.state().waiting == 20
    api.answer = lambda body: OK
    assert client.flush()
    assert api.ids == ids(20)


@pytest.mark.parametrize("answer", [problem(503, retry_after=0), problem(500), problem(408), problem(502), "drop"])
def test_an_api_that_cannot_now_gets_it_later(api: Api, open_client: Open, answer: Answer) -> None:
    api.answer = lambda body: answer if len(api.requests) < 6 else OK
    api.start()
    client = open_client()
    for name in ids(3):
        client.signed_in(**WHO, job_id=name)
    assert client.flush(30)
    assert sorted(api.ids) == ids(3)


def test_it_waits_as_long_as_the_api_asks(api: Api, open_client: Open) -> None:
    times: list[float] = []

    def answer(body: dict[str, Any]) -> Answer:
        times.append(time.monotonic())
        return problem(503, retry_after=1) if len(times) == 1 else OK

    api.answer = answer
    api.start()
    client = open_client()
    client.signed_in(**WHO)
    assert client.flush(30)
    assert times[1] - times[0] >= 0.99


def test_a_user_over_his_limit_holds_up_nobody_else(api: Api, open_client: Open) -> None:
    refused: list[float] = []

    def answer(body: dict[str, Any]) -> Answer:
        if body["userId"] == "7" and len(refused) < 2:
            refused.append(time.monotonic())
            return problem(429, "too many", retry_after=1)
        return OK

    api.answer = answer
    api.start()
    client = open_client()
    client.signed_in(**WHO, job_id="limited")
    for name in ids(30):
        client.signed_in(**(WHO | {"user_id": name}), job_id=name)
    until(lambda: len(api.taken) == 30)
    assert api.ids == ids(30)
    assert client.flush(30)
    assert api.ids == [*ids(30), "limited"]
    assert refused[1] - refused[0] >= 0.99


def test_who_waits_for_his_time_waits_on_disk(api: Api, open_client: Open) -> None:
    api.answer = lambda body: problem(429, retry_after=3000)
    api.start()
    client = open_client()
    client.signed_in(**WHO, job_id="limited")
    until(lambda: client.state().waiting == 1 and client.state().in_memory == 0)
    until(lambda: api.requests)
    client.close()
    api.answer = lambda body: OK
    assert open_client().flush()
    assert api.ids == ["limited"]


def test_a_limit_longer_than_a_mail_is_worth_is_a_refusal(api: Api, open_client: Open, heard: Heard) -> None:
    api.answer = lambda body: problem(429, retry_after=90_000)
    api.start()
    open_client().signed_in(**WHO, job_id="never")
    until(lambda: heard.of("refused"))
    assert heard.of("refused")[0]["status"] == 429


@pytest.mark.parametrize("on_disk", [False, True])
def test_one_job_at_which_the_api_fails_holds_up_no_others(api: Api, open_client: Open, on_disk: bool) -> None:
    api.answer = lambda body: problem(500) if body["jobId"] == "poison" else OK
    client = open_client()
    if not on_disk:
        api.start()
    client.signed_in(**WHO, job_id="poison")
    for name in ids(10):
        client.signed_in(**WHO, job_id=name)
    if on_disk:
        until(lambda: client.state().in_memory == 0)
        api.start()
    until(lambda: len(api.taken) == 10)
    assert api.ids == ids(10)
    until(lambda: client.state().sent == 10)  # the API has a job before the client has its answer
    assert client.state().waiting == 1


def test_whatever_the_api_does_each_job_is_taken_once(api: Api, open_client: Open) -> None:
    """Answers are lost after the job was taken, connections end, some answers are errors: seeded, a few hundred jobs."""
    dice = random.Random(5)
    kinds: list[Answer] = [OK, OK, OK, "drop", "drop after", problem(503), problem(500), problem(429, retry_after=0)]
    trouble = True
    api.answer = lambda body: dice.choice(kinds) if trouble else OK
    api.start()
    client = open_client(pauses=(0.001, 0.005))
    names = ids(400)
    for name in names:
        client.signed_in(**WHO, job_id=name)
        if dice.random() < 0.02:
            time.sleep(0.05)
    until(lambda: len(api.taken) > 300, 60)
    trouble = False
    assert client.flush(90)
    assert sorted(api.ids) == sorted(names)
    assert client.state().refused == client.state().lost == 0


def test_what_was_not_sent_when_it_closed_is_sent_by_the_next(api: Api, open_client: Open, heard: Heard) -> None:
    client = open_client()
    for name in ids(25):
        client.signed_in(**WHO, job_id=name)
    client.close(0.1)
    assert client.signed_in(**WHO, job_id="late").word == "lost"
    assert heard.of("lost")[0]["why"] == "the client is closed"
    api.start()
    again = open_client()  # sends without being asked for anything
    until(lambda: len(api.taken) == 25)
    assert api.ids == ids(25)
    assert again.flush()
    until(lambda: heard.of("adopted"))
    assert heard.of("adopted")[0]["jobs"] == 25


def test_closing_sends_what_waits_while_the_api_answers(api: Api, open_client: Open) -> None:
    api.start()
    client = open_client(spool=None)
    for name in ids(100):
        client.signed_in(**WHO, job_id=name)
    client.close(20)
    assert api.ids == ids(100)


def test_a_disk_that_refuses_is_told_and_used_again_when_it_takes(
    api: Api, open_client: Open, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True
    real = Disk.sync

    def sync(self: Disk, fd: int) -> None:
        if broken:
            raise OSError(28, "No space left on device")
        real(self, fd)

    monkeypatch.setattr(Disk, "sync", sync)
    client = open_client()
    client.signed_in(**WHO, job_id="j0")
    until(lambda: heard.of("spool_failed"))
    assert "No space left" in heard.of("spool_failed")[0]["why"]
    assert client.signed_in(**WHO, job_id="j1").word == "queued"
    broken = False
    until(lambda: client.state().in_memory == 0)
    api.start()
    assert client.flush()
    assert api.ids == ids(2)
    assert len(heard.of("spool_failed")) == 1


def test_a_disk_that_hangs_holds_up_neither_caller_nor_courier(
    api: Api, open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, free = threading.Event(), threading.Event()

    def sync(self: Disk, fd: int) -> None:
        hangs.set()
        free.wait(30)

    monkeypatch.setattr(Disk, "sync", sync)
    client = open_client()
    client.signed_in(**WHO, job_id="j0")
    assert hangs.wait(10)
    api.start()
    for name in ids(20)[1:]:
        assert client.signed_in(**WHO, job_id=name).word == "queued"
    until(lambda: len(api.taken) == 20)
    free.set()
    assert client.flush()
    assert api.ids == ids(20)


def test_a_full_spool_and_a_full_memory_lose_only_what_they_say(api: Api, open_client: Open, heard: Heard) -> None:
    client = open_client(spool_bytes=3000, capacity=10, deadline=0.01)
    words = {name: client.signed_in(**WHO, job_id=name).word for name in ids(60) if not time.sleep(0.002)}
    lost = [name for name, word in words.items() if word == "lost"]
    assert lost
    until(lambda: len(heard.of("lost")) == len(lost))
    api.start()
    assert client.flush()
    assert sorted(api.ids) == sorted(name for name, word in words.items() if word != "lost")


def test_damage_on_disk_is_told(api: Api, open_client: Open, heard: Heard, tmp_path: Path) -> None:
    client = open_client()
    for name in ids(3):
        client.signed_in(**WHO, job_id=name)
    client.close(0.1)
    [path] = (tmp_path / "spool").iterdir()
    with path.open("r+b") as file:
        file.seek(30)
        file.write(b"XXXX")
    api.start()
    open_client()
    until(lambda: set(ids(3)[1:]) <= set(api.ids))  # the first too, where a close in the midst wrote it twice
    until(lambda: heard.of("spool_damaged"))


def test_junk_in_the_spool_is_passed_over(api: Api, open_client: Open, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([b"no such thing", b"a\nb\nnumber\n{}"])
    spool.close()
    api.start()
    client = open_client()
    client.signed_in(**WHO, job_id="j0")
    assert client.flush()
    assert api.ids == ["j0"]


@pytest.mark.parametrize("keep_after", [0.1, 0.0])
def test_many_threads_share_it(api: Api, open_client: Open, keep_after: float) -> None:
    """Also where the keeper brings to disk what the courier is sending, all the time."""
    api.start()
    client = open_client(keep_after=keep_after)

    def work(base: int) -> None:
        for number in range(100):
            client.signed_in(**WHO, job_id=f"{base}-{number}")

    threads = [threading.Thread(target=work, args=(base,)) for base in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(60)
    assert sorted(api.ids) == sorted(f"{base}-{number}" for base in range(8) for number in range(100))
    assert len(api.requests) == 800
    for base in range(8):
        mine = [int(name.split("-")[1]) for name in api.ids if name.startswith(f"{base}-")]
        assert mine == list(range(100))
    assert threading.active_count() < 20


def test_a_callback_that_raises_hurts_nobody(api: Api, open_client: Open, capsys: pytest.CaptureFixture[str]) -> None:
    def tell(word: str, **fields: Any) -> None:
        raise RuntimeError("the app's own mistake")

    api.answer = lambda body: problem(400, "no")
    api.start()
    client = open_client(tell=tell)
    client.signed_in(**WHO)
    assert client.flush()
    until(lambda: "the app's own mistake" in capsys.readouterr().err)
    api.answer = lambda body: OK
    client.signed_in(**WHO, job_id="next")
    assert client.flush()
    assert api.ids == ["next"]


def test_without_a_callback_it_is_said_on_standard_error(
    api: Api, open_client: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer = lambda body: problem(400, "email: is no address")
    api.start()
    client = open_client(tell=None)
    for name in ids(5):
        client.signed_in(**(WHO | {"email": "canary"}), job_id=name)
    assert client.flush()
    client.close()
    said = capsys.readouterr().err
    assert "yellowbooks: refused job_id=j0" in said
    assert said.count("refused") == 1  # one a second
    assert "canary" not in said


def test_a_program_that_asks_for_something_wrong_hears_it(open_client: Open) -> None:
    client = open_client()
    for wrong in ({"email": ""}, {"user_id": None}, {"provider": ""}, {"timestamp": datetime(2026, 1, 1)}):  # noqa: DTZ001
        with pytest.raises(ValueError, match=r"needs user_id|no time zone"):
            client.signed_in(**(WHO | wrong))
    with pytest.raises(TypeError, match="has no mail"):
        client.signed_in(**WHO, mail="x")
    for kind, payload, job_id in (
        ("a b", {}, None),
        ("hello", {"x": float("nan")}, None),
        ("hello", {}, "no id"),
        ("hello", {"x": "y" * 2_000_000}, None),
    ):
        with pytest.raises(ValueError, match=r"kind|JSON|id is|bytes"):
            client.enqueue(kind, payload, job_id=job_id)
    with pytest.raises(TypeError):
        client.enqueue("hello", {"x": object()})
    assert client.state().waiting == 0


@pytest.mark.parametrize("url", ["127.0.0.1:3333", "ftp://x", "http://", "http://x/?a=b", ""])
def test_a_wrong_address_is_refused_with_a_right_one(url: str) -> None:
    with pytest.raises(ValueError, match="for example http"):
        Client(url, spool=None)


def test_wrong_arguments_are_refused() -> None:
    for wrong in (
        {"key": ""},
        {"key": "a b"},
        {"key": "x\r\ny"},
        {"timeout": 0},
        {"capacity": 0},
        {"pauses": (2, 1)},
        {"deadline": -1},
    ):
        with pytest.raises(ValueError, match=r"key|over 0"):
            Client("http://127.0.0.1:3333", spool=None, **wrong)


def test_an_answer_that_never_ends_is_ended(open_client: Open, api: Api) -> None:
    """A server that drips a byte now and then is within each step's timeout for ever."""
    with socket.create_server(("127.0.0.1", api.port)) as listener:
        first: list[socket.socket] = []
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            first.append(connection)
            try:
                connection.sendall(b"HTTP/1.1 202 OK\r\n")
                for _ in range(1200):
                    connection.sendall(b"X")
                    time.sleep(0.05)
            except OSError:
                pass
            ended.set()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        client = open_client(timeout=0.3)
        client.signed_in(**WHO, job_id="j0")
        assert ended.wait(20), "the client heard the drip to its end"
        thread.join()
        for connection in first:
            connection.close()
    api.start()
    assert client.flush(20)
    assert api.ids == ["j0"]


def test_an_answer_that_is_cut_in_its_headers_is_none(open_client: Open, api: Api) -> None:
    """The status alone is not yet an answer: who cut it off may have cut off another's."""
    with socket.create_server(("127.0.0.1", api.port)) as listener:
        client = open_client()
        client.signed_in(**WHO, job_id="j0")
        connection, _ = listener.accept()
        asked = b""
        while not asked.endswith(b"}"):  # what is left unread would reset the connection
            asked += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 202 OK\r\nContent-Le")
        connection.close()
        until(lambda: client.state().away == "the answer was cut")
    api.start()
    assert client.flush(20)
    assert api.ids == ["j0"]


def test_over_tls(api: Api, open_client: Open, tmp_path: Path) -> None:
    authority = trustme.CA()
    api.start()
    assert api.server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    api.server.socket = context.wrap_socket(api.server.socket, server_side=True)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    client = Client(f"https://localhost:{api.port}/", spool=None, tls=trusting)
    wary = open_client()
    wary._works.link._tls = True  # with the machine's own authorities
    try:
        client.signed_in(**WHO, job_id="a")
        assert client.flush(20)
        assert api.ids == ["a"]
        wary.signed_in(**WHO, job_id="b")
        until(lambda: wary.state().away)
        assert "CERTIFICATE_VERIFY_FAILED" in str(wary.state().away)
    finally:
        client.close()


async def test_the_async_face(api: Api, open_client: Open) -> None:
    api.start()
    async with AsyncClient(open_client()) as client:
        assert (await client.signed_in(**WHO, job_id="a")).word == "queued"
        client.client.deadline = 20
        assert (await client.signed_in(**WHO, job_id="b", durable=True)).word == "kept"
        assert await client.flush()
        assert client.state().sent == 2
    assert api.ids == ["a", "b"]


async def test_the_async_face_waits_for_room_and_lets_others_run(open_client: Open) -> None:
    import asyncio

    client = AsyncClient(open_client(spool=None, capacity=1, deadline=0.1))
    await client.signed_in(**WHO)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    task = asyncio.create_task(others())
    assert (await client.signed_in(**WHO)).word == "lost"
    assert turns > 3
    client.client.deadline = 0
    client.client._works.line.capacity = 2
    assert (await client.signed_in(**WHO, durable=True)).word == "queued"  # there is no disk, and no API
    task.cancel()


def test_durable_is_kept_by_the_api_or_on_disk(api: Api, open_client: Open) -> None:
    client = open_client(deadline=20)
    assert client.signed_in(**WHO, job_id="disk", durable=True).word == "kept"
    assert client.state().in_memory == 0
    api.start()
    assert client.flush()
    assert client.signed_in(**WHO, job_id="api", durable=True).word == "kept"
    assert api.ids == ["disk", "api"]


APP = """
import os, signal, sys, time
from yellowbooks.client import Client
client = Client(sys.argv[1], spool=sys.argv[2], pauses=(0.02, 0.1), deadline=20, tell=lambda word, **fields: None)
"""


def run(api: Api, folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", APP + code, api.url, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SEND = "for n in range(50): client.signed_in(user_id=1, email='a@example.com', provider='x', job_id=f'j{n}')\n"


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise SystemError"])
def test_at_exit_everything_is_sent_or_on_disk(api: Api, tmp_path: Path, end: str) -> None:
    run(api, tmp_path, SEND + end)
    spool = Spool(tmp_path)
    assert spool.adopt() == 50
    spool.close()
    api.start()
    run(api, tmp_path, "client.signed_in(user_id=1, email='a@example.com', provider='x', job_id='j50')\n" + end)
    assert api.ids == ids(51)


def test_what_was_said_to_be_kept_outlives_the_app(api: Api, tmp_path: Path) -> None:
    code = (
        "for n in range(40):\n"
        "    assert client.signed_in(user_id=1, email='a@example.com', provider='x', job_id=f'j{n}', durable=True).word == 'kept'\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = run(api, tmp_path, code)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    api.start()
    run(api, tmp_path, "assert client.flush(30)")
    assert api.ids == ids(40)


def test_after_a_fork_each_sends_its_own(api: Api, tmp_path: Path) -> None:
    """As gunicorn does with --preload, and worse: the parent has a connection, files and threads at work."""
    code = (
        SEND + "time.sleep(0.3)\n"
        "assert client.state().waiting == 50\n"
        "children = []\n"
        "for child in range(3):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        assert client.state().waiting == 0\n"
        "        for n in range(20): client.signed_in(user_id=1, email='a@example.com', provider='x', job_id=f'c{child}-{n}')\n"
        "        sys.exit()\n"
        "    children.append(pid)\n"
        "assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)\n"
        "assert client.state().waiting == 50\n"
    )
    ended = run(api, tmp_path, code)
    assert ended.returncode == 0, ended.stderr
    api.start()
    run(api, tmp_path, "assert client.flush(30)")
    assert sorted(api.ids) == sorted([*ids(50), *(f"c{child}-{n}" for child in range(3) for n in range(20))])


def test_after_a_fork_both_talk_over_connections_of_their_own(api: Api, tmp_path: Path) -> None:
    api.start()
    code = (
        SEND + "assert client.flush()\n"
        "pid = os.fork()\n"
        "name = 'child' if pid == 0 else 'parent'\n"
        "for n in range(50): client.signed_in(user_id=1, email='a@example.com', provider='x', job_id=f'{name}{n}')\n"
        "assert client.flush()\n"
        "assert pid == 0 or os.waitpid(pid, 0)[1] == 0\n"
    )
    ended = run(api, tmp_path, code)
    assert ended.returncode == 0, ended.stderr
    assert api.connections == 2
    assert sorted(api.ids) == sorted([*ids(50), *ids(50, "child"), *ids(50, "parent")])


def test_a_forked_child_holds_nothing_of_a_parent_that_dies(api: Api, tmp_path: Path) -> None:
    """A child that lives on must keep neither the lock on the parent's files nor the parent's connection."""
    api.start()
    code = (
        "client.signed_in(user_id=1, email='a@example.com', provider='x', job_id='first')\n"
        "assert client.flush()\n"
        "open(sys.argv[2] + '/ready', 'w').close()\n"
        "while os.path.exists(sys.argv[2] + '/ready'): time.sleep(0.01)\n"
        "assert client.signed_in(user_id=1, email='a@example.com', provider='x', job_id='second', durable=True).word == 'kept'\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    for fd in (0, 1, 2): os.close(fd)\n"
        "    held = ' '.join(os.readlink(f'/proc/self/fd/{fd}') for fd in range(100) if os.path.lexists(f'/proc/self/fd/{fd}'))\n"
        "    open(sys.argv[2] + '/held', 'w').write(held + '.')\n"
        "    time.sleep(60)\n"
        "open(sys.argv[2] + '/child', 'w').write(str(pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", APP + code, api.url, str(tmp_path)])
    until((tmp_path / "ready").exists)
    api.answer = lambda body: "hang"
    (tmp_path / "ready").unlink()
    assert process.wait(30) == -signal.SIGKILL
    child = int((tmp_path / "child").read_text())
    try:
        held = tmp_path / "held"
        until(lambda: held.exists() and held.read_text().endswith("."))
        assert "socket:" not in held.read_text()
        assert ".spool" not in held.read_text()
        other = Spool(tmp_path)
        assert other.adopt() == 1
        other.close()
    finally:
        os.kill(child, signal.SIGKILL)


def test_it_needs_the_standard_library_alone_and_little_of_it() -> None:
    root = Path(__file__).parent.parent.parent / "src"
    code = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "import yellowbooks.client\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "import json; print(json.dumps([sorted(names - set(sys.stdlib_module_names)), 'asyncio' in names]))"
    )
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    foreign, asyncio_too = json.loads(ended.stdout)
    assert [name for name in foreign if name not in ("__main__", "yellowbooks")] == []
    assert not asyncio_too
