"""The frames of the dashboard as the server sends them: headers, words, choices. test_screen.py looks at them."""

import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api
from tests.parts import Told
from yellowbooks.api import Door, Keys, own_page
from yellowbooks.dashboard import LANGUAGES, Words, dashboard_routes, door_routes
from yellowbooks.jobs import Queue, State

PAGES = (
    "/dashboard",
    "/dashboard/jobs",
    "/dashboard/jobs/abc",
    "/dashboard/dead",
    "/dashboard/limits",
    "/dashboard/audit",
)
ROOM = Path(str(files("yellowbooks.dashboard")))
SAME = {"API", "Message-ID", "HTML"}  # the same in every language


def faces(**keys: list[str]) -> dict[str, Any]:
    """The dashboard as parts of an API with these keys."""
    known = Keys(keys.get("api_keys", ()), keys.get("admin_keys", ()))
    door = Door(known, Told())
    routes = {"operator_routes": dashboard_routes(inbox=True, door=door), "routes": door_routes(door, own_page)}
    return routes | {"keys": known}


@pytest.fixture
async def client(queue: Queue, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with Api(queue, tmp_path).client(**faces()) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_a_browser_is_told_to_run_nothing_but_ours(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "trusted-types 'none'",
    ):
        assert rule in policy
    assert not re.search(r"unsafe|http|\*|data:", policy)
    headers = {
        name: page.headers[name]
        for name in ("x-content-type-options", "referrer-policy", "cache-control", "x-frame-options")
    }
    assert list(headers.values()) == ["nosniff", "same-origin", "no-store", "DENY"]
    assert page.headers["cross-origin-opener-policy"] == page.headers["cross-origin-resource-policy"] == "same-origin"
    # Nothing inline, nothing from elsewhere.
    assert not re.search(r"<style|\sstyle=|\son\w+=|(?:src|href)=\"(?:https?:)?//", page.text)
    assert re.findall(r"<script[^>]*>", page.text) == re.findall(
        r"<script type=\"module\" src=\"/dashboard/files/[0-9a-f]{12}/\w+\.js\">", page.text
    )
    assert "<noscript>" in page.text


async def test_without_a_key_of_operators_there_is_no_page(queue: Queue, tmp_path: Path) -> None:
    async with Api(queue, tmp_path).client(**faces(admin_keys=["secret"], api_keys=["other"])) as client:
        for path in PAGES:
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, auth=("bat", "other"))).status_code == 403
        assert (await client.get("/dashboard", auth=("bat", "secret"))).status_code == 200


async def test_every_file_that_a_page_names_is_there_and_may_be_kept(client: httpx.AsyncClient) -> None:
    found = set()
    for path in PAGES:
        found |= set(re.findall(r"\"(/dashboard/files/[^\"]+)\"", (await client.get(path)).text))
    folder = next(iter(found)).rpartition("/")[0]
    left = {f"{folder}/words.{language}.js" for language in LANGUAGES} | found
    seen: set[str] = set()
    while left:
        path = left.pop()
        seen.add(path)
        reply = await client.get(path)
        assert reply.status_code == 200, path
        assert "immutable" in reply.headers["cache-control"]
        left |= {
            f"{folder}/{name}"
            for name in re.findall(r"from \"\./([\w.]+)\"|import \"\./([\w.]+)\"", reply.text)
            for name in name
            if name
        } - seen
    served = {path.rpartition("/")[2] for path in seen}
    assert served == {path.name for path in (ROOM / "files").iterdir()} | {
        f"words.{language}.js" for language in LANGUAGES
    }
    for name in ("../words.toml", "%2e%2e/words.toml", "words.toml", "no.js"):
        assert (await client.get(f"{folder}/{name}")).status_code == 404
    assert (await client.get("/dashboard/files/000000000000/now.js")).status_code == 404


async def test_what_the_address_says_is_no_part_of_the_page(client: httpx.AsyncClient) -> None:
    page = await client.get('/dashboard/jobs/"><img src=x>', params={"q": '"><script>1</script>'})
    assert page.status_code == 200
    assert "<img src=x>" not in page.text
    assert "<script>1" not in page.text


@pytest.mark.parametrize(("header", "language"), [
    ("mn", "mn"), ("mn-MN,en;q=0.5", "mn"), ("en-US,en;q=0.9,mn;q=0.8", "en"), ("de, mn;q=0.7, en;q=0.3", "mn"),
    ("de", "en"), ("", "en"), (";;q=x,,", "en"), ("mn;q=x, en;q=0.1", "en"),
])  # fmt: skip
async def test_the_reader_language_is_spoken(client: httpx.AsyncClient, header: str, language: str) -> None:
    page = (await client.get("/dashboard", headers={"Accept-Language": header})).text
    assert f'<html lang="{language}"' in page
    assert {"en": "Did this person get the mail?", "mn": "Энэ хүн имэйлээ авсан уу?"}[language] in page


async def test_a_choice_is_kept_and_leads_back(client: httpx.AsyncClient) -> None:
    reply = await client.post(
        "/dashboard/choose", data={"language": "mn", "look": "dark", "back": "/dashboard/jobs?status=dead"}
    )
    assert (reply.status_code, reply.headers["location"]) == (303, "/dashboard/jobs?status=dead")
    cookies = reply.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "SameSite=strict" in cookie for cookie in cookies)
    assert (
        '<html lang="mn" data-look="dark">' in (await client.get("/dashboard", headers={"Accept-Language": "en"})).text
    )
    for back in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/inboxes",
        "/dashboardx",
        "/dashboard/\r\nX: 1",
        "",
        "/dashboard/\x00",
    ):
        reply = await client.post("/dashboard/choose", data={"language": "xx", "back": back})
        assert reply.headers["location"] == "/dashboard", back
        assert "set-cookie" not in reply.headers
    assert (await client.post("/dashboard/choose", headers={"sec-fetch-site": "cross-site"})).status_code == 403


NUMBERS = {"depth", "rates", "wait", "run"}  # parts of what the API says, not of our words


def named() -> set[str]:
    """Every word that a template or a script names in full."""
    names: set[str] = set()
    for folder in ("files", "pages"):
        for path in (ROOM / folder).iterdir():
            found = re.findall(r"[\"'`]([a-z_]+)\.([A-Za-z]\w*)[\"'`]", path.read_text("utf-8"))
            names |= {
                f"{section}.{word}"
                for section, word in found
                if section not in NUMBERS and word not in ("js", "css", "html")
            }
    return names


def test_no_word_is_missing_and_each_is_said_in_every_language() -> None:
    words = {language: Words(language).forms for language in LANGUAGES}
    assert all(set(words[language]) == set(words["en"]) for language in LANGUAGES)
    for name in words["en"]:
        forms = [words[language][name] for language in LANGUAGES]
        assert all(form.strip() for form in forms), name
        fields = [set(re.findall(r"\{(\w+)\}", form)) for form in forms]
        assert fields[0] == fields[1], name
        assert set(forms) <= SAME or re.search("[а-яөүё]", forms[1]), name
        assert not re.search("[а-яөүё]", forms[0]), name


def test_every_word_that_pages_ask_for_is_there() -> None:
    words = set(Words("en").forms)
    assert len(named()) > 150
    assert named() <= words, named() - words
    for state in State:
        assert {f"state.{state}", f"verdict.{state}"} <= words
    drawing = (Path(str(files("yellowbooks.jobs"))) / "job.py").read_text("utf-8")
    events = set(
        re.findall(
            r"^    .* {3,}(\w+)$",
            drawing.partition("                event\n")[2].partition("Each verb")[0],
            re.MULTILINE,
        )
    )
    assert len(events) > 10
    assert {f"event.{event}" for event in events} <= words


def test_no_word_is_left_over() -> None:
    text = "".join(path.read_text("utf-8") for folder in ("files", "pages") for path in (ROOM / folder).iterdir())
    made = {
        "state",
        "verdict",
        "event",
        "by",
        "page",
        "look",
        "line",
        "unit",
        "audit_act",
        "series",
        "chart",
        "away",
        "mail",
        "login",
    }
    for name in Words("en").forms:
        section, _, word = name.partition(".")
        if section in made:
            continue
        made_up = rf"{section}\.\$\{{[\w.]+\}}_{word.partition('_')[2]}|{section}\.\$\{{\w+\}}|{section}\.{word}\b"
        assert re.search(made_up, text), f"nobody says {name}"
