"""How a session is set up with servers that misbehave: nothing is believed that came too early, and TLS is never lost."""

import asyncio
import base64
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.mail.scripted import CALM, DROP, ONE, QUICK, SLOW, Answer, Commit, Scripted, drip, letter, mailer, then
from yellowbooks.mail import DeliveryUncertain, Refused, SmtpMailer, Times, Trouble, Unreachable, Unusable

OFFERS = b"250-evil.example\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n"


@asynccontextmanager
async def to(
    answers: dict[str, Answer | list[Answer]], query: str = "", *, times: Times = CALM, login: str = "", **more: Any
) -> AsyncIterator[tuple[Scripted, SmtpMailer]]:
    async with asyncio.timeout(20), Scripted(answers, **more) as server:
        sender = mailer(server.url.replace("127.0.0.1", f"{login}localhost") + query, bounds=ONE, times=times)
        yield server, sender
        await sender.aclose()


async def refused(server: Scripted, sender: SmtpMailer, kind: type[Trouble] = Unreachable) -> Trouble:
    """A mail that cannot be sent; nothing of it was said to the server."""
    commit = Commit()
    with pytest.raises(kind) as trouble:
        await sender.send(letter(), commit)
    assert (commit.calls, server.texts) == (0, [])
    assert not any(b"bat@example.com" in read or b"secret" in read for read in server.reads)
    assert str(trouble.value).isprintable()
    return trouble.value


# Replies that come before their command


EVERYTHING = b"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n"


@pytest.mark.parametrize(
    "answers",
    [
        {"CONNECT": EVERYTHING}, {"CONNECT": b"220 x\r\n250 PIPELINING\r\n"},
        {"EHLO": b"250 x\r\n250 ok\r\n"}, {"EHLO": b"250-x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n"},
        {"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n235 you are in\r\n"},
    ],
)  # fmt: skip
async def test_a_reply_before_its_command_is_no_reply_to_it(answers: dict[str, Any]) -> None:
    async with to(answers, "?starttls=never", login="user:secret@" if "AUTH" in str(answers) else "") as (
        server,
        sender,
    ):
        trouble = await refused(server, sender)
        assert trouble.cause in ("localhost:connect:protocol", "localhost:mail:protocol", "localhost:login:protocol")
        server.answers.clear()
        if not sender._routes[0].server.username:
            await sender.send(letter("next"), Commit())  # and the server is not written off for it
            assert server.mails == [letter("next").data]


@pytest.mark.parametrize("starttls", ["auto", "required"])
@pytest.mark.parametrize(
    "more",
    [
        b"250 injected\r\n", b"250-inj", b"250-injected\r\n", b"220 again\r\n", b"\x16\x03", b"\n",
        b"250-evil.example\r\n250 AUTH PLAIN\r\n235 you are in\r\n",
    ],
)  # fmt: skip
async def test_what_comes_with_the_yes_to_starttls_is_refused(starttls: str, more: bytes) -> None:
    """CVE-2011-0411: what somebody put into the clear text must not be heard as if it came from within TLS."""
    for answer in (b"220 go ahead\r\n" + more, then(b"220 go ahead\r\n" + more[:1], more[1:], pause=0)):
        async with to({"EHLO": OFFERS, "STARTTLS": answer}, f"?starttls={starttls}") as (server, sender):
            trouble = await refused(server, sender)
            assert trouble.cause == "localhost:connect:protocol"
            assert server.steps[-1] == "STARTTLS"  # no handshake was begun


async def test_words_within_tls_count_and_those_before_it_do_not(tmp_path: Path) -> None:
    """A server that offered a login before TLS and none within it gets no password; the name is checked too."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("localhost", "other.example"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)

        async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 go\r\n")
            await writer.drain()
            await writer.start_tls(context)  # noqa: B023  awaited within this turn

        answers: dict[str, Any] = {"EHLO": [OFFERS, b"250-evil.example\r\n250 PIPELINING\r\n"], "STARTTLS": upgrade}
        query = f"?starttls=required&cafile={tmp_path / 'ca.pem'}"
        async with to(answers, query, login="user:secret@") as (server, sender):
            trouble = await refused(server, sender, Unusable if name == "localhost" else Unreachable)
            assert trouble.cause == ("localhost:login:unsupported" if name == "localhost" else "localhost:connect:tls")
        answers["EHLO"] = [OFFERS, b"250-evil.example\r\n250 PIPELINING\r\n"]
        if name == "localhost":
            async with to(answers, query) as (server, sender):
                await sender.send(letter(), Commit())
                assert server.mails == [letter().data]


@pytest.mark.parametrize(
    "answer",
    [b"220 go ahead\r\n", then(b"220 go\r\n"), then(b"220 go\r\n", ends=True), "454 4.7.0 not now", "220-go", None],
)
async def test_tls_that_is_not_begun_is_not_gone_without(answer: Answer) -> None:
    """Clear text for a handshake, none, a connection that is cut, a no, a half yes, silence: no mail in the clear."""
    async with to({"EHLO": OFFERS, "STARTTLS": answer}, times=QUICK) as (server, sender):
        trouble = await refused(server, sender)
        assert trouble.cause.partition(":connect:")[2] in ("timeout", "tls", "lost", "454")


# Bounds


STEPS = {"CONNECT": "connect", "EHLO": "connect", "STARTTLS": "connect", "AUTH": "login", "MAIL": "mail", "RCPT": "rcpt",
         "DATA": "data", "DOT": "dot"}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "evil"),
    [
        ("timeout", drip(b"250-x")), ("timeout", then(*[b"250-x\r\n"] * 2000, pause=0.01)),
        ("protocol", then(*[b"220-x\r\n" * 500] * 50, pause=0)), ("protocol", then(b"250 " + b"x" * 1_000_000)),
        ("protocol", then(b"250-" + b"x" * 1_000_000 + b"\r\n250 ok\r\n")),
    ],
    ids=["an octet at a time", "a line at a time", "lines without end", "1 MB", "1 MB and an end"],
)  # fmt: skip
async def test_what_never_ends_is_ended_at_every_step(word: str, evil: Answer) -> None:
    """The time counts from the command, not from the last octet."""

    async def at(step: str) -> None:
        answers = {"EHLO": OFFERS if step == "STARTTLS" else b"250-x\r\n250 AUTH PLAIN\r\n", step: evil}
        query, login = ("" if step == "STARTTLS" else "?starttls=never"), ("user:secret@" if step == "AUTH" else "")
        async with to(answers, query, login=login, times=SLOW) as (_, sender):
            with pytest.raises(DeliveryUncertain if step == "DOT" else Unreachable) as trouble:
                await sender.send(letter(), Commit())
            assert trouble.value.cause == f"localhost:{STEPS[step]}:{word}"

    await asyncio.gather(*(at(step) for step in STEPS))


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "AUTH"])
@pytest.mark.parametrize(
    "answer",
    [
        b"250-fine\r\n550 not fine\r\n", b"550-no\r\n250 fine\r\n", b"220-x\r\n221 x\r\n", b"25\r\n", b"+25 x\r\n", b"2_5 x\r\n",
        b"199 ?\r\n", b"354 go\r\n", b"999 x\r\n", b"\r\n", b"250_x\r\n", b"\xff\xfe\x00\r\n",
    ],
)  # fmt: skip
async def test_replies_of_a_set_up_that_mean_nothing(step: str, answer: bytes) -> None:
    answers: dict[str, Any] = {"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", step: answer}
    async with to(answers, "?starttls=never", login="user:secret@" if step == "AUTH" else "") as (
        server,
        sender,
    ):
        with pytest.raises(Unreachable) as trouble:
            await sender.send(letter(), Commit())
        assert trouble.value.cause.endswith(":protocol")
        assert "MAIL" not in server.steps


async def test_a_last_line_that_is_missing_is_waited_for_and_no_other_is_taken_for_it() -> None:
    async def at(step: str) -> None:
        answers: dict[str, Any] = {"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", "AUTH": "235 ok", step: b"250-and\r\n"}
        async with to(answers, "?starttls=never", login="user:secret@", times=SLOW) as (server, sender):
            with pytest.raises(Trouble) as trouble:
                await sender.send(letter(), Commit())
            assert trouble.value.cause == f"localhost:{STEPS[step]}:timeout"
            assert server.texts == ([letter().data] if step == "DOT" else [])

    await asyncio.gather(*(at(step) for step in STEPS if step != "STARTTLS"))


WEIRD = b"\xd0\x91\xd0\xb0\xd1\x82 \x00\x01\r\x1b[31m <bat@example.com> \xff\xfe"


@pytest.mark.parametrize(("step", "code"), [("CONNECT", b"220 "), ("EHLO", b"250 "), ("MAIL", b"250 "), ("DOT", b"250 "),
                                            ("CONNECT", b"554 "), ("EHLO", b"550 "), ("AUTH", b"535 "), ("RCPT", b"550 "),
                                            ("DOT", b"554 ")])  # fmt: skip
async def test_words_that_are_no_text_are_made_harmless(step: str, code: bytes) -> None:
    """No octet of a terminal's language, no NUL and no address gets into what is told; a yes stays a yes."""
    answers: dict[str, Any] = {
        "EHLO": b"250-x\r\n250 AUTH PLAIN\r\n" if step == "AUTH" else b"250 x\r\n",
        step: code + WEIRD + b"\r\n",
    }
    async with to(answers, "?starttls=never", login="user:secret@" if step == "AUTH" else "") as (server, sender):
        if code < b"3":
            said = await sender.send(letter(), Commit())
            assert server.mails == [letter().data]
        else:
            with pytest.raises(Trouble) as trouble:
                await sender.send(letter(), Commit())
            said = str(trouble.value)
            assert (isinstance(trouble.value, Refused)) == (step in ("RCPT", "DOT"))
        assert said.isprintable()
        assert "bat@example.com" not in said


async def test_421_at_each_step_of_the_set_up_is_temporary() -> None:
    for step in ("CONNECT", "EHLO", "STARTTLS", "AUTH"):
        answers: dict[str, Any] = {"EHLO": OFFERS, step: "421 4.3.2 closing"}
        query = "" if step == "STARTTLS" else "?starttls=never"
        async with to(answers, query, login="user:secret@" if step == "AUTH" else "") as (_, sender):
            with pytest.raises(Unreachable, match="421"):
                await sender.send(letter(), Commit())
            assert not sender._routes[0].breaker.open


# Logins, and a server that knows HELO alone


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("right", [True, False])
async def test_logins(mechanism: str, right: bool) -> None:
    challenge = b"<1896.697170952@evil.example>"
    said: list[bytes] = []

    async def login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for ask in {
            "PLAIN": [],
            "LOGIN": [b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"],
            "CRAM-MD5": [base64.b64encode(challenge)],
        }[mechanism]:
            writer.write(b"334 " + ask + b"\r\n")
            said.append(base64.b64decode(await reader.readline()))
        writer.write(b"235 2.7.0 welcome\r\n" if right else b"535 5.7.8 no\r\n")
        await writer.drain()

    offer = f"250-x\r\n250-AUTH {mechanism} X-OTHER\r\n250 PIPELINING"
    async with to({"EHLO": offer, "AUTH": login}, "?starttls=never", login="bat:s%C3%BCrpr%C4%B1se@") as (
        server,
        sender,
    ):
        password = "sürprıse".encode()
        if right:
            await sender.send(letter(), Commit())
            assert server.mails == [letter().data]
        else:
            with pytest.raises(Unusable, match="535") as trouble:
                await sender.send(letter(), Commit())
            assert "rpr" not in str(trouble.value)
        expected = {"PLAIN": [], "LOGIN": [b"bat", password],
                    "CRAM-MD5": [b"bat " + hmac.digest(password, challenge, "md5").hex().encode()]}  # fmt: skip
        assert said == expected[mechanism]
        if mechanism == "PLAIN":
            assert b"AUTH PLAIN " + base64.b64encode(b"\0bat\0" + password) + b"\r\n" in server.reads


@pytest.mark.parametrize("answer", ["334 more", "334 !no base64!", "235-yes"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_a_login_that_asks_without_end(mechanism: str, answer: str) -> None:
    async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(20):
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()
            if not await reader.readline():
                return

    answers: dict[str, Any] = {"EHLO": f"250-x\r\n250 AUTH {mechanism}", "AUTH": again}
    async with to(answers, "?starttls=never", login="user:secret@", times=QUICK) as (_, sender):
        with pytest.raises(Unreachable) as trouble:
            await sender.send(letter(), Commit())
        assert trouble.value.cause in ("localhost:login:protocol", "localhost:login:timeout")


async def test_a_server_that_knows_helo_alone() -> None:
    async with to({"EHLO": "502 5.5.1 not implemented"}) as (server, sender):
        await sender.send(letter(), Commit())
        assert server.mails == [letter().data]
        assert b"DATA\r\n" in server.reads  # one command at a time
    async with to({"EHLO": "502 5.5.1 not implemented"}, "?starttls=required") as (server, sender):
        assert (await refused(server, sender, Unusable)).cause == "localhost:connect:unsupported"


@pytest.mark.parametrize(
    "evil", [{"CONNECT": EVERYTHING}, {"CONNECT": drip(b"220-x")}, {"EHLO": then(b"250-" + b"x" * 10**6)}, {"MAIL": DROP},
             {"DATA": b"354 x\r\n250 x\r\n"}, {"RCPT": None}],
)  # fmt: skip
async def test_one_evil_server_does_not_keep_the_mails_from_a_good_one(evil: dict[str, Any]) -> None:
    async with asyncio.timeout(30), Scripted(dict(evil)) as first, Scripted() as second:
        sender = mailer(first.url, second.url, times=SLOW)
        letters = [letter(f"job-{n}") for n in range(60)]
        await asyncio.gather(*(sender.send(one, Commit()) for one in letters))
        assert sorted(second.mails) == sorted(one.data for one in letters)
        assert first.texts == []
        assert first.connections <= 20  # those that were under way when it was found out
        await sender.aclose()
