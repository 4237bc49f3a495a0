"""«This was not me»: the link, the page and the webhook, each alone; over real HTTP and a real Valkey."""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar

from tests.conftest import ValkeyServer
from yellowbooks.jobs import Failure, Permanent, Queue, RetryAfter
from yellowbooks.notme import NOT_ME, BadLink, Links, NotMe, Revoker, not_me_kind, webhook_key
from yellowbooks.notme.links import LINK_SECONDS, LONGEST
from yellowbooks.notme.page import page_routes

BASE = "https://jobs.example.mn"
OLD, NEW = "an-old-key-of-the-links", "a-new-key-of-the-links"
WHEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]


def token_of(url: str) -> str:
    return url.removeprefix(f"{BASE}/not-me/")


# The link


def test_a_link_shows_nothing_and_is_the_same_each_time() -> None:
    links = Links(BASE, [NEW])
    url = links.make("job-1", "user-secret-id", "mn", WHEN)
    assert url == Links(BASE, [NEW]).make("job-1", "user-secret-id", "mn", WHEN)
    raw = base64.urlsafe_b64decode(token_of(url) + "==")
    assert not [word for word in (b"job-1", b"user-secret", b"mn") if word in raw]
    claim = links.read(token_of(url))
    assert (claim.job_id, claim.user_id, claim.language) == ("job-1", "user-secret-id", "mn")
    assert claim.expires == WHEN.timestamp() + LINK_SECONDS
    assert len(links.make("j" * 128, "ү" * 256, "mn", WHEN)) < LONGEST + len(BASE)


def test_keys_are_changed_without_breaking_links_that_are_out() -> None:
    before = token_of(Links(BASE, [OLD]).make("job", "u1", "mn", WHEN))
    both = Links(BASE, [NEW, OLD])
    assert both.read(before).user_id == "u1"
    assert Links(BASE, [NEW]).read(token_of(both.make("job", "u2", "mn", WHEN))).user_id == "u2"
    with pytest.raises(BadLink):
        Links(BASE, [NEW]).read(before)


TOKEN = token_of(Links(BASE, [NEW]).make("job", "u1", "mn", WHEN))


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCxyz019-_"))
@settings(max_examples=200)
def test_a_changed_link_is_none(place: int, letter: str) -> None:
    links = Links(BASE, [NEW])
    changed = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if base64.urlsafe_b64decode(changed + "==="[: -len(changed) % 4]) == base64.urlsafe_b64decode(
        TOKEN + "==="[: -len(TOKEN) % 4]
    ):
        return
    with pytest.raises(BadLink):
        links.read(changed)


@given(st.text(max_size=200))
def test_whatever_comes_is_a_link_or_none(text: str) -> None:
    with pytest.raises(BadLink):
        Links(BASE, [NEW]).read(text)


# The page


class Page:
    """The page over a real queue, with a clock of its own."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.now = queue, WHEN.timestamp()
        self.links = Links(BASE, [NEW, OLD])
        routes = page_routes(self.links, queue, not_me_kind(), clock=lambda: self.now)
        transport = httpx.ASGITransport(Litestar(routes), raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url=BASE)
        self.url = self.links.make("job-1", "canary-user", "mn", WHEN)

    async def pressed(self) -> list[NotMe]:
        leases, _ = await self.queue.claim([NOT_ME], 10)
        return [not_me_kind().decode(lease.payload) for lease in leases]


@pytest.fixture
def page(queue: Queue) -> Page:
    return Page(queue)


async def test_looking_changes_nothing_however_often_and_in_whatever_way(page: Page) -> None:
    for _ in range(3):
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
            answer = await page.client.request(method, page.url)
            assert answer.status_code == 200 if method in ("GET", "HEAD") else answer.status_code in (204, 405)
    shown = await page.client.get(page.url)
    links = [link for link in shown.text.split('"') if link.startswith(("?", "http", "/"))]
    for link in links:  # a scanner follows all that it finds
        assert (await page.client.get(httpx.URL(page.url).join(link))).status_code == 200
    assert await page.pressed() == []


async def test_a_pressed_button_acts_once_and_says_the_same_each_time(page: Page) -> None:
    answers = [await page.client.post(page.url) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert "Хүсэлтийг хүлээн авлаа" in answers[0].text
    [press] = await page.pressed()
    assert (press.user_id, press.sign_in, press.pressed) == ("canary-user", "job-1", page.now * 1000)
    page.now += LINK_SECONDS - 1
    assert (await page.client.post(page.url)).status_code == 200
    assert await page.pressed() == []
    other = page.links.make("job-2", "canary-user", "en", WHEN)
    assert "We have your request" in (await page.client.post(other)).text
    assert len(await page.pressed()) == 1


async def test_a_link_that_has_ended_or_is_none_does_nothing(page: Page) -> None:
    assert (await page.client.post(page.url[:-2] + "AA")).status_code == 404
    assert "Ийм холбоос алга" in (await page.client.get(f"{BASE}/not-me/x")).text
    page.now += LINK_SECONDS
    assert (await page.client.get(page.url)).status_code == 410
    answer = await page.client.post(page.url)
    assert (answer.status_code, "Энэ холбоосын хугацаа дууссан" in answer.text) == (410, True)
    assert "<form" not in answer.text
    assert await page.pressed() == []


async def test_every_answer_has_its_headers_and_names_nobody(page: Page) -> None:
    ended = page.links.make("job-1", "canary-user", "mn", datetime(2020, 1, 1, tzinfo=UTC))
    for method, url in (("GET", page.url), ("POST", page.url), ("GET", ended), ("GET", f"{BASE}/not-me/x")):
        answer = await page.client.request(method, url)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "noindex" in answer.headers["x-robots-tag"]
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert not [word for word in ("canary", "job-1", "<script", "onload", "http-equiv") if word in answer.text]


async def test_the_page_is_in_the_mails_language_and_in_the_other(page: Page) -> None:
    assert '<html lang="mn"' in (await page.client.get(page.url)).text
    english = await page.client.get(page.url + "?language=en")
    assert '<html lang="en"' in english.text
    assert 'action="?language=en"' in english.text
    assert '<html lang="mn"' in (await page.client.get(page.url + "?language=%22%3E%3Cscript%3E")).text
    assert '<html lang="en"' in (await page.client.get(page.links.make("j", "u", "en", WHEN))).text


async def test_where_the_queue_is_away_the_page_asks_to_press_again(own_valkey: ValkeyServer) -> None:
    queue = Queue(own_valkey.url, name="away")
    page = Page(queue)
    own_valkey.kill()
    answer = await page.client.post(page.url)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "<form" in answer.text
    await queue.close()


# The webhook


class App(BaseHTTPRequestHandler):
    """The application: keeps what comes, and answers as it is told."""

    came: list[tuple[dict[str, str], bytes]]
    answers: list[tuple[int, dict[str, str]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append(({name.lower(): value for name, value in self.headers.items()} | {"path": self.path}, body))
        status, headers = self.answers.pop(0) if self.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return None


@pytest.fixture
def app() -> Iterator[Callable[..., tuple[str, type[App]]]]:
    handler = type("OneApp", (App,), {"came": [], "answers": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield lambda: (f"http://127.0.0.1:{server.server_address[1]}/hooks/not-me?from=mail", handler)
    server.shutdown()
    server.server_close()
    thread.join()


class Held:
    """As much of a lease as the handler looks at."""

    job_id = "not-me-0123"


PRESS = NotMe(user_id="u1", sign_in="job-1", pressed=1_795_608_000_123)


def verifies(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """As a receiver checks it, by the words of the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    fresh = abs(now - int(headers["webhook-timestamp"])) < 300
    return fresh and f"v1,{wanted}" in headers["webhook-signature"].split(" ")


def test_the_application_is_told_with_a_signature_of_each_secret(app: Any) -> None:
    url, handler = app()
    revoker = Revoker(url, [webhook_key(secret) for secret in SECRETS], clock=lambda: 1_795_608_010.0)
    assert revoker(Held(), PRESS) == "the application answered 204"
    assert revoker(Held(), PRESS) == "the application answered 204"
    (headers, body), (again, same) = handler.came
    assert (headers["path"], headers["webhook-id"]) == ("/hooks/not-me?from=mail", "not-me-0123")
    assert (again["webhook-id"], same) == (headers["webhook-id"], body)
    assert all(verifies(headers, body, secret, 1_795_608_010.0) for secret in SECRETS)
    assert not verifies(headers, body + b" ", SECRETS[0], 1_795_608_010.0)
    assert json.loads(body) == {
        "type": "signin.not_me", "timestamp": "2026-11-25T12:00:00.123Z", "data": {"userId": "u1", "jobId": "job-1"},
    }  # fmt: skip


def test_what_the_application_answers_is_the_outcome(app: Any) -> None:
    url, handler = app()
    revoker = Revoker(url, [webhook_key(SECRETS[0])])
    for answer, error, words in (
        ((500, {}), Failure, "answered 500"), ((404, {}), Failure, "answered 404"), ((410, {}), Permanent, "YB_REVOKE_URL"),
        ((302, {"Location": "http://127.0.0.1:1/inside"}), Failure, "redirects are not followed"),
        ((503, {"Retry-After": "120"}), RetryAfter, "answered 503"), ((429, {"Retry-After": "999999"}), RetryAfter, "429"),
    ):  # fmt: skip
        handler.answers[:] = [answer]
        with pytest.raises(error, match=words) as caught:
            revoker(Held(), PRESS)
        assert type(caught.value) is error
        if isinstance(caught.value, RetryAfter):
            assert caught.value.seconds in (120.0, 3600.0)
    assert len(handler.came) == 6
    with pytest.raises(OSError):  # noqa: PT011  whatever the system calls it
        Revoker("http://127.0.0.1:1/", [b"k" * 32])(Held(), PRESS)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_????",
        base64.b64encode(b"k" * 32).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
    ],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        webhook_key(secret)
