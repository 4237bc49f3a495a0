"""Servers that misbehave: bounded memory and time, no reply taken for another's, and never a text too many."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.mail.scripted import CALM, DROP, ONE, QUICK, SLOW, Answer, Commit, Scripted, letter, mailer
from yellowbooks.mail import Bounds, DeliveryUncertain, Refused, SmtpMailer, Times, Unreachable, Unusable

MOST_SECONDS = 10.0


@asynccontextmanager
async def one(
    answers: dict[str, Answer | list[Answer]], *, times: Times = CALM, **more: Any
) -> AsyncIterator[tuple[Scripted, SmtpMailer, Commit]]:
    """A server and a mailer of one session; all of it in bounded time."""
    async with asyncio.timeout(MOST_SECONDS), Scripted(answers, **more) as server:
        sender = mailer(server.url, bounds=ONE, times=times)
        yield server, sender, Commit(server)
        await sender.aclose()


def flood(data: bytes, times: int, pause: float = 0.0) -> Callable[..., Any]:
    """Sends the same over and over, and then nothing."""

    async def evil(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(pause)
        await asyncio.sleep(60)

    return evil


# Row 23: 421 at each command


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_421_before_the_text(step: str, pipelining: bool) -> None:
    async with one({step: "421 4.3.2 closing"}, pipelining=pipelining) as (server, sender, commit):
        with pytest.raises(Unreachable, match="421"):
            await sender.send(letter(), commit)
        assert (commit.calls, server.texts) == (0, [])
        server.answers.clear()
        await sender.send(letter("job-2"), commit)  # a new connection
        assert server.mails == [letter("job-2").data]


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_421_on_a_session_that_was_kept_costs_nothing(step: str, pipelining: bool) -> None:
    ok = "354 go" if step == "DATA" else "250 OK"
    async with one({step: [ok, "421 4.4.2 idle too long", ok]}, pipelining=pipelining) as (server, sender, commit):
        await sender.send(letter("job-1"), commit)
        await sender.send(letter("job-2"), commit)
        assert (len(server.mails), server.connections, commit.calls) == (2, 2, 2)


async def test_421_at_the_dot_is_no_doubt_the_mail_was_not_taken() -> None:
    async with one({"DOT": ["421 4.3.2 closing", "250 OK"]}) as (server, sender, commit):
        with pytest.raises(Unreachable, match="421") as unreachable:
            await sender.send(letter(), commit)
        assert unreachable.value.cause == "127.0.0.1:dot:421/4.3.2"
        await sender.send(letter(), commit)
        assert (server.mails, server.connections) == ([letter().data], 2)


async def test_a_server_that_has_enough_sessions_of_ours_gets_no_more() -> None:
    async with Scripted({"CONNECT": ["220 one", "220 two", "421 4.7.0 too many connections"]}) as server:
        server.delay = 0.002
        sender = mailer(server.url, times=Times(), bounds=Bounds(sessions=10))
        await asyncio.gather(*(sender.send(letter(f"job-{n}"), Commit()) for n in range(2)))
        await asyncio.gather(*(sender.send(letter(f"job-{n}"), Commit()) for n in range(2, 40)))
        assert len(server.mails) == 40
        assert server.connections <= 12  # each of ten may have found out for itself
        await sender.aclose()


# Row 25: it hangs


async def test_silence_before_the_text_is_safe() -> None:
    async def silent_at(step: str, pipelining: bool) -> None:
        async with one({step: None}, pipelining=pipelining, times=SLOW) as (server, sender, commit):
            with pytest.raises(Unreachable) as unreachable:
                await sender.send(letter(), commit)
            phase = step.lower() if step in ("MAIL", "RCPT", "DATA") else "connect"
            assert unreachable.value.cause == f"127.0.0.1:{phase}:timeout"
            assert (commit.calls, server.texts) == (0, [])

    steps = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA")
    await asyncio.gather(*(silent_at(step, pipelining) for step in steps for pipelining in (True, False)))


async def test_silence_after_the_dot_is_in_doubt() -> None:
    async with one({"DOT": None}, times=SLOW) as (server, sender, commit):
        with pytest.raises(DeliveryUncertain) as doubt:
            await sender.send(letter(), commit)
        assert doubt.value.cause == "127.0.0.1:dot:timeout"
        assert (commit.calls, server.texts) == (1, [letter().data])


async def test_each_reply_has_its_own_time() -> None:
    """Three replies that each come in time may together take longer than one of them may."""
    async with Scripted() as server:
        sender = mailer(server.url, times=Times(command=0.3, data=0.3, block=0, dot=0.3))
        await sender.send(letter(), Commit())
        server.delay = 0.15
        await sender.send(letter(), Commit())
        assert len(server.mails) == 2
        await sender.aclose()


# Row 26: it takes the mail and drops the connection


@pytest.mark.parametrize("pipelining", [True, False])
async def test_taken_then_dropped_is_in_doubt(pipelining: bool) -> None:
    async with one({"DOT": DROP}, pipelining=pipelining) as (server, sender, commit):
        with pytest.raises(DeliveryUncertain) as doubt:
            await sender.send(letter(), commit)
        assert doubt.value.cause == "127.0.0.1:dot:lost"
        assert (commit.calls, server.texts) == (1, [letter().data])


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_dropped_before_the_text_is_safe(step: str, pipelining: bool) -> None:
    async with one({step: DROP}, pipelining=pipelining) as (server, sender, commit):
        with pytest.raises(Unreachable):
            await sender.send(letter(), commit)
        assert (commit.calls, server.texts) == (0, [])


async def test_dropped_while_the_commit_is_made_sends_nothing() -> None:
    async with one({}) as (server, sender, _):

        async def slow_commit() -> None:
            await server.stop()
            await asyncio.sleep(0.05)

        with pytest.raises(Unreachable):
            await sender.send(letter(), slow_commit)
        assert server.texts == []


# Row 27: it says what no server says


@pytest.mark.parametrize(
    "evil",
    [
        flood(b"220-hello\r\n", 3000), flood(b"220-drip\r\n", 100, 0.02), flood(b"2" * 1_000_000, 1),
        flood(b"\0\xff\n", 1000), flood(b"\n", 1000),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", ["CONNECT", "MAIL", "DOT"])
async def test_what_never_ends_is_ended(step: str, evil: Answer) -> None:
    """Endless banners and lines, a slow drip, a line of 1 MB, and no reply at all."""
    tracemalloc.start()
    try:
        async with one({step: evil}, times=QUICK) as (server, sender, commit):
            with pytest.raises(DeliveryUncertain if step == "DOT" else Unreachable):
                await sender.send(letter(), commit)
            assert commit.calls == (step == "DOT")
            assert server.texts.count(letter().data) == (step == "DOT")
            assert tracemalloc.get_traced_memory()[1] < 12_000_000  # both sides, and the 1 MB is one of theirs
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("MAIL", b"250-fine\r\n550 5.1.1 not fine\r\n"), ("MAIL", b"25\r\n"), ("MAIL", b"hello\r\n"), ("MAIL", b"250_x\r\n"),
        ("MAIL", b"354 go on\r\n"), ("RCPT", b"354 go on\r\n"), ("DATA", b"250 everything is fine\r\n"), ("MAIL", b"199 ?\r\n"),
        ("MAIL", b"250 OK\r\n250 and another\r\n"), ("DATA", b"354 go\r\n250 taken already\r\n"), ("RCPT", b"999 ?\r\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pipelining", [True, False])
async def test_replies_that_mean_nothing_end_the_session(step: str, answer: bytes, pipelining: bool) -> None:
    """Above all no reply may be taken for the next command's: each of these would shift all that follow by one."""
    async with one({step: [answer, b"250 OK\r\n" if step != "DATA" else b"354 go\r\n"]}, pipelining=pipelining) as (
        server, sender, commit,
    ):  # fmt: skip
        with pytest.raises(Unreachable):
            await sender.send(letter("bad"), commit)
        assert letter("bad").data not in server.texts
        await sender.send(letter("good"), Commit())
        assert (server.mails, server.connections) == ([letter("good").data], 2)


@pytest.mark.parametrize("answer", [b"250-fine\r\n550 not fine\r\n", b"354 more\r\n", b"gibberish\r\n", b"100 ?\r\n"])
async def test_nonsense_after_the_dot_is_in_doubt(answer: bytes) -> None:
    async with one({"DOT": answer}) as (_, sender, commit):
        with pytest.raises(DeliveryUncertain):
            await sender.send(letter(), commit)


async def test_a_line_that_nobody_asked_for_ends_an_idle_session() -> None:
    async def chatty(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"250 taken\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"550 5.1.1 whom do I mean?\r\n")
        await writer.drain()

    async with one({"DOT": [chatty, "250 OK"]}) as (server, sender, commit):
        await sender.send(letter("one"), commit)
        await asyncio.sleep(0.1)
        await sender.send(letter("two"), commit)  # with the stray line in the way it would have been «refused»
        assert server.connections == 2
        assert letter("two").data in server.mails


async def test_replies_cut_anywhere_are_put_together() -> None:
    async def slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for octet in b"250-one\r\n250-two\n250 2.1.0 three\r\n":
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.002)

    async with one({"MAIL": slowly}) as (server, sender, commit):
        await sender.send(letter(), commit)
        assert server.mails == [letter().data]


# What is pipelined, and how sessions are used


async def test_an_envelope_is_one_write_and_the_commit_comes_before_the_text() -> None:
    async with one({}) as (server, sender, commit):
        await sender.send(letter(), commit)
        assert server.reads[1] == b"MAIL FROM:<no-reply@example.mn>\r\nRCPT TO:<bat@example.com>\r\nDATA\r\n"
        assert commit.seen[-1] == "DATA"


async def test_a_server_that_does_not_offer_it_gets_one_command_at_a_time() -> None:
    async with one({}, pipelining=False) as (server, sender, commit):
        await sender.send(letter(), commit)
        assert server.reads[1:4] == [
            b"MAIL FROM:<no-reply@example.mn>\r\n",
            b"RCPT TO:<bat@example.com>\r\n",
            b"DATA\r\n",
        ]
        assert commit.seen[-1] == "DATA"


@pytest.mark.parametrize(
    ("bounds", "connections"),
    [(Bounds(sessions=1, mails=2), 3), (Bounds(sessions=1, age=0), 6), (Bounds(sessions=1), 1)],
)
async def test_a_session_is_used_so_often_and_so_long(bounds: Bounds, connections: int) -> None:
    async with Scripted() as server:
        sender = mailer(server.url, bounds=bounds)
        await asyncio.gather(*(sender.send(letter(f"job-{n}"), Commit()) for n in range(6)))
        assert (len(server.mails), server.connections) == (6, connections)
        await sender.aclose()


async def test_a_session_that_idled_is_closed_by_itself() -> None:
    async with Scripted() as server:
        sender = mailer(server.url, bounds=Bounds(idle=0.1))
        await sender.send(letter(), Commit())
        await asyncio.sleep(0.3)
        assert server.steps[-1] == "QUIT"
        await sender.send(letter("job-2"), Commit())
        assert (len(server.mails), server.connections) == (2, 2)
        await sender.aclose()


async def test_no_more_sessions_than_allowed_and_one_mail_at_a_time_in_each() -> None:
    async with Scripted() as server:
        server.delay = 0.001
        sender = mailer(server.url, bounds=Bounds(sessions=3))
        letters = [letter(f"job-{n}") for n in range(60)]
        await asyncio.gather(*(sender.send(one, Commit()) for one in letters))
        assert sorted(server.mails) == sorted(one.data for one in letters)
        assert server.connections == 3
        await sender.aclose()


async def test_a_session_that_was_used_up_ends_at_the_server_before_the_next_one_begins() -> None:
    """Where a server takes so many connections of one client, one too many would be refused."""
    async with Scripted() as server:
        server.delay = 0.001
        sender = mailer(server.url, bounds=Bounds(sessions=3, mails=2))
        await asyncio.gather(*(sender.send(letter(f"job-{n}"), Commit()) for n in range(60)))
        assert (len(server.mails), server.connections, server.peak) == (60, 30, 3)
        await sender.aclose()


async def test_a_server_that_does_not_answer_to_quit_is_left_all_the_same() -> None:
    async with one({"QUIT": None}) as (server, sender, commit):
        sender._routes[0].pool._bounds = Bounds(sessions=1, mails=1)
        for n in range(2):
            await sender.send(letter(f"job-{n}"), commit)
        assert (len(server.mails), server.connections) == (2, 2)


async def test_one_who_stops_waiting_leaves_no_hole() -> None:
    """Cancelled in line, cancelled in the middle: the next mail has a session all the same."""
    async with Scripted() as server:
        server.delay = 0.01
        sender = mailer(server.url, bounds=ONE)
        tasks = [asyncio.create_task(sender.send(letter(f"job-{n}"), Commit())) for n in range(10)]
        for n, task in enumerate(tasks):
            await asyncio.sleep(0.012)
            if n % 2:
                task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(one, str) for one in done) == len(server.mails) >= 5
        await sender.send(letter("last"), Commit())
        assert server.mails[-1] == letter("last").data
        await sender.aclose()


async def test_a_refusal_on_one_session_is_not_heard_on_another() -> None:
    async with Scripted() as server:

        async def by_address(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"550 5.1.1 no\r\n" if len(server.steps) % 3 == 0 else b"250 OK\r\n")
            await writer.drain()

        server.answers["RCPT"] = by_address
        sender = mailer(server.url, bounds=Bounds(sessions=5), times=Times())
        keys = [f"job-{n}" for n in range(100)]
        done = await asyncio.gather(*(sender.send(letter(key), Commit()) for key in keys), return_exceptions=True)
        sent = {letter(key).data for key, one in zip(keys, done, strict=True) if isinstance(one, str)}
        assert all(isinstance(one, str | Refused) for one in done)
        assert set(server.mails) == sent
        assert 0 < len(sent) < 100
        await sender.aclose()


async def test_we_are_named_as_it_is_set() -> None:
    async with Scripted() as server:
        for url, name in ((server.url, b"mail.example.mn"), (f"{server.url}?helo=out.example.mn", b"out.example.mn")):
            sender = mailer(url)
            await sender.send(letter(), Commit())
            assert b"EHLO " + name + b"\r\n" in server.reads
            await sender.aclose()


async def test_a_private_authority_that_cannot_be_read() -> None:
    async with Scripted() as server:
        with pytest.raises(Unusable, match=r"nowhere\.pem"):
            await mailer(f"{server.url}?cafile=/nowhere.pem").send(letter(), Commit())


assert QUICK.dot < 1 < Times().dot
assert Times().dot >= 600
