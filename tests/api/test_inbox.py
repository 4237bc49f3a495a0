"""The inbox pages: every mail's HTML, text and source, and none of it alive."""

import httpx

from tests.api.conftest import Api
from tests.mail.test_smtp import Commit, letter
from tests.signin.cases import FULL
from yellowbooks.mail import compose, mailbox


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
