"""`yellowbooks keys issue`, `list`, `rotate` and `revoke`: what they print, and how they end."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.conftest import ValkeyServer
from yellowbooks.cli import main

KEY = re.compile(r"yb_(api|admin)_([a-z0-9]{8})_[0-9A-Za-z]{49}")


class Keys:
    """The commands, over a Valkey and a folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.settings = {"YB_VALKEY_URL": url, "YB_DATA_DIR": str(folder), "YB_KINDS": "examples.hello"}

    def __call__(self, *words: str, status: int = 0, **settings: str) -> Result:
        result = CliRunner().invoke(main, ["keys", *words], env=self.settings | settings)
        assert result.exit_code == status, result.output
        return result

    def issue(self, *words: str) -> tuple[str, str]:
        """A new key and its id."""
        text = self("issue", *words).stdout.strip()
        found = KEY.fullmatch(text)
        assert found
        return text, found[2]

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("list", "--json").stdout)
        return found


@pytest.fixture
def keys(own_valkey: ValkeyServer, tmp_path: Path) -> Keys:
    return Keys(own_valkey.url, tmp_path)


def test_a_key_is_printed_once_and_listed_without_itself(keys: Keys) -> None:
    assert "no key was issued" in keys("list").stdout
    text, key_id = keys.issue(
        "--role", "api", "--name", "shop", "--kinds", "hello,signin-notification", "--expires", "90d"
    )
    [row] = keys.listed()
    assert (row["id"], row["name"], row["role"], row["state"]) == (key_id, "shop", "api", "live")
    assert row["kinds"] == ["hello", "signin-notification"]
    assert (row["used"], row["revoked"]) == (None, None)
    assert row["expires"] > row["made"]
    table = keys("list").stdout
    assert "shop" in table
    assert text.rpartition("_")[2] not in table + json.dumps(row)
    shown = json.loads(keys("issue", "--role", "admin", "--json").stdout)
    assert KEY.fullmatch(shown["key"])
    assert (shown["role"], shown["kinds"], shown["expires"], shown["name"]) == ("admin", [], None, shown["id"])


def test_rotation_ends_with_one_live_key(keys: Keys) -> None:
    _, first = keys.issue("--role", "api", "--name", "shop", "--kinds", "hello", "--expires", "1h")
    rotated = keys("rotate", first)
    found = KEY.fullmatch(rotated.stdout.strip())
    assert found
    assert f"yellowbooks keys revoke {first}" in rotated.stderr
    assert [row["state"] for row in keys.listed()] == ["live", "live"]
    assert {(row["name"], *row["kinds"], row["role"]) for row in keys.listed()} == {("shop", "hello", "api")}
    assert "two keys of the name shop are live" in keys("rotate", first, status=4).stderr
    assert keys("revoke", first).stdout == f"{first} is revoked\n"
    assert keys("revoke", first).stdout == f"{first} was revoked before\n"
    assert {row["id"]: row["state"] for row in keys.listed()} == {first: "revoked", found[2]: "live"}
    assert "works no more" in keys("rotate", first, status=4).stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("issue",), 2, "--role"),
        (("issue", "--role", "api", "--kinds", "nothing"), 2, "there are signin-notification, hello"),
        (("issue", "--role", "admin", "--kinds", "hello"), 2, "leave it out"),
        (("issue", "--role", "api", "--expires", "90"), 2, "for example --expires 90d"),
        (("issue", "--role", "api", "--name", "A shop"), 2, "for example --name shop"),
        (("rotate", "nobodys0"), 3, "yellowbooks keys list"),
        (("revoke", "nobodys0"), 3, "yellowbooks keys list"),
    ],
)
def test_a_mistake_says_what_to_do(keys: Keys, words: tuple[str, ...], status: int, says: str) -> None:
    assert says in keys(*words, status=status).output
    assert keys.listed() == []


def test_the_queue_away_is_said(keys: Keys, own_valkey: ValkeyServer) -> None:
    own_valkey.kill()
    for words in (("issue", "--role", "api"), ("list",), ("revoke", "x"), ("rotate", "x")):
        assert keys(*words, status=75).stderr.startswith("yellowbooks: ")


def test_resealing_says_which_keys_need_the_older_secret(keys: Keys) -> None:
    keys.settings["YB_SECRET_KEYS"] = "o" * 40
    _, key_id = keys.issue("--role", "api")
    keys.settings["YB_SECRET_KEYS"] = f"{'n' * 40},{'o' * 40}"
    assert key_id in keys("reseal", status=1).stderr
    keys("revoke", key_id)
    keys("reseal")
    keys.settings["YB_SECRET_KEYS"] = "n" * 40
    assert keys.listed()[0]["state"] == "revoked"
