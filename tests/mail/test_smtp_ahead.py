"""The envelope of the next mail goes with the text of one: a round trip a mail, and nobody hears another's reply."""

import asyncio
import random

import pytest

from tests.mail.scripted import ONE, Answer, Commit, Scripted, letter, mailer
from yellowbooks.mail import Bounds, DeliveryUncertain, Refused, Times, Unreachable


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close at once, whatever was asked."""
    writer.transport.abort()


async def test_a_text_and_the_next_envelope_are_one_write() -> None:
    async with Scripted() as server:
        sender, commits = mailer(server.url, bounds=ONE), [Commit(server) for _ in range(3)]
        letters = [letter(f"job-{n}") for n in range(3)]
        await asyncio.gather(*(sender.send(one, commit) for one, commit in zip(letters, commits, strict=True)))
        assert server.mails == [one.data for one in letters]
        envelope = b"MAIL FROM:<no-reply@example.mn>\r\nRCPT TO:<bat@example.com>\r\nDATA\r\n"
        assert server.reads[1:5] == [
            envelope, letters[0].data + b".\r\n" + envelope, letters[1].data + b".\r\n" + envelope,
            letters[2].data + b".\r\n",
        ]  # fmt: skip
        for number, commit in enumerate(commits):  # each commit stands between its own 354 and its own text
            assert commit.calls == 1
            assert (commit.seen.count("DATA"), commit.seen.count("DOT")) == (number + 1, number)
        await sender.aclose()


async def test_lost_at_the_dot_one_is_in_doubt_and_the_next_one_is_not() -> None:
    async with Scripted({"DOT": [hang_up, "250 OK"]}) as server:
        sender, commit = mailer(server.url, bounds=ONE), Commit()
        first, second = await asyncio.gather(
            sender.send(letter("one"), Commit()), sender.send(letter("two"), commit), return_exceptions=True
        )
        assert isinstance(first, DeliveryUncertain)
        assert isinstance(second, str)
        assert (commit.calls, server.mails, server.connections) == (1, [letter("two").data], 2)
        await sender.aclose()


async def test_who_goes_away_after_his_envelope_leaves_no_empty_mail() -> None:
    async with Scripted() as server:
        sender = mailer(server.url, bounds=ONE)
        there, gate, pool = asyncio.Event(), asyncio.Event(), sender._routes[0].pool

        async def slow_commit() -> None:
            there.set()
            await gate.wait()

        first = asyncio.create_task(sender.send(letter("one"), slow_commit))
        await there.wait()
        second = asyncio.create_task(sender.send(letter("two"), Commit()))
        while not pool._line:
            await asyncio.sleep(0)
        server.delay = 0.3
        gate.set()
        while not pool._promised:  # the first text and the second envelope are on their way
            await asyncio.sleep(0)
        second.cancel()
        await first
        await sender.send(letter("three"), Commit())
        assert server.texts == [letter("one").data, letter("three").data]
        assert server.connections == 2
        await sender.aclose()


@pytest.mark.parametrize("stray", [b"550 5.1.1 stray", b"250 stray", b"354 stray", b"421 stray", b"451 4.7.1 stray"])
async def test_a_stray_reply_is_not_taken_for_the_next_mails(stray: bytes) -> None:
    async with Scripted({"DOT": [b"250 OK\r\n" + stray + b"\r\n", "250 OK"]}) as server:
        server.delay = 0.01  # so that replies do not come together
        sender = mailer(server.url, bounds=ONE)
        keys = [f"job-{n}" for n in range(4)]
        done = await asyncio.gather(*(sender.send(letter(key), Commit()) for key in keys), return_exceptions=True)
        assert all(isinstance(one, str) for one in done), done
        # The first was taken: the server said so, whatever came behind.
        assert {letter(key).data for key in keys} == set(server.texts)
        assert len(server.texts) == 4
        await sender.aclose()


@pytest.mark.parametrize("seed", range(3))
async def test_each_hears_his_own_reply(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 mails over 4 sessions, whose fates stand in their addresses: refused, dropped, closed, cancelled, sent."""
    monkeypatch.setattr("yellowbooks.mail.breaker.FAILURES", 10**6)
    chance = random.Random(seed)
    fates = ["ok"] * 8 + ["rcpt", "dot", "drop-rcpt", "drop-dot", "421-dot", "data", "gone"]
    addresses = [f"{chance.choice(fates)}.{n}@example.com" for n in range(300)]

    def decide(step: str, recipient: str) -> Answer:
        fate, _, number = recipient.partition("@")[0].partition(".")
        answers: dict[tuple[str, str], Answer] = {
            ("rcpt", "RCPT"): f"550 5.1.1 no {number}", ("dot", "DOT"): f"554 5.7.1 no {number}",
            ("drop-rcpt", "RCPT"): hang_up, ("drop-dot", "DOT"): hang_up, ("421-dot", "DOT"): "421 4.3.2 closing",
            ("data", "DATA"): f"451 4.3.0 no {number}",
        }  # fmt: skip
        return answers.get((fate, step), "")

    async with Scripted(decide=decide) as server:
        sender = mailer(server.url, times=Times(), bounds=Bounds(sessions=4, mails=25))
        tasks = [asyncio.create_task(sender.send(letter(to, to=to), Commit())) for to in addresses]
        for to, task in zip(addresses, tasks, strict=True):
            if to.startswith("gone"):
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.3), task.cancel)
        async with asyncio.timeout(20):
            done = await asyncio.gather(*tasks, return_exceptions=True)
        expected = {
            "ok": str, "rcpt": Refused, "dot": Refused, "data": Refused, "drop-rcpt": Unreachable,
            "drop-dot": DeliveryUncertain, "421-dot": Unreachable,
        }  # fmt: skip
        for to, outcome in zip(addresses, done, strict=True):
            fate, _, number = to.partition("@")[0].partition(".")
            if fate == "gone":
                assert isinstance(outcome, str | asyncio.CancelledError)
                continue
            assert isinstance(outcome, expected[fate]), (to, outcome)
            if expected[fate] is Refused:
                assert str(outcome).endswith(f" no {number}")
            texts = server.texts.count(letter(to, to=to).data)
            assert texts == (1 if fate in ("ok", "dot", "drop-dot", "421-dot") else 0), to
        assert len(server.mails) == len(set(server.mails))
        assert sum(text == b"" for text in server.texts) <= sum(to.startswith("rcpt") for to in addresses)
        await sender.aclose()
