"""Table T3: what each reply means by its phase, in the table and over the wire."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mail.scripted import Commit, Scripted, letter, mailer
from yellowbooks.mail import Refused, Unreachable, Unusable
from yellowbooks.mail.reply import Phase, read, redact

CASES: list[tuple[Phase, int, str, str, float | None]] = [
    ("dot", 250, "2.0.0 Ok: queued as 123", "done", None),
    # the server, not the mail
    ("mail", 421, "4.3.2 closing", "reconnect", None), ("dot", 421, "try again in 5 minutes", "reconnect", None),
    ("rcpt", 451, "4.3.2 system not accepting network messages", "reconnect", None),
    ("connect", 554, "5.7.1 no service for you", "reconnect", None),
    # greylisting, with and without a hint
    ("rcpt", 451, "4.7.1 Greylisted, try again in 300 seconds", "defer", 300),
    ("rcpt", 450, "4.2.0 <a@b.mn>: Recipient address rejected: Greylisted, please retry in 5 minutes", "defer", 300),
    ("rcpt", 450, "4.7.1 later", "defer", None), ("rcpt", 451, "greylisting in action", "defer", None),
    ("dot", 451, "in 99999 minutes", "defer", 3600), ("rcpt", 450, "mailbox busy", "retry", None),
    # full for now
    ("rcpt", 452, "4.2.2 over quota", "defer", None), ("dot", 452, "4.3.1 Insufficient storage", "defer", None),
    ("rcpt", 452, "4.5.3 too many recipients", "defer", None), ("rcpt", 452, "no room", "defer", None),
    # ours to mend
    ("login", 535, "5.7.8 bad credentials", "config", None), ("login", 454, "4.7.0 temporary", "config", None),
    ("login", 534, "5.7.9 use an application password", "config", None), ("login", 503, "5.5.1 AUTH first", "config", None),
    ("mail", 530, "5.7.0 Must issue a STARTTLS command first", "config", None),
    ("mail", 454, "4.7.0 authentication needed", "config", None), ("mail", 502, "5.5.2 unknown", "config", None),
    ("mail", 503, "5.5.1 bad sequence", "config", None), ("mail", 555, "5.5.4 unsupported option", "config", None),
    ("mail", 504, "not implemented", "config", None), ("mail", 501, "5.5.4 bad argument", "config", None),
    ("rcpt", 530, "authenticate", "config", None), ("mail", 550, "5.7.8 who are you", "config", None),
    # no such recipient
    ("rcpt", 550, "5.1.1 <bat@example.com> unknown", "suppress", None), ("rcpt", 550, "5.1.10 no such", "suppress", None),
    ("rcpt", 556, "5.1.10 null MX", "suppress", None), ("rcpt", 556, "no mail here", "suppress", None),
    ("dot", 551, "5.1.1 not local", "suppress", None), ("rcpt", 553, "5.1.1 no", "suppress", None),
    ("rcpt", 550, "5.2.1 disabled", "suppress", None),
    # the same codes of a sender, or of nobody
    ("mail", 550, "5.1.1 sender unknown", "permanent", None), ("rcpt", 550, "no enhanced code", "permanent", None),
    ("mail", 550, "5.1.8 sender's domain not found", "policy", None), ("rcpt", 550, "5.1.7 bad sender", "policy", None),
    ("rcpt", 550, "5.5.0 mailbox unavailable (S2017062302)", "permanent", None),
    # he takes nothing now
    ("rcpt", 552, "5.2.2 full", "strike", None), ("dot", 552, "5.3.4 too big", "strike", None),
    ("rcpt", 552, "full", "strike", None),
    # we are not trusted
    ("dot", 554, "5.7.1 spam", "policy", None), ("dot", 550, "5.7.26 unauthenticated", "policy", None),
    ("dot", 550, "5.7.25 no PTR", "policy", None), ("dot", 550, "5.7.515 does not meet the level", "policy", None),
    ("rcpt", 550, "5.7.1 <bat@example.com> 5.1.1 relaying denied", "policy", None),
    # the rest
    ("rcpt", 553, "5.6.7 SMTPUTF8 needed", "permanent", None), ("rcpt", 501, "5.1.3 bad syntax", "permanent", None),
    ("dot", 451, "4.3.0 later", "retry", None), ("dot", 432, "?", "retry", None), ("dot", 554, "no", "permanent", None),
    ("rcpt", 550, "try again in 10 seconds", "permanent", None), ("dot", 999, "?", "retry", None),
    ("dot", 550, "4.7.1 the enhanced code contradicts", "permanent", None),
]  # fmt: skip


@pytest.mark.parametrize(("phase", "code", "text", "verdict", "hint"), CASES)
def test_the_table(phase: Phase, code: int, text: str, verdict: str, hint: float | None) -> None:
    reply = read(code, text, phase)
    assert reply.verdict == verdict
    assert (reply.wait if reply.hinted else None) == hint
    assert "bat@example.com" not in str(reply)


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("phase", "code", "text", "verdict"),
    [case[:4] for case in CASES if case[0] in ("mail", "rcpt", "dot") and case[3] not in ("done", "reconnect") and case[1] < 999],
)  # fmt: skip
async def test_the_table_over_the_wire(pipelining: bool, phase: str, code: int, text: str, verdict: str) -> None:
    """The refused mail is told as it was, nothing of it is taken, and the session goes on to the next mail."""
    async with Scripted({phase.upper(): [f"{code} {text}", "250 2.0.0 OK"]}, pipelining) as server:
        sender, commit = mailer(server.url), Commit()
        if verdict == "config" and phase == "mail":  # every mail would meet it
            with pytest.raises(Unusable, match=str(code)) as unusable:
                await sender.send(letter(), commit)
            assert unusable.value.cause.startswith(f"127.0.0.1:{phase}:{code}")
        else:
            with pytest.raises(Refused) as refused:
                await sender.send(letter(), commit)
            assert refused.value.reply.verdict == verdict
            assert refused.value.cause.startswith(f"127.0.0.1:{phase}:{code}")
            await sender.send(letter("job-2"), Commit())
            assert server.mails == [letter("job-2").data]
            assert server.connections == 1
        assert commit.calls == (1 if phase == "dot" else 0)
        # Of a mail that was refused before its text at most a lone dot goes.
        assert server.texts.count(letter().data) == (1 if phase == "dot" else 0)
        await sender.aclose()


async def test_a_354_after_a_refused_recipient_gets_a_lone_dot_and_never_the_text() -> None:
    async with Scripted(
        {"RCPT": ["550 5.1.1 no", "250 OK"], "DOT": ["554 5.5.1 no valid recipients", "250 OK"]}
    ) as server:
        sender, commit = mailer(server.url), Commit()
        with pytest.raises(Refused, match=r"5\.1\.1"):
            await sender.send(letter(), commit)
        await sender.send(letter("job-2"), Commit())
        assert commit.calls == 0
        assert server.texts == [b"", letter("job-2").data]
        assert server.connections == 1
        await sender.aclose()


async def test_a_session_that_cannot_be_reset_is_not_used_again() -> None:
    async with Scripted({"RCPT": ["550 5.1.1 no", "250 OK"], "RSET": "503 5.5.1 what?"}) as server:
        sender = mailer(server.url)
        with pytest.raises(Refused):
            await sender.send(letter(), Commit())
        await asyncio.sleep(0.05)
        await sender.send(letter("job-2"), Commit())
        assert (server.mails, server.connections) == ([letter("job-2").data], 2)
        await sender.aclose()


async def test_a_recipient_of_odd_taste_does_not_stop_the_others() -> None:
    """A reply that says «ours to mend» of one recipient alone: three different mails must meet it."""
    async with Scripted({"RCPT": "503 5.5.1 what"}) as server:
        told: list[str] = []
        sender = mailer(server.url, tell=lambda word, **_: told.append(word))
        for _ in range(5):
            with pytest.raises(Refused) as refused:
                await sender.send(letter("same"), Commit())
            assert refused.value.reply.verdict == "config"
        for key in ("two", "three"):
            with pytest.raises(Refused):
                await sender.send(letter(key), Commit())
        with pytest.raises(Unusable, match="503"):
            await sender.send(letter("four"), Commit())
        assert told == ["smtp_down"]
        await sender.aclose()


@pytest.mark.parametrize("answers", [{"CONNECT": "421 busy"}, {"CONNECT": "554 go away"}, {"EHLO": "421 busy"}])
async def test_a_server_that_does_not_begin(answers: dict[str, str]) -> None:
    async with Scripted(dict(answers)) as server:
        with pytest.raises(Unreachable, match=next(iter(answers.values()))[:3]) as unreachable:
            await mailer(server.url).send(letter(), Commit())
        assert unreachable.value.cause.startswith("127.0.0.1:connect:")


@given(st.text(max_size=1000))
def test_a_servers_words_are_one_short_line(text: str) -> None:
    line = redact(text)
    assert line.isprintable()
    assert len(line) <= 200


@given(
    st.integers(200, 599), st.text(max_size=300), st.sampled_from(["mail", "rcpt", "data", "dot", "login", "connect"])
)
def test_every_reply_has_a_meaning(code: int, text: str, phase: Phase) -> None:
    reply = read(code, text, phase)
    assert (reply.verdict == "done") == (code < 300)
    assert 0 <= reply.wait <= 3600
    assert reply.verdict != "suppress" or phase in ("rcpt", "dot")
