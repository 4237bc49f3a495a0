"""The inbox pages: list, search, every mail in all its forms, none of it alive; and new ones as they come."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.api.conftest import Api
from tests.mail.test_smtp import Commit, letter
from tests.parts import eventually
from tests.signin.cases import FULL
from tests.test_up import free_port
from yellowbooks.api import ApiParts, create_app
from yellowbooks.mail import Inbox, Message, Signer, compose, lint, mailbox, make_key


async def test_empty(client: httpx.AsyncClient) -> None:
    reply = await client.get("/inbox")
    assert reply.status_code == 200
    assert "No mail yet" in reply.text


async def test_a_mail_is_shown_in_all_forms(client: httpx.AsyncClient, api: Api) -> None:
    await api.inbox.send(letter(), Commit())
    [entry] = api.inbox.entries(1)
    page = await client.get("/inbox")
    assert f'href="/inbox/{entry.id}"' in page.text
    assert "Сайн уу" in page.text
    assert f'src="/inbox/{entry.id}/html" sandbox' in (await client.get(f"/inbox/{entry.id}")).text
    html = await client.get(f"/inbox/{entry.id}/html")
    assert html.text == "<p>hello</p>"
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    text = await client.get(f"/inbox/{entry.id}/text")
    assert (text.text, text.headers["content-type"]) == ("hello\n", "text/plain; charset=utf-8")
    assert (await client.get(f"/inbox/{entry.id}/source")).text == letter().data.decode()
    assert (await client.get("/inbox/style.css")).headers["content-type"].startswith("text/css")


async def test_what_a_mail_says_is_escaped_on_the_page(client: httpx.AsyncClient, api: Api) -> None:
    message = compose(
        sender=mailbox("a@b.mn"), recipient="x@y.mn", subject="<script>1</script>", text="<script>2</script>",
        html="<script>3</script>", language="mn", key="k", date=FULL.timestamp,  # type: ignore[arg-type]
    )  # fmt: skip
    await api.inbox.send(message, Commit())
    [entry] = api.inbox.entries(1)
    for path in ("/inbox", f"/inbox/{entry.id}"):
        assert "<script>" not in (await client.get(path)).text


async def test_unknown_mails(client: httpx.AsyncClient) -> None:
    for path in ("/inbox/x", "/inbox/..%2f..%2fetc", f"/inbox/{'1' * 16}-{'0' * 40}/html"):
        assert (await client.get(path)).status_code == 404


async def test_no_inbox_where_mails_are_sent(api: Api) -> None:
    async with api.client(inbox=None) as client:
        reply = await client.get("/inbox")
    assert reply.status_code == 404


def about(recipient: str, subject: str, text: str, key: str) -> Message:
    return compose(
        sender=mailbox("a@b.mn"), recipient=recipient, subject=subject, text=text, html="<p>x</p>", language="mn",
        key=key, date=FULL.timestamp,  # type: ignore[arg-type]
    )  # fmt: skip


async def test_search_by_every_word_in_recipient_subject_and_text(client: httpx.AsyncClient, api: Api) -> None:
    await api.inbox.send(about("bat@example.com", "Өглөө", "Chrome, Linux", "1"), Commit())
    await api.inbox.send(about("cat@example.com", "Орой", "Firefox, Linux", "2"), Commit())

    async def found(query: str) -> set[str]:
        page = (await client.get("/inbox", params={"q": query})).text
        return set(re.findall(r"<span>(\w+)@example\.com</span>", page))

    assert await found("") == {"bat", "cat"}
    assert await found("ӨГЛӨӨ") == {"bat"}
    assert await found("linux") == {"bat", "cat"}
    assert await found("linux CAT@") == {"cat"}
    assert await found("chrome cat@") == set()
    page = (await client.get("/inbox", params={"q": '"><script>1</script>'})).text
    assert "No mail holds all of these words." in page
    assert "<script>1" not in page
    assert (await client.get("/inbox", params={"q": "x" * 201})).status_code == 400


async def test_a_mails_headers_are_shown_decoded(client: httpx.AsyncClient, api: Api) -> None:
    await api.inbox.send(letter(), Commit())
    page = (await client.get(f"/inbox/{api.inbox.entries(1)[0].id}")).text
    for name, value in (("Subject", "Сайн уу"), ("To", "bat@example.com"), ("Auto-Submitted", "auto-generated")):
        assert f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' in page


async def test_the_checklist_of_a_mail(client: httpx.AsyncClient, api: Api, tmp_path: Path) -> None:
    await api.inbox.send(letter(), Commit())
    page = (await client.get(f"/inbox/{api.inbox.entries(1)[0].id}")).text
    findings = lint(letter().data)
    assert findings  # «<p>hello</p>» is no page
    assert page.count("<li><strong>") == len(findings)
    assert all(f"<strong>{finding.id}</strong> {finding.part}, line {finding.line}: " in page for finding in findings)
    # A signature is no finding of its own.
    signed = Signer("example.mn", [make_key("a", tmp_path / "key.pem", "ed25519")]).sign(letter("signed"))
    assert [finding.id for finding in lint(signed.data)] == [finding.id for finding in lint(letter("signed").data)]


async def test_the_pages_let_no_foreign_script_run(client: httpx.AsyncClient, api: Api) -> None:
    await api.inbox.send(letter(), Commit())
    for path in ("/inbox", f"/inbox/{api.inbox.entries(1)[0].id}"):
        page = await client.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert not re.search(r"<script(?! src=\"/inbox/live\.js\" defer>)| on\w+=| style=|<style", page.text)
    script = await client.get("/inbox/live.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "innerHTML" not in script.text


@asynccontextmanager
async def served(api: Api) -> AsyncIterator[tuple[str, uvicorn.Server]]:
    """The application behind a real port, as `yellowbooks api` serves it."""
    server: uvicorn.Server
    app = create_app(ApiParts(**api.parts | {"stopping": lambda: server.should_exit}))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    running = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    yield f"http://127.0.0.1:{port}", server
    server.should_exit = True
    await running


async def events(reply: httpx.Response, count: int) -> list[tuple[str, dict[str, str]]]:
    """The next mails of a stream: their event's id, and what it says."""
    found: list[tuple[str, dict[str, str]]] = []
    name = ""
    async for line in reply.aiter_lines():
        if line.startswith("id:"):
            name = line.removeprefix("id:").strip()
        elif line.startswith("data:"):
            found.append((name, json.loads(line.removeprefix("data:"))))
            if len(found) == count:
                break
    return found


async def test_a_mail_comes_up_on_the_open_page_whichever_process_kept_it(api: Api, tmp_path: Path) -> None:
    other = Inbox(tmp_path / "inbox")  # a worker's
    await other.send(about("old@example.com", "old", "x", "0"), Commit())
    [old] = other.entries(1)
    async with served(api) as (url, _), httpx.AsyncClient(timeout=10) as client:
        page = (await client.get(f"{url}/inbox")).text
        assert f'data-after="{old.id}"' in page
        async with client.stream("GET", f"{url}/inbox/events", params={"after": old.id, "q": "linux"}) as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            await other.send(about("bat@example.com", "<b>Өглөө</b>", "Chrome, Linux", "1"), Commit())
            await other.send(about("cat@example.com", "Орой", "Chrome, Windows", "2"), Commit())
            await other.send(about("dog@example.com", "Орой", "Chrome, Linux", "3"), Commit())
            told = await events(reply, 2)
        assert [mail["recipient"] for _, mail in told] == ["bat@example.com", "dog@example.com"]
        assert told[0][1]["subject"] == "<b>Өглөө</b>"
        # A page that lost the line names the last one it has, and misses none.
        async with client.stream("GET", f"{url}/inbox/events", headers={"Last-Event-ID": told[0][0]}) as reply:
            again = await events(reply, 2)
        assert [mail["recipient"] for _, mail in again] == ["cat@example.com", "dog@example.com"]


async def test_an_open_page_does_not_hold_up_the_end(api: Api) -> None:
    async with served(api) as (url, server), httpx.AsyncClient(timeout=10) as client:
        async with client.stream("GET", f"{url}/inbox/events") as reply:
            started = asyncio.get_running_loop().time()
            server.should_exit = True
            assert [line async for line in reply.aiter_lines() if line.startswith("data:")] == []
        assert asyncio.get_running_loop().time() - started < 1


async def test_events_are_for_operators(api: Api) -> None:
    async with api.client(api_keys=["k" * 16], admin_keys=["a" * 16]) as client:
        assert (await client.get("/inbox/events")).status_code == 401


async def test_each_of_the_newest_thousand_is_read_once(
    api: Api, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter_of = about("user-X@example.com", "Сайн уу", "x", "0").data
    (api.inbox._folder).mkdir()
    for number in range(1000):
        data = letter_of.replace(b"user-X", f"user-{number}".encode())
        (api.inbox._folder / f"{number:016}-{number:040x}.eml").write_bytes(data)
    plain, read = Path.read_bytes, list[str]()
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.stem), plain(path))[1])
    assert "0 of 1000 mails" in (await client.get("/inbox", params={"q": "nothing"})).text
    assert "1 of 1000 mails" in (await client.get("/inbox", params={"q": "user-7@"})).text
    assert len(read) == len(set(read)) == 1000
