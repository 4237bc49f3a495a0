"""The hooks within the real next-auth v4 and Auth.js, every way to sign in: how many notifications, and what they say.

The handlers are those of tests/nextauth/handlers.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser import NODE
from tests.nextauth.apps import BUILT, HANDLERS, PACKAGE, ROOT, install, running
from tests.nextauth.flow import Visitor
from tests.nextauth.github import CLIENT_ID, CLIENT_SECRET, GitHub
from tests.nextauth.servers import Recording, hanging, serving

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HEADERS = {"User-Agent": AGENT, "X-Forwarded-For": "6.6.6.6"}


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    install()


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    github = GitHub()
    yield github
    github.close()


@contextmanager
def handlers(
    version: str, form: str, database: bool, github: GitHub, api: int, key: str = ""
) -> Iterator[tuple[Visitor, list[str]]]:
    """next-auth in a Node process, and a visitor of it."""
    env = {
        "GITHUB_ID": CLIENT_ID, "GITHUB_SECRET": CLIENT_SECRET, "GITHUB_SERVER": github.url, "AUTH_TRUST_HOST": "1",
        "YB_URL": f"http://127.0.0.1:{api}", "YB_API_KEY": key,
    }  # fmt: skip
    words = (BUILT / HANDLERS / f"{version}.ts", form, *(["database"] if database else []))
    with running("--disable-warning=ExperimentalWarning", *words, cwd=BUILT, ready=r"port (\d+)", env=env) as (
        found,
        lines,
    ):
        yield Visitor(int(found[1]), dict(HEADERS)), lines


@pytest.mark.parametrize("form", ["event", "callback", "both"])
@pytest.mark.parametrize("version", ["v4", "core"])
def test_each_way_to_sign_in_is_one_notification(version: str, form: str, github: GitHub) -> None:
    with serving(Recording) as api, handlers(version, form, True, github, api) as (visitor, lines):
        told = Recording.of(api)

        def one() -> dict[str, Any]:
            return told.next()

        by_github = visitor.sign_in(github)
        assert by_github.status == 302
        assert "error" not in by_github.location
        first = one()
        number = github.users
        assert first.pop("jobId").startswith("signin-")
        assert first.pop("timestamp")
        # The callback comes before the user is made, so it has the account at the provider.
        assert first == {
            "userId": "db-1" if form == "event" else f"github:{number}", "email": f"bat{number}@example.com",
            "name": "Бат", "provider": "github", "ipAddress": "127.0.0.1", "userAgent": AGENT,
        }  # fmt: skip

        asked = visitor.post("/api/auth/signin/email", email="link@example.com")
        assert asked.status == 302
        link = urlsplit(visitor.ask("GET", "/link").body.decode())
        assert visitor.ask("GET", f"{link.path}?{link.query}").status == 302
        by_link = one()
        assert (by_link["email"], by_link["provider"]) == ("link@example.com", "email")
        assert by_link["userId"] == ("db-2" if form == "event" else "email:link@example.com")

        assert visitor.post("/api/auth/callback/credentials", email="word@example.com").status == 302
        assert visitor.email() == "word@example.com"
        by_word = one()
        assert by_word["userId"] == "id of word@example.com"

        banned = visitor.post("/api/auth/callback/credentials", email="banned@example.com")
        assert "AccessDenied" in banned.location + banned.body.decode()
        assert told.rest() == []
        assert "yellowbooks:" not in "".join(lines)


@pytest.mark.parametrize("version", ["v4", "core"])
def test_without_a_database_the_limit_counts_the_account(version: str, github: GitHub) -> None:
    with serving(Recording) as api, handlers(version, "event", False, github, api) as (visitor, _):
        told = Recording.of(api)
        visitor.sign_in(github)
        first = told.next()
        visitor.sign_in(github)
        second = told.next()
        assert first["userId"] == f"github:{github.users - 1}"
        assert second["userId"] == f"github:{github.users}"
        assert first["jobId"] != second["jobId"]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("version", ["v4", "core"])
def test_a_callback_that_is_delivered_twice_is_one_mail(
    version: str, lenient: bool, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a proxy does that lost the answer; where the provider takes the code again, both have the same id."""
    monkeypatch.setattr(github, "lenient", lenient)
    with serving(Recording) as api, handlers(version, "event", True, github, api) as (visitor, _):
        told = Recording.of(api)
        path = visitor.authorized(github)
        again = replace(visitor, cookies=dict(visitor.cookies))
        assert "error" not in visitor.ask("GET", path).location
        first = told.next()
        assert ("error" in again.ask("GET", path).location) is not lenient
        if lenient:
            assert told.next()["jobId"] == first["jobId"]
        visitor.sign_in(github)
        assert told.next()["jobId"] != first["jobId"]
        assert told.rest() == []


@pytest.mark.parametrize("form", ["event", "callback"])
@pytest.mark.parametrize("version", ["v4", "core"])
def test_a_sign_in_ends_while_the_api_hangs(version: str, form: str, github: GitHub) -> None:
    with hanging() as api, handlers(version, form, False, github, api) as (visitor, lines):
        signed_in = visitor.sign_in(github)
        assert signed_in.status == 302
        assert visitor.email() == f"bat{github.users}@example.com"
        [took] = visitor.ask("GET", "/took").json()
        assert took < 1900  # ms; an attempt alone has 2 s
        assert "yellowbooks:" not in "".join(lines)  # it has not given up yet


def test_the_parts(github: GitHub) -> None:
    """The unit tests of the package, by Node's own runner."""
    ended = subprocess.run(
        [NODE / "bin/node", "--test", "--test-reporter=spec", "test/*.test.ts"], cwd=ROOT / PACKAGE,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "ℹ fail 0" in ended.stdout


def test_both_forms_of_the_package_are_there() -> None:
    for script in (
        'const { signInNotifier } = require("yellowbooks-nextauth"); require("yellowbooks-nextauth/peers").keepPeers();',
        'import { signInNotifier } from "yellowbooks-nextauth"; import { keepPeers } from "yellowbooks-nextauth/peers";',
    ):
        kind = "commonjs" if "require" in script else "module"
        subprocess.run(
            [NODE / "bin/node", f"--input-type={kind}", "-e", f"{script} if (!signInNotifier) process.exit(1)"],
            cwd=BUILT, check=True, timeout=60,
        )  # fmt: skip


def test_what_is_packed_is_what_runs() -> None:
    npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
    told = subprocess.run(
        [NODE / "bin/node", npm, "pack", "--dry-run", "--json", "--ignore-scripts"], cwd=BUILT / PACKAGE,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    [packed] = json.loads(told.stdout)
    paths = {one["path"] for one in packed["files"]}
    package = json.loads((ROOT / PACKAGE / "package.json").read_text("utf-8"))
    named = {path for entry in package["exports"].values() for form in entry.values() for path in form.values()}
    assert len(named) == 8
    assert {path.removeprefix("./") for path in named} <= paths
    assert not [path for path in paths if not path.startswith("dist/") and path not in ("README.md", "package.json")]


def test_the_lock_holds_hashes_and_no_addresses() -> None:
    text = (ROOT / "tests/nextauth/package-lock.json").read_text("utf-8")
    assert not json.loads(text)["packages"][""].get("dependencies")
    for name, package in json.loads(text)["packages"].items():
        ours = package.get("link") or (not name.startswith("node_modules") and "/node_modules/" not in name)
        assert ours or package["integrity"].startswith("sha512-"), name
        assert package.get("link") or "resolved" not in package, name
    assert "http" not in text.replace("https-proxy", "")
