"""The demo site: the directory, the sign-in and all that could go wrong with it, the panel."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.api.test_inbox import served
from tests.demo.conftest import Site, visited
from tests.mail.test_smtp import Commit
from tests.parts import eventually, take
from tests.test_up import free_port
from yellowbooks.demo.cookies import PENDING, SESSION, Signer
from yellowbooks.demo.directory import Directory
from yellowbooks.demo.pages import words
from yellowbooks.demo.stand_in import PEOPLE, Grants
from yellowbooks.jobs import Queue
from yellowbooks.jobs.outcome import Completed, Dead
from yellowbooks.mail import compose, mailbox
from yellowbooks.settings import SettingsError, load
from yellowbooks.signin import SignIn
from yellowbooks.wiring import check_demo, demo_address


async def payload(api: Api, queue: Queue) -> SignIn:
    [lease] = await eventually(lambda: take(queue, "signin-notification"))
    return api.kind.decode(lease.payload)


async def steps(site: Site) -> list[tuple[str, str]]:
    return [(step["state"], step["note"]) for step in (await site.state())["steps"]]


# The directory


def test_every_text_is_there_in_both_languages_with_the_same_places_for_values() -> None:
    mongolian, english = words()["mn"], words()["en"]
    assert list(mongolian) == list(english)
    for name in english:
        places = [sorted(re.findall(r"{\w+}", texts[name])) for texts in (mongolian, english)]
        assert places[0] == places[1], name
    for name, text in mongolian.items():
        assert re.search("[А-Яа-яӨөҮү]", text) or name in ("step_mail_inbox",), name


def test_every_entry_is_whole() -> None:
    directory = Directory()
    assert len(directory.businesses) == len({one.slug for one in directory.businesses}) >= 20
    for one in directory.businesses:
        assert one.category in directory.categories
        assert one.district in directory.districts
        assert set(one.name) == set(one.about) == {"mn", "en"}
        assert re.fullmatch(r"7000-\d{4}", one.phone)
        assert re.fullmatch(r"\d\d:\d\d–\d\d:\d\d", one.hours)
    assert {one.category for one in directory.businesses} == set(directory.categories)


@pytest.mark.parametrize(
    ("query", "category", "found"),
    [
        ("ном", "", {"nomiin-orgoo", "khar-bekh"}), ("НОМ өргөө", "", {"nomiin-orgoo"}), ("coffee", "", {"ogloonii-gerel"}),
        ("баянгол", "sport", {"orgil-khana"}), ("баянгол climbing", "", {"orgil-khana"}), ("нямгэрэл", "", set()),
        ("", "books", {"nomiin-orgoo", "khar-bekh"}), ("   ", "books", {"nomiin-orgoo", "khar-bekh"}),
    ],
)  # fmt: skip
def test_search_takes_either_language_and_every_word(query: str, category: str, found: set[str]) -> None:
    assert {one.slug for one in Directory().find(query, category)} >= found
    assert not found or len(Directory().find(query, category)) == len(found)


def test_the_alphabet_is_the_mongolian_one() -> None:
    names = [one.name["mn"] for one in Directory().find()]
    assert (
        names.index("Номын өргөө") < names.index("Өглөөний гэрэл") < names.index("Сүүтэй") < names.index("Туул өргөө")
    )


async def test_pages(site: Site) -> None:
    home = await site.get("/", params={"q": "номын", "category": "books"})
    assert home.status_code == 200
    assert "Nomyn Örgöö" in home.text
    assert "Khar Bekh" not in home.text
    assert "There is no such place." in (await site.get("/", params={"q": "xyz"})).text
    place = await site.get("/place/khar-bekh")
    assert "Chingeltei district, khoroo 2" in place.text
    assert "Nomyn Örgöö" in place.text
    for path in ("/place/nobody", "/nowhere", "/files/nothing", "/welcome/mail"):
        assert (await site.get(path)).status_code == 404
    assert (await site.visitor.put("/")).status_code == 405


async def test_what_a_visitor_types_is_escaped(site: Site) -> None:
    for text in ("<script>1</script>", '"><img src=x onerror=1>'):
        page = (await site.get("/", params={"q": text})).text
        assert text not in page
    await site.sign_in("", name="<b>Бат</b>", email="bat@example.com")
    page = (await site.get("/welcome")).text
    assert "<b>Бат" not in page
    assert "&lt;b&gt;Бат&lt;/b&gt;" in page


async def test_no_page_has_a_script_or_style_of_its_own(site: Site) -> None:
    pages = [await site.get(path) for path in ("/", "/place/khar-bekh", "/nowhere", "/callback?state=x")]
    pages.append(await site.get((await site.get("/sign-in")).headers["location"]))
    await site.sign_in()
    pages.append(await site.get("/welcome"))
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert not re.search(
            r"<script(?! src=\"/files/live\.js\" defer>)| on\w+=\"| style=|<style|https?://(?!127)", page.text
        )
        assert page.headers["cache-control"] == "no-store"
    assert "innerHTML" not in (await site.get("/files/live.js")).text


async def test_language_by_the_browser_by_choice_and_never_to_another_site(site: Site) -> None:
    assert '<html lang="en">' in (await site.get("/")).text
    assert '<html lang="mn">' in (await site.get("/", headers={"Accept-Language": "de, mn;q=0.5, en;q=0.2"})).text
    assert '<html lang="mn">' in (await site.get("/", headers={"Accept-Language": "zh"})).text
    reply = await site.get("/language/mn", params={"back": "/?q=ном&category=books"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/?q=%D0%BD%D0%BE%D0%BC&category=books")
    assert '<html lang="mn">' in (await site.get("/")).text
    for back in ("https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "evil"):
        reply = await site.get("/language/en", params={"back": back})
        assert reply.headers["location"] == "/"
    await site.get("/language/xx")
    assert '<html lang="en">' in (await site.get("/")).text


async def test_another_name_of_this_machine_leads_to_the_sites_own(site: Site) -> None:
    reply = await site.get("/place/khar-bekh", headers={"Host": "localhost:1"})
    assert (reply.status_code, reply.headers["location"]) == (307, f"{site.parts.site}/place/khar-bekh")
    assert (await site.visitor.post("/sign-out", headers={"Host": "evil.example"})).status_code == 400


# The sign-in


async def test_a_sign_in_is_told_and_shown(site: Site, api: Api, queue: Queue) -> None:
    reply = await site.sign_in()
    assert (reply.status_code, reply.headers["location"]) == (303, "/welcome")
    page = await site.get("/welcome")
    assert "Hello, Номин!" in page.text
    sent = await payload(api, queue)
    assert (sent.user_id, sent.email, sent.name, sent.provider) == (
        "github-1001",
        "nomin@example.com",
        "Номин",
        "github",
    )
    assert (sent.ip_address, sent.locale) == ("127.0.0.1", "en")
    assert sent.user_agent == "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0"
    assert sent.timestamp
    assert abs(sent.timestamp.timestamp() - time.time()) < 10
    found = await steps(site)
    assert [state for state, _ in found] == ["done", "done", "done", "waiting"]
    assert found[0][1] == "GitHub says that you are nomin@example.com."
    assert re.fullmatch(
        r"Handed over in \d+ µs, and the API has it\. Your sign-in did not wait for that\.", found[1][1]
    )
    assert found[2][1] == "Attempt 1 of 5, status: processing."
    cookie = next(
        value for name, value in reply.headers.multi_items() if name == "set-cookie" and f"{SESSION}=" in value
    )
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


async def test_the_mail_is_shown_when_it_is_there(site: Site, api: Api) -> None:
    await site.sign_in()
    await eventually(lambda: site.get("/welcome/state"))
    assert (await site.get("/welcome/mail")).status_code == 404
    message = compose(
        sender=mailbox("a@b.mn"), recipient="nomin@example.com", subject="🔐 Сайн уу", text="x", html="<p>Mail</p>",
        language="mn", key="k", date=datetime.now(UTC),
    )  # fmt: skip
    await api.inbox.send(message, Commit())

    async def last() -> dict[str, str] | None:
        state = await site.state()
        return state["steps"][3] if state["mail"] else None

    step = await eventually(last)
    assert (step["state"], step["note"]) == ("done", "“Сайн уу”")
    mail = await site.get("/welcome/mail")
    assert mail.text == "<p>Mail</p>"
    assert mail.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    [entry] = api.inbox.entries(1)
    assert (await site.state())["mail"] == f"{site.parts.api}/inbox/{entry.id}"


async def test_each_sign_in_is_an_event_of_its_own(site: Site, api: Api, queue: Queue) -> None:
    for _ in range(2):
        await site.sign_in()
    leases: list[str] = []

    async def both() -> bool:
        leases.extend(lease.job_id for lease in await take(queue, "signin-notification"))
        return len(leases) == 2

    await eventually(both)
    assert len(set(leases)) == 2


async def kept(site: Site) -> bool:
    """Whether the panel says that the event is kept until the API takes it."""
    state, note = (await steps(site))[1]
    return state == "waiting" and note.startswith("The API does not have it yet. It is kept")


async def test_the_eleventh_in_an_hour_is_kept(site: Site) -> None:
    for _ in range(11):
        await site.sign_in()
    await eventually(lambda: kept(site))
    assert "Hello" in (await site.get("/welcome")).text


async def test_what_the_api_will_never_take_is_said(site: Site) -> None:
    await site.sign_in("", email="a..b@example.com")

    async def failed() -> str | None:
        state, note = (await steps(site))[1]
        return note if state == "failed" else None

    note = await eventually(failed)
    assert note.startswith("The API did not take it: email: is no address that we can send to")
    assert "fine all the same" in note
    assert (await site.state())["over"]
    assert "client_refused" in site.told.words()
    assert "a..b" not in str(site.told.lines)


async def test_with_the_api_away_the_sign_in_is_the_same(api: Api, tmp_path: Path) -> None:
    async with visited(f"http://127.0.0.1:{free_port()}", tmp_path, api.told) as site:
        assert (await site.sign_in()).headers["location"] == "/welcome"
        await eventually(lambda: kept(site))
        assert not (await site.state())["over"]
        await eventually(lambda: "client_away" in site.told.words())
        assert "Hello" in (await site.get("/welcome")).text


async def test_where_the_api_asks_for_a_key(api: Api, tmp_path: Path, queue: Queue) -> None:
    api.parts |= {"api_keys": ("k" * 16,), "admin_keys": ("a" * 16,)}
    async with served(api) as (address, _):
        async with visited(address, tmp_path, api.told, key="k" * 16) as site:
            await site.sign_in()
            await payload(api, queue)
            assert [state for state, _ in await steps(site)][:3] == ["done", "done", "done"]
        async with visited(address, tmp_path, api.told, key="another-key-of-it") as site:
            await site.sign_in()
            await eventually(lambda: kept(site))
            await eventually(lambda: "client_misconfigured" in site.told.words())


async def test_what_a_summary_will_tell_is_not_waited_for(api: Api, tmp_path: Path, queue: Queue) -> None:
    async with served(api) as (address, _), visited(address, tmp_path, api.told, summaries=True) as site:
        await site.sign_in()
        [lease] = await eventually(lambda: take(queue, "signin-notification"))
        await queue.settle(lease, Completed())
        assert (await steps(site))[3][0] == "waiting"  # its mail may be on its way

        async def later() -> str:
            return (await steps(site))[3][1]

        assert await eventually(later) == "A known device: the next summary will tell of it (YB_NOTIFY)."
        assert (await site.state())["over"]


async def test_a_mail_that_did_not_leave_is_said(site: Site, queue: Queue) -> None:
    await site.sign_in()
    [lease] = await eventually(lambda: take(queue, "signin-notification"))
    await queue.settle(lease, Dead("the address gets no mail: it bounced", cause="suppressed"))
    state, note = (await steps(site))[3]
    assert (state, note) == ("failed", "The mail did not leave: the address gets no mail: it bounced")
    assert (await site.state())["over"]


async def test_what_was_kept_goes_when_the_api_is_back_or_the_site_is(api: Api, tmp_path: Path, queue: Queue) -> None:
    async with visited(f"http://127.0.0.1:{free_port()}", tmp_path, api.told) as site:
        await site.sign_in()
        await eventually(lambda: kept(site))
    async with served(api) as (address, _), visited(address, tmp_path, api.told):  # over the same folder
        sent = await payload(api, queue)
    assert sent.email == "nomin@example.com"


async def test_somebody_else_may_be_typed(site: Site, api: Api, queue: Queue) -> None:
    asked = await site.begin()
    for email in ("", "bat", "bat@", "bat@example", "a b@example.com", "<b>@example.com"):
        reply = await site.decide(asked, person="", decision="allow", email=email, name="Бат")
        assert (reply.status_code, "such as nomin@example.com" in reply.text) == (400, True), email
    await site.sign_in("", email="bat@example.com", name="")
    sent = await payload(api, queue)
    assert (sent.email, sent.name) == ("bat@example.com", "bat")


async def test_cancel(site: Site) -> None:
    reply = await site.decide(await site.begin(), person="nomin", decision="deny")
    back = await site.get(reply.headers["location"])
    assert (back.status_code, "You did not allow it." in back.text) == (400, True)
    assert (await site.get("/welcome")).status_code == 303


@pytest.mark.parametrize("state", ["", "x", "Ө"])
async def test_an_answer_to_another_sign_in_is_refused(site: Site, queue: Queue, state: str) -> None:
    """Login CSRF: somebody else's code must not sign a visitor in (RFC 6749, 10.12)."""
    reply = await site.decide(await site.begin(), person="nomin", decision="allow")
    code = re.search(r"code=([^&]+)", reply.headers["location"])
    assert code
    back = await site.get("/callback", params={"state": state, "code": code[1]})
    assert (back.status_code, "belongs to another sign-in" in back.text) == (400, True)
    assert (await site.get("/welcome")).status_code == 303
    assert await take(queue, "signin-notification") == []


async def test_without_the_cookie_of_the_beginning_nobody_is_signed_in(site: Site) -> None:
    reply = await site.decide(await site.begin(), person="nomin", decision="allow")
    site.visitor.cookies.clear()
    assert (await site.get(reply.headers["location"])).status_code == 400


async def test_an_answer_is_good_once(site: Site, queue: Queue) -> None:
    reply = await site.decide(await site.begin(), person="nomin", decision="allow")
    pending = site.visitor.cookies[PENDING]
    assert (await site.get(reply.headers["location"])).status_code == 303
    again = await site.get(reply.headers["location"])
    assert (again.status_code, "belongs to another" in again.text) == (400, True)  # its cookie is gone
    site.visitor.cookies.set(PENDING, pending)
    again = await site.get(reply.headers["location"])
    assert (again.status_code, "bad_verification_code" in again.text) == (400, True)  # and so is its code


def test_a_code_needs_its_verifier_and_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    # The example of RFC 7636, appendix B.
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    grants = Grants()
    assert grants.exchange(grants.allow(PEOPLE[0], challenge), "another") is None
    assert grants.exchange(grants.allow(PEOPLE[0], challenge), verifier) in grants.tokens
    code = grants.allow(PEOPLE[0], challenge)
    now = time.monotonic()
    monkeypatch.setattr("yellowbooks.demo.stand_in.time.monotonic", lambda: now + 61)
    assert grants.exchange(code, verifier) is None


async def test_the_stand_in_answers_this_site_alone(site: Site) -> None:
    asked = await site.begin()
    path = "/stand-in/login/oauth/authorize"
    for wrong in (
        {"redirect_uri": "https://evil.example/"}, {"client_id": "x"}, {"code_challenge": ""}, {"code_challenge_method": "plain"},
    ):  # fmt: skip
        reply = await site.get(path, params=asked | wrong)
        assert (reply.status_code, "location" in reply.headers) == (400, False), wrong
    reply = await site.decide(asked | {"redirect_uri": "https://evil.example/"}, person="nomin", decision="allow")
    assert (reply.status_code, "location" in reply.headers) == (400, False)
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        form = asked | {"person": "nomin", "decision": "allow"}
        reply = await site.visitor.post(path, data=form, headers=headers)
        assert (reply.status_code, "location" in reply.headers) == (400, False), headers
    token = await site.visitor.post("/stand-in/login/oauth/access_token", data={"client_id": asked["client_id"]})
    assert token.json() == {"error": "incorrect_client_credentials"}
    assert (await site.get("/stand-in/rest/user")).status_code == 401
    assert (await site.get("/stand-in/rest/user/emails", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_a_session_that_the_site_did_not_write_is_none(site: Site) -> None:
    await site.sign_in()
    body, _, mac = site.visitor.cookies[SESSION].partition(".")
    pending = Signer(b"another key", secure=False).cookie(SESSION, {"name": "x"}, 60).value
    for forged in (f"{body}x.{mac}", f"{body}.{mac[:-1]}0", body, "", ".", "Ө.Ө", str(pending)):
        reply = await site.get("/welcome", headers={"Cookie": f"{SESSION}={forged}".encode()})
        assert reply.status_code == 303, forged


def test_a_cookie_is_good_for_its_name_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(b"key", secure=True)
    cookie = signer.cookie(PENDING, {"a": 1}, 60)
    assert (cookie.secure, cookie.httponly, cookie.samesite, cookie.max_age) == (True, True, "lax", 60)
    assert signer.read(PENDING, cookie.value) == {"a": 1}
    assert signer.read(SESSION, cookie.value) is None
    now = time.time()
    monkeypatch.setattr("yellowbooks.demo.cookies.time.time", lambda: now + 61)
    assert signer.read(PENDING, cookie.value) is None


async def test_signing_out(site: Site) -> None:
    await site.sign_in()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert (await site.visitor.post("/sign-out", headers=headers)).status_code == 400
    assert (await site.get("/welcome")).status_code == 200
    reply = await site.visitor.post("/sign-out", headers={"Origin": site.parts.site})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert (await site.get("/welcome")).status_code == 303
    assert (await site.get("/welcome/state")).status_code == 401


# GitHub itself


async def test_with_a_client_of_ones_own_it_is_github(api: Api, tmp_path: Path) -> None:
    parts = {"client_id": "Iv1.ours", "client_secret": "s" * 20}
    async with visited("http://127.0.0.1:9", tmp_path, api.told, **parts) as site:
        reply = await site.get("/sign-in")
        address = reply.headers["location"]
        assert address.startswith("https://github.com/login/oauth/authorize?client_id=Iv1.ours&")
        asked = await site.begin()
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (f"{site.parts.site}/callback", "S256")
        assert "ssss" not in address
        assert (await site.get("/stand-in/login/oauth/authorize", params=asked)).status_code == 404


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"YB_HOST": "0.0.0.0", "YB_API_KEYS": "k" * 16, "YB_ADMIN_KEYS": "a" * 16}, "anybody may be anybody"),
        ({"YB_DEMO_GITHUB_CLIENT_ID": "x"}, "one is set without the other"),
        ({"YB_DEMO_GITHUB_CLIENT_SECRET": "x" * 16}, "one is set without the other"),
        ({"YB_DEMO_PORT": "3333"}, "cannot answer on port 3333"),
        ({"YB_PORT": "65535"}, "cannot answer on port 65536"),
    ],
)
def test_settings_that_would_be_unsafe_or_useless(settings: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        check_demo(load(settings, Path("/nowhere/.env")).settings)


def test_where_it_answers() -> None:
    assert demo_address(load({}, Path("/nowhere/.env")).settings) == "http://127.0.0.1:3334"
    assert (
        demo_address(load({"YB_HOST": "::1", "YB_DEMO_PORT": "80"}, Path("/nowhere/.env")).settings) == "http://[::1]"
    )
