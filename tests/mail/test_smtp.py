"""Real SMTP conversations: what goes over the wire, and what each answer means."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.mail.scripted import Commit, letter, mailer
from yellowbooks.mail import DeliveryUncertain, Refused, SmtpServer, Times, Unreachable, Unusable


class Server:
    """Keeps what it accepts; answers as it is told."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.steps: list[str] = []
        self.answers: dict[str, str] = {}
        self.hang_up_at: str | None = None
        self.sessions: set[Any] = set()

    def _step(self, server: Any, step: str) -> str:
        self.steps.append(step)
        if self.hang_up_at == step:
            server.transport.abort()
        return self.answers.get(step, "250 2.0.0 OK")

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.sessions.add(session.peer)
        envelope.mail_from = address
        return self._step(server, "MAIL")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answer = self._step(server, "RCPT")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers.get("DATA", "250").startswith("250"):
            self.mails.append(envelope)
        return self._step(server, "DATA")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def start(server: Server) -> Iterator[Callable[..., str]]:
    """Starts a server; gives `host:port`."""
    controllers = []

    def start(**options: Any) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        controller = Controller(server, hostname="127.0.0.1", port=port, **options)
        controller.start()
        controllers.append(controller)
        return f"localhost:{port}"

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture
def authority(tmp_path: Path) -> tuple[str, ssl.SSLContext]:
    """A private authority's file and a server context with its certificate for localhost."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return str(tmp_path / "ca.pem"), context


async def test_a_mail_arrives_as_it_was_made(server: Server, start) -> None:
    sender, commit, message = mailer(f"smtp://{start()}"), Commit(server), letter()
    assert (await sender.send(message, commit)).startswith("250 ")
    [mail] = server.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("no-reply@example.mn", ["bat@example.com"])
    assert mail.original_content == message.data
    assert commit.calls == 1
    assert commit.seen == ["MAIL", "RCPT"]  # the point of no return lies before the text
    await sender.aclose()


async def test_dots_arrive_unharmed(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    message = letter(text=".\n..\n.QUIT\n")
    await sender.send(message, Commit())
    assert server.mails[0].original_content == message.data
    bare = msgspec.structs.replace(message, data=message.data.replace(b"=2E=\r\n", b"."), sound=False)
    assert bare.data.count(b"\r\n.") == 2
    await sender.send(bare, Commit())
    assert server.mails[1].original_content == bare.data
    await sender.aclose()


async def test_a_session_is_used_again(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    for number in range(5):
        await sender.send(letter(f"job-{number}"), Commit())
    assert len(server.mails) == 5
    assert len(server.sessions) == 1
    await sender.aclose()


async def test_many_at_once_arrive_once_each(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    messages = [letter(f"job-{number}") for number in range(30)]
    await asyncio.gather(*(sender.send(message, Commit()) for message in messages))
    assert sorted(mail.original_content for mail in server.mails) == sorted(message.data for message in messages)
    await sender.aclose()


async def test_a_kept_session_that_died_is_replaced(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    await sender.send(letter(), Commit())
    sender._routes[0].pool._idle[0].abort()
    commit = Commit()
    await sender.send(letter("job-2"), commit)
    assert (len(server.mails), commit.calls) == (2, 1)
    await sender.aclose()


async def test_a_kept_session_that_the_server_closes_is_replaced(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    await sender.send(letter(), Commit())
    server.answers["MAIL"] = "421 4.3.2 closing"
    with pytest.raises(Unreachable, match="421"):
        await sender.send(letter("job-2"), Commit())
    server.answers.clear()
    await sender.send(letter("job-2"), Commit())
    assert len(server.mails) == 2
    await sender.aclose()


@pytest.mark.parametrize(
    ("step", "answer", "verdict", "committed"),
    [
        ("MAIL", "451 4.3.0 later", "retry", 0), ("MAIL", "550 5.7.1 no", "policy", 0),
        ("RCPT", "550 5.1.1 <bat@example.com> unknown", "suppress", 0), ("RCPT", "450 4.7.1 greylisted", "defer", 0),
        ("RCPT", "452 4.2.2 full", "defer", 0), ("DATA", "554 5.7.1 spam", "policy", 1),
        ("DATA", "451 4.7.1 try again in 300 seconds", "defer", 1), ("DATA", "552 5.3.4 too big", "strike", 1),
    ],
)  # fmt: skip
async def test_refusals(server: Server, start, step: str, answer: str, verdict: str, committed: int) -> None:
    server.answers[step] = answer
    sender, commit = mailer(f"smtp://{start()}"), Commit()
    with pytest.raises(Refused) as caught:
        await sender.send(letter(), commit)
    assert (caught.value.reply.verdict, commit.calls) == (verdict, committed)
    assert "bat@" not in str(caught.value)
    server.answers.clear()
    await sender.send(letter("job-2"), Commit())
    assert len(server.mails) == 1
    await sender.aclose()


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
async def test_lost_before_the_text_is_safe_to_repeat(server: Server, start, step: str) -> None:
    server.hang_up_at = step
    commit = Commit()
    with pytest.raises(Unreachable):
        await mailer(f"smtp://{start()}").send(letter(), commit)
    assert commit.calls == 0


async def test_lost_after_the_dot_is_in_doubt(server: Server, start) -> None:
    server.hang_up_at = "DATA"
    with pytest.raises(DeliveryUncertain):
        await mailer(f"smtp://{start()}").send(letter(), Commit())
    assert len(server.mails) == 1  # the server has it


async def test_silence_after_the_dot_is_in_doubt(server: Server, start) -> None:
    async def slow(*_: Any) -> str:
        await asyncio.sleep(3)
        return "250 OK"

    server.handle_DATA = slow  # type: ignore[method-assign]
    with pytest.raises(DeliveryUncertain):
        await mailer(f"smtp://{start()}", times=Times(block=0.1, dot=0.2)).send(letter(), Commit())


async def test_a_commit_that_is_refused_sends_nothing(server: Server, start) -> None:
    sender = mailer(f"smtp://{start()}")
    with pytest.raises(PermissionError):
        await sender.send(letter(), Commit(error=PermissionError("lost")))
    assert server.mails == []
    assert "DATA" not in server.steps
    assert sender._routes[0].pool._idle == []


async def test_the_next_server_is_tried(server: Server, start) -> None:
    sender = mailer("smtp://127.0.0.1:1", f"smtp://{start()}")
    await sender.send(letter(), Commit())
    assert len(server.mails) == 1
    await sender.aclose()


async def test_nobody_answers() -> None:
    commit = Commit()
    with pytest.raises(Unreachable, match="YB_SMTP_URL"):
        await mailer("smtp://127.0.0.1:1").send(letter(), commit)
    assert commit.calls == 0


async def test_starttls_with_a_private_authority(server: Server, start, authority) -> None:
    cafile, context = authority
    address = start(tls_context=context, require_starttls=True)
    sender = mailer(f"smtp://{address}?starttls=required&cafile={cafile}")
    await sender.send(letter(), Commit())
    assert len(server.mails) == 1
    await sender.aclose()


async def test_a_certificate_of_an_unknown_authority_is_refused(server: Server, start, authority) -> None:
    address = start(tls_context=authority[1])
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED") as unreachable:
        await mailer(f"smtp://{address}").send(letter(), Commit())
    assert unreachable.value.cause == "localhost:connect:tls"
    assert server.mails == []


async def test_a_name_that_is_not_found() -> None:
    with pytest.raises(Unreachable, match="name was not found") as unreachable:
        await mailer("smtp://nowhere.invalid").send(letter(), Commit())
    assert unreachable.value.cause == "nowhere.invalid:connect:dns"


async def test_starttls_that_is_required_and_not_offered_sends_nothing(server: Server, start) -> None:
    with pytest.raises(Unusable, match="starttls=never"):
        await mailer(f"smtp://user:secret@{start()}").send(letter(), Commit())
    assert server.steps == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the test server takes a login inside TLS alone
async def test_implicit_tls_and_a_login(server: Server, start, authority) -> None:
    cafile, context = authority
    logins = []

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss", handled=False)

    address = start(ssl_context=context, authenticator=authenticate, auth_required=True, auth_require_tls=False)
    sender = mailer(f"smtps://user:p%40ss@{address}?cafile={cafile}")
    await sender.send(letter(), Commit())
    assert logins == [(b"user", b"p@ss")]
    await sender.aclose()
    with pytest.raises(Unusable, match="535"):
        await mailer(f"smtps://user:wrong@{address}?cafile={cafile}").send(letter(), Commit())


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.mn", SmtpServer("mail.mn", 587, starttls="required")),
        ("smtp://localhost:25", SmtpServer("localhost", 25, starttls="auto")),
        ("smtp://u:p@localhost", SmtpServer("localhost", 587, "u", "p", starttls="required")),
        ("smtps://u%40x:p%2F@mail.mn", SmtpServer("mail.mn", 465, "u@x", "p/", True, "required")),
        ("smtp://mail.mn:2525?starttls=never", SmtpServer("mail.mn", 2525, starttls="never")),
        ("smtp://mail.mn?helo=out.mail.mn", SmtpServer("mail.mn", 587, starttls="required", helo="out.mail.mn")),
    ],
)  # fmt: skip
def test_urls(url: str, server: SmtpServer) -> None:
    assert SmtpServer.parse(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "smtp://",
        "http://x",
        "smtp://x/path",
        "smtp://x:port",
        "smtp://x?tls=1",
        "smtp://x?starttls=maybe",
        "smtp://x?helo=a%20b.mn",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValueError, match="smtp://"):
        SmtpServer.parse(url)


def test_no_password_is_printed() -> None:
    assert "secret" not in repr(SmtpServer.parse("smtp://u:secret@mail.mn"))
