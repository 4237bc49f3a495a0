"""The OWASP API Security Top 10 of 2023, a row a test or more; docs/threats.md names them."""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts import take
from tests.security.conftest import api
from tests.security.roles import ROUTES, VALUES
from tests.security.test_roles import ask, documented
from tests.security.whole import CALLER, OPERATOR, SECRET, Whole, bearer
from yellowbooks.alerts.send import Notice, NotSent, webhook
from yellowbooks.api import dead_letters
from yellowbooks.jobs import Failure, Queue, RetryAfter
from yellowbooks.mail import reply
from yellowbooks.notme import NotMe, Revoker, webhook_key

__all__ = ["api"]

POST = "/api/jobs/signin-notification"
MARKED = {
    "email": "marked-address@example.mn",
    "name": "Marked Name",
    "ipAddress": "203.0.113.77",
    "userAgent": "MarkedAgent/9",
}
EVENT = {"userId": "marked-user", "provider": "github", **MARKED}
ROOT = Path(__file__).parents[2]


def guarded(rule: str = "") -> list[str]:
    """The operations that ask for a key."""
    return [one for one, its in ROUTES.items() if its in (rule, *(() if rule else ("callers", "operators")))]


async def post(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(POST, json=EVENT | fields, headers=bearer(CALLER))


# API1: broken object level authorization


async def test_api1_whoever_follows_a_job_sees_how_it_stands_and_nothing_of_whom_it_is_about(api: Whole) -> None:
    async with api.client() as client:
        job_id = (await post(client)).json()["jobId"]
        followed = await client.get(f"/api/jobs/{job_id}", headers=bearer(CALLER))
        assert followed.status_code == 200
        assert not [mark for mark in (*MARKED.values(), "marked-user") if mark in followed.text]
        for operation in ("reveal", "mail", "cancel"):  # what shows or moves it is the operator's
            method = "GET" if operation == "mail" else "POST"
            reply = await client.request(
                method,
                f"/api/admin/jobs/{job_id}/{operation}",
                headers=bearer(CALLER),
                **({"json": {"reason": "x"}} if method == "POST" else {}),
            )
            assert reply.status_code == 403


async def test_api1_without_a_key_a_job_that_is_there_is_answered_as_one_that_is_not(api: Whole) -> None:
    async with api.client() as client:
        job_id = (await post(client)).json()["jobId"]
        there, missing = [await client.get(f"/api/jobs/{one}") for one in (job_id, "nobody-has-this")]
        assert (there.status_code, there.content) == (missing.status_code, missing.content) == (401, there.content)


async def test_api1_an_id_that_is_made_here_cannot_be_guessed(api: Whole) -> None:
    async with api.client() as client:
        ids = [(await post(client, userId=f"u{n}")).json()["jobId"] for n in range(20)]
    assert len(set(ids)) == 20
    assert all(re.fullmatch(r"[0-9a-f]{20,}", one) for one in ids)  # 80 random bits
    assert len({one[:3] for one in ids}) > 10


# API2: broken authentication

WRONG = {
    "none": {}, "empty": bearer(""), "cut": bearer(OPERATOR[:-1]), "longer": bearer(OPERATOR + "x"), "upper case": bearer(OPERATOR.upper()),
    "as user": {"Authorization": "Basic YS1rZXktb2YtYW4tb3BlcmF0b3I6"}, "no scheme": {"Authorization": OPERATOR},
    "two": {"Authorization": f"Bearer x, Bearer {OPERATOR}"}, "elsewhere": {"X-Api-Key": OPERATOR, "Cookie": f"key={OPERATOR}"},
}  # fmt: skip


async def test_api2_a_wrong_key_opens_no_route(api: Whole) -> None:
    async with api.client() as client:
        for wrong, headers in WRONG.items():
            opened = [one for one in guarded() if (await ask(client, one, headers)).status_code != 401]
            assert opened == [], wrong
        assert (await client.get(f"/api/admin/dlq?key={OPERATOR}")).status_code == 401  # a key in an address is in logs


# API3: broken object property level authorization

OURS = [
    "status", "state", "attempts", "maxAttempts", "crashes", "generation", "createdAt", "startedAt", "processedAt", "error", "history",
    "kind", "type", "lane", "account", "token", "payload", "due", "cause", "release", "found", "request", "tenant", "admin", "role", "__class__",
]  # fmt: skip


async def test_api3_no_field_of_ours_can_be_sent(api: Whole) -> None:
    async with api.client() as client:
        for field in OURS:
            refused = await post(client, **{field: "x"})
            assert refused.status_code == 400, field
            assert [one["field"] for one in refused.json()["errors"]] == [field]
            moved = await client.post("/api/admin/dlq/retry", json={field + "X": 1}, headers=bearer(OPERATOR))
            assert moved.status_code == 400, field


async def test_api3_an_answer_holds_what_the_document_says_and_no_more(api: Whole) -> None:
    async with api.client() as client:
        job_id = (await post(client)).json()["jobId"]
        shown = (await client.get(f"/api/jobs/{job_id}", headers=bearer(CALLER))).json()
        document = (await client.get("/schema")).json()["components"]["schemas"]
    assert document["Job"]["additionalProperties"] is False
    assert set(shown) <= set(document["Job"]["properties"])
    closed = {
        name: shape.get("additionalProperties")
        for name, shape in document.items()
        if "properties" in shape and name != "Problem"
    }
    assert {name for name, value in closed.items() if value is not False} == set()


# API4: unrestricted resource consumption


async def test_api4_what_costs_much_is_bounded(api: Whole) -> None:
    async with api.client(headers=bearer(OPERATOR)) as client:
        large = await client.post(
            POST, content=b'{"name":"' + b"x" * 70_000, headers={"content-type": "application/json"}
        )
        assert large.status_code == 413
        deep = await client.post(POST, content=b'{"a":' * 12_000, headers={"content-type": "application/json"})
        assert deep.status_code == 400
        for path in ("/api/admin/dlq", "/api/admin/jobs", "/api/admin/audit"):
            assert (await client.get(path, params={"limit": 101})).status_code == 400
        assert (await client.get("/api/admin/search", params={"q": "x" * 321})).status_code == 400
        many = await client.post("/api/admin/dlq/retry", json={"ids": [str(n) for n in range(1001)]})
        assert many.status_code == 400
        slow = await client.post("/api/admin/dlq/retry", json={"pace": 1e-300})
        assert slow.status_code == 400


# API5: broken function level authorization

BY_OTHER_WAYS = [
    ("GET", "//api/admin/dlq"), ("GET", "/api//admin/dlq"), ("GET", "/API/ADMIN/DLQ"), ("GET", "/api/admin/dlq/"), ("GET", "/api/jobs/../admin/dlq"),
    ("GET", "/api/jobs/%2e%2e/admin/dlq"), ("GET", "/api/jobs/..%2fadmin%2fdlq"), ("GET", "/schema/../api/admin/dlq"), ("GET", "/healthz/../api/admin/dlq"),
    ("HEAD", "/api/admin/dlq"), ("POST", "/api/admin/dlq"), ("GET", "/dashboard/..;/api/admin/dlq"), ("GET", "/api/admin/dlq;/healthz"),
]  # fmt: skip


async def test_api5_an_applications_key_moves_nothing_that_is_the_operators(api: Whole) -> None:
    async with api.client() as client:
        let_in = [one for one in guarded("operators") if (await ask(client, one, bearer(CALLER))).status_code != 403]
        assert let_in == []


async def test_api5_no_other_spelling_leads_there(api: Whole) -> None:
    overrides = {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/api/admin/dlq", "X-Rewrite-URL": "/api/admin/dlq"}
    async with api.client() as client:
        for method, path in BY_OTHER_WAYS:
            request = client.build_request(method, "http://127.0.0.1:3333/", headers=bearer(CALLER) | overrides)
            request.url = request.url.copy_with(raw_path=path.encode())
            assert (await client.send(request)).status_code in (401, 403, 404, 405), path


# API6: unrestricted access to sensitive business flows


async def test_api6_nobody_is_bombed_with_mails(api: Whole) -> None:
    """What is counted is what may reach the victim; by address: tests/signin/test_notices.py."""
    async with api.client() as client:
        answers = [(await post(client, jobId=f"flood-{n}", provider=f"p{n % 7}")).status_code for n in range(60)]
    assert answers.count(202) == 10
    assert set(answers[10:]) == {429}
    queue = Queue(api.settings.valkey_url or "")
    assert len(await take(queue, "signin-notification", room=100)) == 10
    await queue.close()


# API7: server side request forgery


class Elsewhere:
    """A server that answers as it is told, and counts who came."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.hits = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                outer.hits += 1
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_: Any) -> None:
                return None

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@contextlib.contextmanager
def elsewhere(*told: Any, **more: Any) -> Iterator[Elsewhere]:
    found = Elsewhere(*told, **more)
    yield found
    found.server.shutdown()
    found.server.server_close()


PRESS = NotMe(user_id="u", sign_in="s", pressed=0)


def test_api7_a_redirect_of_a_webhook_leads_nowhere() -> None:
    with elsewhere() as inside, elsewhere(302, {"Location": inside.url}) as outside:
        with pytest.raises(Failure, match="redirects are not followed"):
            Revoker(outside.url, [webhook_key(SECRET)])(Held(), PRESS)
        with pytest.raises(NotSent):
            asyncio.run(webhook(outside.url)(Notice("k", "dead", False, "text")))
        assert (outside.hits, inside.hits) == (2, 0)


class Held:
    """As much of a lease as the handler reads."""

    job_id = "a"


async def test_api7_no_address_of_a_request_is_asked(api: Whole) -> None:
    """What an application sends is shown and never fetched: neither where it is taken in nor where its mail is written."""
    with elsewhere() as target:
        async with api.client() as client:
            spread = {"userAgent": f"Mozilla {target.url}", "userId": target.url, "timeZone": "Asia/Ulaanbaatar"}
            job_id = (await post(client, **spread)).json()["jobId"]
            mail = await client.get(f"/api/admin/jobs/{job_id}/mail", headers=bearer(OPERATOR))
            assert mail.status_code == 200
        assert target.hits == 0
        assert not re.search(r"<(?:img|link|script|iframe)\b|url\(|@import", mail.text)


# API8: security misconfiguration


async def test_api8_every_answer_has_its_headers(api: Whole) -> None:
    async with api.client(headers=bearer(OPERATOR)) as client:
        asked = [(one, await ask(client, one, {})) for one in ROUTES]
        asked += [(one, await ask(client, one, {"Authorization": "Bearer x"})) for one in ROUTES]  # refused
        asked += [
            ("404", await client.get("/nowhere")),
            ("405", await client.put("/healthz")),
            ("413", await client.post(POST, content=b"x" * 70_000)),
        ]
        asked += [("TRACE", await client.request("TRACE", "/healthz")), ("OPTIONS", await client.options(POST))]
    for operation, answer in asked:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", operation
        assert "frame-ancestors" in headers["content-security-policy"], operation
        assert "default-src 'none'" in headers["content-security-policy"], operation
        assert headers["referrer-policy"] in ("no-referrer", "same-origin"), operation
        assert "no-store" in headers["cache-control"] or "/dashboard/files/" in operation, operation
        assert not [name for name in headers if name.startswith("access-control-")], (
            f"{operation}: no other site's page may read it"
        )
        assert "server" not in headers, operation
        assert "Traceback" not in answer.text, operation
    assert dict(asked)["TRACE"].status_code == 405


async def test_api8_another_sites_page_may_read_and_do_nothing(api: Whole) -> None:
    foreign = {"Origin": "https://evil.mn", "Sec-Fetch-Site": "cross-site", **bearer(OPERATOR)}
    preflight = foreign | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with api.client() as client:
        for operation in guarded("operators"):
            if operation.split(" ")[0] != "GET":
                assert (await ask(client, operation, foreign)).status_code == 403, operation
        allowed = await client.options("/api/admin/dlq/retry", headers=preflight)
    assert not [name for name in allowed.headers if name.startswith("access-control-")]


async def test_api8_an_error_says_nothing_of_the_inside(api: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(dead_letters, "page_of", broken)
    async with api.client(headers=bearer(OPERATOR)) as client:
        reply = await client.get("/api/admin/dlq")
    assert reply.status_code == 500
    assert not re.search(r"Traceback|File \"|\.py|RuntimeError|secret", reply.text)


# API9: improper inventory management


async def test_api9_what_is_served_is_documented(api: Whole) -> None:
    """That every route has a rule and stands in the document: tests/security/test_roles.py."""
    words = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    words = words.replace("jobId}", "id}").replace("actId}", "id}")
    for operation in await documented(api):
        path = re.sub(r"\{\w+_id\}", "{id}", operation.split(" ")[1])
        parent, _, last = path.rpartition("/")
        assert path in words or (parent in words and last in words), f"{operation} stands in no document"


async def test_api9_nothing_old_or_forgotten_answers(api: Whole) -> None:
    old = [
        "/api/v1/jobs",
        "/v1",
        "/docs",
        "/redoc",
        "/swagger",
        "/openapi.json",
        "/debug",
        "/admin",
        "/.env",
        "/.git/config",
        "/api",
        "/metrics/x",
        "/server-status",
    ]
    async with api.client(headers=bearer(OPERATOR)) as client:
        assert {path: (await client.get(path)).status_code for path in old} == dict.fromkeys(old, 404)


# API10: unsafe consumption of APIs


def test_api10_an_answer_of_a_webhook_is_bounded_and_believed_little() -> None:
    keys = [webhook_key(SECRET)]
    with elsewhere(503, {"Retry-After": "99999999"}, b"<script>" * 100_000) as app:
        with pytest.raises(RetryAfter) as later:
            Revoker(app.url, keys)(Held(), PRESS)
        assert later.value.seconds <= 3600
        assert len(str(later.value)) < 200
    with elsewhere(503, {"Retry-After": "-5 OR 1=1"}) as app, pytest.raises(Failure):
        Revoker(app.url, keys)(Held(), PRESS)


def test_api10_a_mail_servers_words_are_short_printable_and_without_addresses() -> None:
    said = reply.read(550, "5.1.1 <marked@example.mn>: \x1b[2J<script>alert(1)</script>\r\n" + "x" * 5000, "rcpt")
    assert len(said.text) <= reply.REPLY_LENGTH
    assert said.text.isprintable()
    assert "marked@example.mn" not in json.dumps([said.text, said.cause("mx.example")])


def test_every_row_has_a_test() -> None:
    rows = {
        int(found[1])
        for found in re.finditer(r"^(?:async )?def test_api(\d+)_", Path(__file__).read_text("utf-8"), re.MULTILINE)
    }
    assert rows == set(range(1, 11))
    assert set(VALUES) >= {"source", "kind"}
