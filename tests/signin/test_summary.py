"""YB_NOTIFY from the request to the mail: the API, a worker, a real Valkey and a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner

from tests.conftest import ValkeyServer
from tests.parts import Told, eventually
from tests.signin.test_privacy import stored
from tests.test_up import free_port
from yellowbooks import wiring
from yellowbooks.api import ApiParts, create_app
from yellowbooks.cli import main
from yellowbooks.jobs import Queue, Worker
from yellowbooks.settings import Settings, SettingsError, load
from yellowbooks.signin import SignIn
from yellowbooks.wiring.notices import answers
from yellowbooks.wiring.queue import kinds

LAPTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
EVENT = {
    "userId": "u1", "email": "bat@example.mn", "name": "Бат", "provider": "github", "ipAddress": "192.0.2.7",
    "userAgent": LAPTOP,
}  # fmt: skip


class Server:
    """An SMTP server that keeps what it takes."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(envelope.content))
        return "250 taken"

    def texts(self) -> list[str]:
        return [str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n") for mail in self.mails]  # type: ignore[union-attr]


class System:
    """A worker and an API over one queue."""

    def __init__(self, settings: Settings, queue: Queue, open_queue: Callable[[], Queue], server: Server) -> None:
        self.settings, self.queue, self.server, self.told = settings, queue, server, Told()
        self.stop = asyncio.Event()
        self.mailer = wiring.make_mailer(settings, self.told)
        worker = Worker(
            open_queue, wiring.worker_kinds(settings, self.mailer, queue, self.told), concurrency=5, grace=1,
            tell=self.told,
        )  # fmt: skip
        self.running = asyncio.create_task(worker.run(self.stop, asyncio.Event()))
        app = create_app(
            ApiParts(
                queue=queue, kinds=kinds(settings), find=self.find, inbox=None, api_keys=(), admin_keys=(),
                tell=self.told, close=self.nothing, answers=answers(settings),
            )
        )  # fmt: skip
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3333")

    async def find(self, _job_id: str) -> None:
        return None

    async def nothing(self) -> None:
        return None

    async def sign_in(self, **fields: Any) -> httpx.Response:
        return await self.client.post("/api/jobs/signin-notification", json=EVENT | fields)

    async def close(self) -> None:
        self.stop.set()
        await self.running
        await self.client.aclose()
        await self.mailer.aclose()


@pytest.fixture
async def system(
    queue: Queue, open_queue: Callable[[], Queue], queue_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., System]]:
    """Makes one, of its own memory of devices."""
    monkeypatch.setattr("yellowbooks.wiring.notices.NOTICES", queue_name)
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    made: list[System] = []

    def make(**settings: str) -> System:
        known = {
            "YB_SMTP_URL": f"smtp://127.0.0.1:{controller.port}?starttls=never", "YB_DATA_DIR": str(tmp_path),
            "YB_MAIL_SECRET": "a-secret-of-the-tests", "YB_MAIL_FROM": "Yellow Books <no-reply@yellowbooks.example>",
        }  # fmt: skip
        found = load(known | settings, tmp_path / ".env").settings
        made.append(System(found, queue, open_queue, server))
        return made[-1]

    yield make
    for one in made:
        await one.close()
    controller.stop()


async def test_repeats_of_a_known_device_stand_in_one_summary(system: Callable[..., System]) -> None:
    ours = system(YB_NOTIFY="new_device", YB_NOTIFY_WINDOW="3s", YB_RATE_LIMIT="10/second")
    answer = await ours.sign_in(jobId="first")
    assert (answer.status_code, answer.json()) == (
        202,
        {"jobId": "first", "status": "enqueued", "notify": "new_device"},
    )
    await eventually(lambda: ours.server.mails)
    assert "ℹ️ Энэ бол таны бүртгэлд бидний тэмдэглэсэн анхны нэвтрэлт.\n" in ours.server.texts()[0]
    for n in range(15):  # the eleventh in an hour is not refused
        assert (await ours.sign_in(jobId=f"again-{n}")).status_code == 202
    await eventually(lambda: len(ours.server.mails) == 2)
    summary = ours.server.mails[1]
    assert summary["Subject"] == "🔐 Таны бүртгэлд нэвтэрсэн тухай тойм - Yellow Books"
    assert "💻 Chrome, Linux · github\n   192.0.2.7\n   15 удаа, сүүлд " in ours.server.texts()[1]
    assert "\nНийт: 15 удаа\n" in ours.server.texts()[1]
    [told] = [one.note for one in await ours.queue.read(0.1) if one.job == "again-0" and one.name == "completed"]
    assert str(told).startswith("known: told in job summary-")
    waited = await ours.queue.show(str(told).rpartition(" ")[2])
    assert waited
    assert (waited.kind, waited.state) == ("signin-summary", "completed")


async def test_a_flood_is_as_many_mails_as_the_limit_and_one_summary(system: Callable[..., System]) -> None:
    ours = system(YB_NOTIFY="every", YB_NOTIFY_WINDOW="4s", YB_RATE_LIMIT="4/minute", YB_RECIPIENT_LIMIT="3/minute")
    answers = await asyncio.gather(*(ours.sign_in(userId=f"u{n % 3}", ipAddress=f"203.0.{n}.1") for n in range(30)))
    assert {answer.status_code for answer in answers} == {202}
    await eventually(lambda: len(ours.server.mails) == 3)
    await eventually(lambda: "mail_flood" in ours.told.words())
    [fields] = [fields for word, fields in ours.told.lines if word == "mail_flood"]
    assert "YB_RECIPIENT_LIMIT" in fields["error"]
    await eventually(lambda: ours.told.words().count("completed") == 30)
    assert len(ours.server.mails) == 3
    assert (await ours.queue.survey()).scheduled == 1


async def test_without_the_setting_nothing_is_remembered_and_the_eleventh_is_refused(
    system: Callable[..., System], queue_name: str, valkey: ValkeyServer
) -> None:
    ours = system()
    answers = [(await ours.sign_in()) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    assert answers[0].json().keys() == {"jobId", "status"}
    await eventually(lambda: len(ours.server.mails) == 10)
    assert not any("ℹ️" in text for text in ours.server.texts())
    client = valkey.client()
    assert not list(client.scan_iter(f"{{yb:{queue_name}}}:*", count=10_000))
    client.close()


async def test_with_secret_keys_the_server_reads_nothing_of_a_summary(
    system: Callable[..., System], queue: Queue, queue_name: str, valkey: ValkeyServer
) -> None:
    ours = system(YB_NOTIFY="suspicious", YB_SECRET_KEYS="a-random-key-of-32-or-more-characters")
    await ours.sign_in(email="canary@example.mn", userId="canary-user", ipAddress="203.0.113.77")
    await eventually(lambda: "completed" in ours.told.words())
    assert (await queue.survey()).scheduled == 1
    client = valkey.client()
    left = stored(client, f"{queue.tag}:*", f"{{yb:{queue_name}}}:*")
    client.close()
    assert ":window:" in left
    assert not [word for word in ("canary", "203.0.113.77", "Chrome") if word in left]


def test_the_policy_needs_a_secret() -> None:
    with pytest.raises(SettingsError, match="YB_MAIL_SECRET must be set"):
        wiring.check(load({"YB_NOTIFY": "every"}, Path("/nowhere")).settings)


async def test_an_operator_forgets_a_users_devices(
    own_valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {"YB_VALKEY_URL": own_valkey.url, "YB_MAIL_SECRET": "a-secret-of-the-tests", "YB_NOTIFY": "every"}
    settings = load(environment, tmp_path / ".env").settings
    queue = wiring.open_queue(settings)
    memory = wiring.device_memory(settings, queue)
    assert memory
    await memory.decide("job", SignIn(user_id="u1", email="a@b.mn", provider="github", ip_address="192.0.2.7"), 0)
    await queue.close()

    async def forget(**more: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["mail", "forget", "u1"], env=environment | more)
        return result.exit_code, result.output

    assert await forget() == (0, "forgotten\n")
    assert await forget() == (0, "nothing was known of this user\n")
    assert (await forget(YB_NOTIFY=""))[0] == 2
    own_valkey.kill()
    assert (await forget())[0] == 75
