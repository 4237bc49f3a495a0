"""Signing in with a browser, as the API answers it: the cookie, the token of acts, and what ends a session."""

import asyncio
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access.conftest import SECRETS, Office
from tests.conftest import ValkeyServer
from tests.security.whole import OPERATOR, Whole, bearer, whole
from yellowbooks.access import Secrets
from yellowbooks.access.throttle import OWN
from yellowbooks.jobs import Queue
from yellowbooks.wiring import key_secrets

OURS = {"Origin": "http://127.0.0.1:3333", "Sec-Fetch-Site": "same-origin"}
HTML = {"Accept": "text/html,application/xhtml+xml"}
COOKIE = "__Host-yb_session"
PAUSE = "/api/admin/kinds/signin-notification/pause"
WHY = {"reason": "why"}


class Browser:
    """One browser: it keeps the cookie of its session and says where its requests come from."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client, self.cookie, self.csrf = client, "", ""

    def headers(self, **more: str) -> dict[str, str]:
        return ({"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}) | OURS | more

    async def sign_in(self, key: str = OPERATOR, name: str = "", **more: str) -> httpx.Response:
        reply = await self.client.post(
            "/dashboard/login", data={"key": key, "name": name, **more}, headers=self.headers()
        )
        self._take(reply)
        if self.cookie:
            page = await self.client.get("/dashboard", headers=self.headers())
            self.csrf = re.findall(r'<meta name="csrf" content="(\w+)">', page.text)[0]
        return reply

    async def get(self, path: str = "/dashboard", **more: str) -> httpx.Response:
        return await self.client.get(path, headers=self.headers(**more))

    async def act(self, **more: str) -> httpx.Response:
        headers = self.headers() | {"X-CSRF-Token": self.csrf} | more
        return await self.client.post(PAUSE, json=WHY, headers={k: v for k, v in headers.items() if v})

    async def leave(self, csrf: str | None = None) -> httpx.Response:
        data = {"csrf": self.csrf if csrf is None else csrf}
        return await self.client.post("/dashboard/logout", data=data, headers=self.headers())

    def _take(self, reply: httpx.Response) -> None:
        for header in reply.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                if name == COOKIE:
                    self.cookie = morsel.value


@pytest.fixture
async def api(own_valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole(own_valkey.url, tmp_path) as found:
        yield found


@pytest.fixture
async def browser(api: Whole) -> AsyncIterator[Browser]:
    async with api.client() as client:
        yield Browser(client)


@pytest.fixture
async def office(own_valkey: ValkeyServer, tmp_path: Path, api: Whole) -> AsyncIterator[Any]:
    queue = Queue(own_valkey.url)
    office, known = Office(queue, tmp_path), key_secrets(api.settings)
    assert SECRETS.first not in known

    async def issue(role: str = "admin", name: str = "ops") -> Any:
        return await office.issue(role, name, known=known)

    yield office.store, issue
    await queue.close()


async def test_the_cookie_and_the_way_back(browser: Browser) -> None:
    wanted = await browser.get("/dashboard/jobs?status=dead", **HTML)
    assert (wanted.status_code, wanted.headers["location"]) == (
        303,
        "/dashboard/login?back=/dashboard/jobs%3Fstatus%3Ddead",
    )
    page = await browser.get(wanted.headers["location"], **HTML)
    assert page.status_code == 200
    assert 'name="back" value="/dashboard/jobs?status=dead"' in page.text
    assert "<script" not in page.text
    reply = await browser.sign_in(back="/dashboard/jobs?status=dead")
    header = reply.headers["set-cookie"]
    assert re.fullmatch(rf"{COOKIE}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=lax; Secure", header)
    assert (reply.status_code, reply.headers["cache-control"]) == (303, "no-store")
    kept = await browser.get(reply.headers["location"])
    assert (kept.status_code, kept.headers["location"]) == (303, "/dashboard/jobs?status=dead")
    cookie, browser.cookie = browser.cookie, ""
    lost = await browser.get(reply.headers["location"])
    assert "The browser did not keep the session" in lost.text
    assert cookie not in str(browser.client)
    for back in ("//evil.example", "https://evil.example/dashboard", "/\\evil", "/dashboard/\\evil", "/healthz"):
        assert (await browser.sign_in(back=back)).headers["location"].endswith("back=/dashboard")


async def test_a_program_is_told_and_not_sent_to_a_page(browser: Browser) -> None:
    for path, headers in (("/api/admin/dlq", {}), ("/dashboard", {"Accept": "*/*"})):
        reply = await browser.get(path, **headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")
    wrong = await browser.client.get("/dashboard", headers=HTML | bearer("a-wrong-key-a-wrong-key"))
    assert wrong.status_code == 401


async def test_a_session_is_a_new_one_at_each_sign_in(browser: Browser) -> None:
    browser.cookie = "x" * 43  # planted
    await browser.sign_in()
    first = browser.cookie
    assert first != "x" * 43
    await browser.sign_in()
    second = browser.cookie
    assert second != first
    browser.cookie = first
    assert (await browser.get()).status_code == 401
    browser.cookie = second
    assert (await browser.get()).status_code == 200


async def test_an_act_needs_the_token_of_its_page(browser: Browser) -> None:
    await browser.sign_in(name="бат")
    other = Browser(browser.client)
    await other.sign_in()
    assert (await browser.act()).status_code == 200
    for headers in (
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": other.csrf},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "", "Sec-Fetch-Site": ""},
    ):
        assert (await browser.act(**headers)).status_code == 403, headers
    acts = (await browser.get("/api/admin/audit")).json()["acts"]
    assert [act["who"] for act in acts] == ["бат"]
    for csrf in ("", other.csrf):
        assert (await browser.leave(csrf)).status_code == 403
        look = {"look": "dark", "csrf": csrf}
        reply = await browser.client.post("/dashboard/choose", data=look, headers=browser.headers())
        assert reply.status_code == 403
    assert (await browser.get()).status_code == 200


async def test_a_session_opens_the_operators_routes_and_no_others(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.get("/api/admin/dlq")).status_code == 200
    assert (await browser.get("/inbox")).status_code == 200
    event = {"userId": "u1", "email": "bat@example.com", "provider": "github"}
    headers = browser.headers() | {"X-CSRF-Token": browser.csrf}
    reply = await browser.client.post("/api/jobs/signin-notification", json=event, headers=headers)
    assert reply.status_code == 401


async def test_signing_out_ends_it(browser: Browser) -> None:
    await browser.sign_in()
    reply = await browser.leave()
    assert (reply.status_code, reply.headers["location"]) == (303, "/dashboard/login")
    assert f"{COOKIE}=" in reply.headers["set-cookie"]
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert (await browser.get()).status_code == 401


async def test_a_revoked_key_ends_its_sessions_and_their_streams(api: Whole, browser: Browser, office: Any) -> None:
    store, issue = office
    given = await issue()
    await browser.sign_in(given.text, "bat")
    assert (await browser.get()).status_code == 200
    await store.revoke(given.id)
    assert (await browser.get()).status_code == 401
    assert (await browser.act()).status_code == 401
    acts = await browser.client.get("/api/admin/audit", headers=bearer(OPERATOR))
    assert acts.json()["acts"] == []
    told = [fields for word, fields in api.told.lines if word == "signed_in"]
    assert told == [{"who": "ops", "key": given.id}]
    assert given.text not in str(api.told.lines)


@pytest.mark.parametrize(
    ("role", "change", "words"), [("api", "", "a key of an application"), ("admin", "revoke", "was revoked")]
)
async def test_a_key_that_is_no_operators_signs_nobody_in(
    browser: Browser, office: Any, role: str, change: str, words: str
) -> None:
    store, issue = office
    given = await issue(role)
    if change:
        await store.revoke(given.id)
    reply = await browser.sign_in(given.text)
    assert (reply.status_code, browser.cookie) == (422, "")
    assert words in reply.text
    assert given.text not in reply.text


async def test_wrong_keys_are_throttled_and_counted(browser: Browser) -> None:
    assert (await browser.sign_in()).status_code == 303  # what is right costs nothing
    browser.cookie = ""
    for _ in range(OWN):
        assert (await browser.sign_in("wrong")).status_code == 422
    for key in ("wrong", OPERATOR):
        reply = await browser.sign_in(key)
        assert (reply.status_code, browser.cookie) == (429, "")
        assert 0 < int(reply.headers["retry-after"]) <= 900
        assert "Try again in" in reply.text
    page = (await browser.client.get("/metrics", headers=bearer(OPERATOR))).text
    assert 'yb_access_denials_total{reason="throttled"} 2' in page
    assert f'yb_access_denials_total{{reason="unknown"}} {OWN}' in page


async def test_behind_a_proxy_of_ours_each_address_has_its_own_attempts(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with whole(own_valkey.url, tmp_path, trusted_proxies=1) as api, api.client() as client:
        for address, status in (("198.51.100.1", 422), ("198.51.100.1", 429), ("198.51.100.2", 422)):
            for _ in range(OWN if status == 422 else 1):
                headers = OURS | {"X-Forwarded-For": f"192.0.2.9, {address}"}
                reply = await client.post("/dashboard/login", data={"key": "wrong"}, headers=headers)
                assert reply.status_code == status


async def test_attempts_of_one_moment_are_so_many(browser: Browser) -> None:
    replies = await asyncio.gather(*(Browser(browser.client).sign_in("wrong") for _ in range(3 * OWN)))
    assert sorted(reply.status_code for reply in replies) == [422] * OWN + [429] * 2 * OWN


async def test_another_site_signs_nobody_in(browser: Browser) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    reply = await browser.client.post("/dashboard/login", data={"key": OPERATOR}, headers=foreign)
    assert reply.status_code == 403
    assert "set-cookie" not in reply.headers


async def test_a_key_that_left_the_settings_ends_its_sessions(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    keys = ("an-admin-key-of-the-settings", "another-admin-key-of-them")
    async with whole(own_valkey.url, tmp_path, admin_keys=keys) as api, api.client() as client:
        browser = Browser(client)
        await browser.sign_in(keys[0])
        cookie = browser.cookie
        assert (await browser.get()).status_code == 200
    for left, status in ((keys, 200), (keys[1:], 401)):
        async with whole(own_valkey.url, tmp_path, admin_keys=left) as api, api.client() as client:
            browser = Browser(client)
            browser.cookie = cookie
            assert (await browser.get()).status_code == status


async def test_without_the_queue_who_is_signed_in_stays_so_and_another_can(
    browser: Browser, own_valkey: ValkeyServer
) -> None:
    await browser.sign_in()
    own_valkey.kill()
    assert (await browser.get()).status_code == 200
    other = Browser(browser.client)
    await other.sign_in()
    assert (await other.get()).status_code == 200
    own_valkey.start()


async def test_where_nobody_needs_a_key_there_is_no_sign_in(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    async with whole(own_valkey.url, tmp_path, api_keys=(), admin_keys=()) as api, api.client() as client:
        reply = await client.get("/dashboard/login")
        assert (reply.status_code, reply.headers["location"]) == (303, "/dashboard")
        assert "Sign out" not in (await client.get("/dashboard")).text


def test_marks_of_two_secrets_differ() -> None:
    one, other = Secrets([b"1" * 32]), Secrets([b"2" * 32])
    assert one.marked(b"x", one.mark(b"x"))
    for wrong in (other.mark(b"x"), one.mark(b"y"), "", "x:y", one.mark(b"x") + "ü"):
        assert not one.marked(b"x", wrong)
