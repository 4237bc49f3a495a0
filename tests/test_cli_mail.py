"""`yellowbooks mail`: see, check and send a letter from the command line."""

import socket
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner, Result

from yellowbooks.cli import main
from yellowbooks.signin.forms import OURS


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command of the group, in an environment of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environment: str) -> Result:
        settings = {"YB_DATA_DIR": str(tmp_path / "data"), "YB_MAIL_FROM": "Yellow Books <a@books.example>"}
        return CliRunner().invoke(main, ["mail", *words], env=settings | environment)

    return run


def test_preview_writes_one_page(run, tmp_path: Path) -> None:
    for out, place in (
        ("page.html", tmp_path / "page.html"),
        ("folder", tmp_path / "folder/mail-preview.html"),
        (None, tmp_path / "data/mail-preview.html"),
    ):
        result = run("preview", "--no-open", *(["--out", out] if out else []))
        assert result.exit_code == 0, result.output
        assert result.output.startswith("written: ")
        assert "Сайн байна уу" in place.read_text("utf-8")
    result = run("preview", "--out", "/proc/nowhere/x.html")
    assert result.exit_code == 1
    assert "name another with --out" in result.output


def test_lint_says_file_line_id_and_reason(run, tmp_path: Path) -> None:
    assert run("lint").output == "no findings\n"
    page = (OURS / "mail.html").read_text("utf-8").replace("<h1 ", '<h1 onclick="x" ')
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mail.html").write_text(page, "utf-8")
    for result in (run("lint", "own"), run("lint", YB_TEMPLATES_DIR="own")):
        assert result.exit_code == 1
        line = page[: page.index("onclick")].count("\n") + 1
        assert f"own/mail.html:{line}: H8 onclick is a script\n1 finding\n" in result.output
    (tmp_path / "own/mail.html").write_text(
        page.replace('onclick="x"', "").replace("</h1>", "<br>x.site.mn</h1>"), "utf-8"
    )
    assert "«x.site.mn» is made a link" in run("lint", "own").output
    assert run("lint", "own", "--site", "site.mn").output == "no findings\n"
    (tmp_path / "own/mail.html").write_text("{% if %}", "utf-8")
    result = run("lint", "own")
    assert result.exit_code == 1
    assert "own/mail.html, line 1: " in result.output


def test_a_fault_in_ones_own_templates_is_a_wrong_setting(run, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mail.txt").write_text("one\n{{ two }}\n", "utf-8")
    result = run("preview", YB_TEMPLATES_DIR="own")
    assert result.exit_code == 2
    assert f"YB_TEMPLATES_DIR: {tmp_path}/own/mail.txt, line 2: 'two' is undefined" in result.output


def test_send_test_keeps_a_mail_in_the_inbox(run, tmp_path: Path) -> None:
    result = run("send-test", "bat@example.com")
    assert result.exit_code == 0, result.output
    (kept,) = (tmp_path / "data/inbox").glob("*.eml")
    assert kept.stem in result.output
    assert BytesParser(policy=policy.default).parsebytes(kept.read_bytes())["To"] == "bat@example.com"


class Taking:
    """An SMTP server's side that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 Ok: queued as 7"


def test_send_test_sends(run) -> None:
    taking = Taking()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(taking, hostname="127.0.0.1", port=port)
    server.start()
    try:
        result = run("send-test", "bat@example.com", "--locale", "en", YB_SMTP_URL=f"smtp://127.0.0.1:{port}")
    finally:
        server.stop()
    assert result.exit_code == 0, result.output
    assert "queued as 7" in result.output
    ((sender, recipients, data),) = taking.mails
    assert (sender, recipients) == ("a@books.example", ["bat@example.com"])
    assert b"Subject: =?utf-8?b?" in data


def test_send_test_says_what_is_wrong(run) -> None:
    for words, environment, said in (
        (["bat"], {}, "email: is no address that we can send to"),
        (["bat@example.com", "--locale", "x!"], {}, "locale: is no language tag"),
        (["bat@example.com"], {"YB_SMTP_URL": "smtp://127.0.0.1:1"}, "not sent: the mail was not sent (127.0.0.1:1: "),
    ):
        result = run("send-test", *words, **environment)
        assert result.exit_code == 1
        assert said in result.output
