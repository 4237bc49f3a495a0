"""Real sign-ins to examples/django/shop, examples/flask, examples/fastapi and examples/python, and their mails by SMTP."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiosmtpd.controller import Controller

from tests.client.conftest import free_port, until
from tests.nextauth.flow import Visitor
from tests.nextauth.github import CLIENT_ID, CLIENT_SECRET, GitHub
from tests.nextauth.servers import PROXY_ADDRESS, proxy, serving
from tests.test_up import Sink, System

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
KEY = "a-key-of-the-tests"
PASSWORD = "only for trying it out"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FORGED = {"X-Forwarded-For": "6.6.6.6", "User-Agent": FIREFOX}


class YellowBooks:
    """A whole system whose mails go to a sink; it can be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.sink = Sink()
        self.smtp = Controller(self.sink, hostname="127.0.0.1", port=free_port())
        self.smtp.start()
        self.settings = {
            "YB_DATA_DIR": str(folder / "data"), "YB_PORT": str(free_port()), "YB_API_KEYS": KEY,
            "YB_SMTP_URL": f"smtp://127.0.0.1:{self.smtp.port}",
        }  # fmt: skip
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['YB_PORT']}"

    def start(self) -> None:
        self.up = System("up", **self.settings)
        self.up.read_until("Ctrl-C stops")

    def mails(self, address: str) -> list[str]:
        read = [BytesParser(policy=policy.default).parsebytes(mail) for mail in list(self.sink.mails)]
        bodies = [mail.get_body(("plain",)) for mail in read if mail["to"] == address]
        return [body.get_content() for body in bodies if body]

    def mail(self, address: str) -> str:
        """The one mail to an address."""
        until(lambda: self.mails(address))
        [text] = self.mails(address)
        return text


@pytest.fixture(scope="module")
def books() -> Iterator[YellowBooks]:
    with tempfile.TemporaryDirectory(prefix="yb") as folder:
        books = YellowBooks(Path(folder))
        yield books
        if books.up.process.poll() is None:
            books.up.stop(signal.SIGTERM)
        books.smtp.stop()


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    github = GitHub()
    yield github
    github.close()


@contextmanager
def app(example: str, folder: Path, *words: str, books: YellowBooks, github: GitHub, **more: str) -> Iterator[Visitor]:
    """Runs an example's server; gives a browser with a user agent and a forged address."""
    port = free_port()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("YB_")}
    environment = plain | {
        "YB_URL": books.url, "YB_API_KEY": KEY, "YB_SPOOL": str(folder / "spool"), "SHOP_DATA": str(folder),
        "GITHUB_URL": github.url, "GITHUB_API": f"{github.url}/api/v3/", "GITHUB_ID": CLIENT_ID,
        "GITHUB_SECRET": CLIENT_SECRET, "DJANGO_SETTINGS_MODULE": "shop.settings", **more,
    }  # fmt: skip
    command = [sys.executable, "-m", *(word.replace("PORT", str(port)) for word in words)]
    with (folder / "app.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=EXAMPLES / example, env=environment, stdout=log, stderr=log)
    visitor = Visitor(port, dict(FORGED))

    def answers() -> bool:
        assert process.poll() is None, (folder / "app.log").read_text()
        try:
            return visitor.ask("GET", "/").status == 200
        except OSError:
            return False

    try:
        until(answers)
        yield visitor
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


def ip_of(text: str) -> str:
    found = re.search(r"IP[^:]*: (\S+)", text)
    assert found, text
    return found[1]


GUNICORN = ("gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "warning")


@pytest.fixture
def django(books: YellowBooks, github: GitHub, tmp_path: Path) -> Iterator[Visitor]:
    environment = os.environ | {"SHOP_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    code = (
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
        "from django.contrib.auth.models import User\n"
        f"User.objects.create_user('bold', 'bold@example.com', {PASSWORD!r})"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=EXAMPLES / "django", env=environment, check=True, timeout=60)
    with app("django", tmp_path, *GUNICORN, "shop.wsgi", books=books, github=github) as visitor:
        yield visitor


def test_django_by_its_own_form_and_by_allauth(books: YellowBooks, github: GitHub, django: Visitor) -> None:
    def form(path: str, **fields: str) -> dict[str, str]:
        page = django.ask("GET", path).body.decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page
        return {"csrfmiddlewaretoken": found[1], **fields}

    wrong = django.ask("POST", "/login/", form("/login/", username="bold", password="wrong"))
    assert wrong.status == 200
    signed_in = django.ask("POST", "/login/", form("/login/", username="bold", password=PASSWORD))
    assert (signed_in.status, signed_in.location) == (302, "/")
    assert django.ask("GET", "/").body == b"You are bold."
    text = books.mail("bold@example.com")
    assert ip_of(text) == "127.0.0.1"
    assert "Firefox" in text
    assert "password" in text.lower()

    django.cookies.clear()
    sent = django.ask("POST", "/accounts/github/login/", form("/accounts/github/login/"))
    assert sent.location.startswith(github.url), sent.body
    back = urlsplit(github.authorize(dict(parse_qsl(urlsplit(sent.location).query))))
    answer = django.ask("GET", f"{back.path}?{back.query}")
    assert (answer.status, answer.location) == (302, "/"), answer.body
    assert django.ask("GET", "/").body.startswith(b"You are bat")
    address = f"bat{github.users}@example.com"
    text = books.mail(address)
    assert "github" in text.lower()
    assert ip_of(text) == "127.0.0.1"
    assert len(books.mails("bold@example.com")) == 1


def test_fastapi_by_authlib(books: YellowBooks, github: GitHub, tmp_path: Path) -> None:
    words = ("uvicorn", "app:app", "--port", "PORT", "--log-level", "warning", "--no-proxy-headers")
    with (
        app("fastapi", tmp_path, *words, books=books, github=github, TRUSTED_PROXIES="1") as visitor,
        ExitStack() as stack,
    ):
        visitor.port = stack.enter_context(serving(proxy(visitor.port)))
        sent = visitor.ask("GET", "/login")
        assert sent.location.startswith(github.url), sent.body
        back = urlsplit(github.authorize(dict(parse_qsl(urlsplit(sent.location).query))))
        answer = visitor.ask("GET", f"{back.path}?{back.query}")
        assert (answer.status, answer.location) == (307, "/"), answer.body
        assert visitor.ask("GET", "/").body.startswith(b"You are bat")
        text = books.mail(f"bat{github.users}@example.com")
        assert ip_of(text) == "127.0.0.1"  # not the proxy's, nor the forged one
        assert PROXY_ADDRESS not in text
        assert "Firefox" in text


def test_flask_with_forked_workers_while_the_api_is_away(books: YellowBooks, github: GitHub, tmp_path: Path) -> None:
    def sign_in(visitor: Visitor, name: str) -> None:
        visitor.cookies.clear()
        answer = visitor.ask("POST", "/login", {"name": name, "password": PASSWORD})
        assert (answer.status, answer.location) == (302, "/")
        assert visitor.ask("GET", "/").body == f"You are {name}.".encode()

    port, to_api = free_port(), proxy(int(books.settings["YB_PORT"]))
    flask = {"YB_URL": f"http://127.0.0.1:{port}", "books": books, "github": github}
    words = (*GUNICORN, "--preload", "--workers", "2", "app:app")
    with ExitStack() as api:
        api.enter_context(serving(to_api, port))
        with app("flask", tmp_path, *words, **flask) as visitor:
            assert visitor.ask("POST", "/login", {"name": "bat", "password": "wrong"}).status == 401
            sign_in(visitor, "bat")
            text = books.mail("bat@example.com")
            assert ip_of(text) == "127.0.0.1"
            api.close()  # nobody listens at that port any more
            for name in ("dorj", "saran", "tuya"):
                sign_in(visitor, name)
    assert list((tmp_path / "spool").glob("*.spool"))
    with serving(to_api, port), app("flask", tmp_path, *words, **flask):
        for name in ("dorj", "saran", "tuya"):
            books.mail(f"{name}@example.com")
        until(lambda: not list((tmp_path / "spool").glob("*.spool")))
    assert len(books.mails("bat@example.com")) == 1


def test_a_program_that_ends_at_once(books: YellowBooks, tmp_path: Path) -> None:
    """What it put is sent at its exit; where the API is away, the next one sends it."""

    def run(url: str, user: str) -> str:
        environment = os.environ | {"YB_URL": url, "YB_API_KEY": KEY, "YB_SPOOL": str(tmp_path / "spool")}
        command = [sys.executable, "app.py", user, f"{user}@example.com"]
        return subprocess.run(
            command, cwd=EXAMPLES / "python", env=environment, check=True, timeout=60, capture_output=True, text=True
        ).stderr

    assert "yellowbooks away" in run(f"http://127.0.0.1:{free_port()}", "anu")
    assert "yellowbooks adopted" in run(books.url, "odon")
    for user in ("anu", "odon"):
        assert "Firefox" in books.mail(f"{user}@example.com")
