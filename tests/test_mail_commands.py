"""The commands about the mail, as an operator types them."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.conftest import ValkeyServer
from tests.mail.reports import SECRET, report, sent
from tests.mail.test_dkim import verifies
from yellowbooks.cli import main
from yellowbooks.mail import Key, Signer
from yellowbooks.settings import NAMES, SettingsError, load
from yellowbooks.wiring import check

Run = Callable[..., Result]


@pytest.fixture
def run(own_valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `yellowbooks mail …` over a Valkey of its own."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YB_VALKEY_URL", own_valkey.url)
    monkeypatch.setenv("YB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("YB_MAIL_SECRET", SECRET.decode())
    monkeypatch.setenv("YB_MAIL_FROM", "Yellow Books <no-reply@example.mn>")
    return lambda *words, data=None: CliRunner().invoke(main, ["mail", *words], input=data)


def test_a_bounce_suppresses_and_an_operator_lifts(run: Run, tmp_path: Path) -> None:
    assert run("suppression", "list").output == "nobody is suppressed\n"
    taken = run("bounce", data=report(sent()))
    assert taken.exit_code == 0
    assert re.fullmatch(r"suppressed [0-9a-f]{24} 5\.1\.1 .*\(address\).*\n", taken.output)
    shown = run("suppression", "show", "BAT@example.com")
    assert (shown.exit_code, "no mail until" in shown.output) == (1, True)
    ref = taken.output.split()[1]
    assert run("suppression", "list").output == shown.output
    assert run("suppression", "lift", ref, "cat@example.com").output.splitlines()[0] == f"{ref} lifted"
    shown = run("suppression", "show", "bat@example.com")
    assert (shown.exit_code, shown.output) == (0, f"{ref}  gets mail\n")
    file = tmp_path / "full.eml"
    file.write_bytes(report(sent(), status="5.2.2"))
    assert run("bounce", str(file)).output.startswith(f"struck {ref} 5.2.2")
    assert "strike 1 of 3" in run("suppression", "list").output


def test_an_operator_adds_an_address(run: Run) -> None:
    assert "no mail until" in run("suppression", "add", "bat@example.com", "--days", "2", "--reason", "he asked").output
    assert "operator: he asked" in run("suppression", "show", "bat@example.com").output
    assert run("suppression", "add", "nobody").exit_code == 2


def test_what_is_no_bounce_ends_well_for_a_mail_server_and_valkey_away_asks_for_another_try(
    run: Run, own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = run("bounce", data=b"Subject: holiday\r\n\r\nback on Monday\r\n")
    assert (passed.exit_code, passed.output.startswith("passed_over - ")) == (0, True)
    own_valkey.kill()
    assert run("bounce", data=report(sent())).exit_code == 75
    monkeypatch.setenv("YB_MAIL_SECRET", "")
    refused = run("bounce", data=report(sent()))
    assert (refused.exit_code, "YB_MAIL_SECRET" in refused.output) == (2, True)


@pytest.mark.parametrize("name", ["rsa", "ed25519"])
def test_a_key_is_made_and_what_is_printed_verifies_its_mails(run: Run, name: str, tmp_path: Path) -> None:
    made = run("dkim-key", "mail2026", "--type", name)
    assert made.exit_code == 0
    path = tmp_path / "data/mail2026.pem"
    assert f"set YB_DKIM=mail2026:{path} " in made.output
    line = next(line for line in made.output.splitlines() if "IN TXT" in line)
    assert line.startswith("  mail2026._domainkey.example.mn. IN TXT ( ")
    strings = re.findall(r'"([^"]*)"', line)
    assert max(map(len, strings)) <= 255
    key = Key.read("mail2026", path)
    assert "".join(strings) == key.record()
    assert verifies(Signer("example.mn", [key]).sign(sent()).data, {"one": key})
    assert run("dkim-key", "mail2026").exit_code == 2
    assert run("dkim-key", "../up").exit_code == 2
    assert os.listdir(tmp_path / "data") == ["mail2026.pem"]


def test_a_test_mail_is_signed_as_the_workers_are(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run("dkim-key", "mail2026").exit_code == 0
    path = tmp_path / "data/mail2026.pem"
    monkeypatch.setenv("YB_DKIM", f"mail2026:{path}")
    assert run("send-test", "bat@example.com").exit_code == 0
    [kept] = (tmp_path / "data/inbox").glob("*.eml")
    assert verifies(kept.read_bytes(), {"one": Key.read("mail2026", path)})


def test_a_wrong_key_setting_ends_a_start_with_2(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YB_DKIM", f"mail2026:{tmp_path}/none.pem")
    started = CliRunner().invoke(main, ["worker"])
    assert started.exit_code == 2
    assert "YB_DKIM: " in started.output
    assert "yellowbooks mail dkim-key" in started.output
    with pytest.raises(SettingsError, match="YB_DKIM"):  # what `up` and `api` ask before they start anything
        check(load().settings)
