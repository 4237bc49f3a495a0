"""The checklist over a finished mail: a good one has no finding, and each spoilt one has the finding of its line."""

from datetime import UTC, datetime

import pytest

from yellowbooks.mail import Mailbox, compose, lint
from yellowbooks.mail.lint_html import contrast

SUBJECT = "Шинэ нэвтрэлт"
TEXT = "Сайн байна уу,\n\n📧 Имэйл: b***@example.com\n\nБаярлалаа,\nYellow Books баг\n"
HTML = """\
<!doctype html>
<html lang="mn" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>Шинэ нэвтрэлт</title>
<style>
@media (prefers-color-scheme: dark) {
  .page { background-color: #111111 !important; color: #eeeeee !important; }
}
</style>
</head>
<body class="page" style="background-color:#ffffff;color:#111111;font-size:16px;">
<div style="display:none;">Chrome</div>
<table role="presentation" border="0" cellpadding="0" cellspacing="0"><tr><td>
<h1>Сайн байна уу,</h1>
<table border="0" cellpadding="0" cellspacing="0">
<tr><th scope="row"><span aria-hidden="true">📧</span>Имэйл</th><td>b***@example.com</td></tr>
</table>
<p>Баярлалаа,<br>Yellow Books баг</p>
</td></tr></table>
</body>
</html>
"""


def make(text: str = TEXT, html: str = HTML, subject: str = SUBJECT) -> bytes:
    return compose(
        sender=Mailbox("Yellow Books", "no-reply@books.mn"), recipient="bat@example.com", subject=subject, text=text,
        html=html, language="mn", key="job-1", date=datetime(2025, 1, 2, tzinfo=UTC),
    ).data  # fmt: skip


def test_a_good_mail_has_no_finding() -> None:
    assert lint(make()) == []


@pytest.mark.parametrize(
    ("id_", "old", "new"),
    [
        ("H1", b"Subject:", b"Comments:"), ("H1", b"To: ", b"To: a@b.mn\r\nTo: "), ("H2", b" +0000", b""),
        ("H2", b"Date: Thu, 02 Jan", b"Date: soon"), ("H3", b"@books.mn>\r\nAuto", b"@host.local>\r\nAuto"),
        ("H4", b"auto-generated", b"no"), ("H4", b"MIME-V", b"Precedence: bulk\r\nMIME-V"),
        ("H5", b"MIME-V", b"List-Unsubscribe: <https://books.mn/u>\r\nMIME-V"), ("H6", b"Language: mn", b"Language: en"),
        ("H8", b"multipart/alternative", b"multipart/mixed"), ("H9", b"utf-8\r\n", b"iso-8859-1\r\n"),
        ("H10", b"To: bat@example.com", b"To: bat@example.com\n"), ("H10", b"MIME-V", b"X-A: " + b"a b " * 30 + b"\r\nMIME-V"),
        ("H10", b"\r\n\r\n--", b"\r\n\r\n" + b"x" * 999 + b"\r\n--"), ("H11", b"Subject: =?utf-8?b?", b"Subject: =?utf-8?b?0Jg" + b"0J" * 40),
        ("H11", b"Subject: =?utf-8?b?", b"Subject: =?utf-8?b?0A==?= =?utf-8?b?"), ("H11", b"<no-reply@", b"<=?utf-8?b?0Jg=?=@"),
        ("H14", b"From: Yellow Books", b'From: "help@bank.mn"'),
    ],
)  # fmt: skip
def test_a_spoilt_header(id_: str, old: bytes, new: bytes) -> None:
    spoilt = make().replace(old, new, 1)
    assert spoilt != make()
    assert id_ in [finding.id for finding in lint(spoilt)]


@pytest.mark.parametrize(
    ("id_", "old", "new", "line"),
    [
        ("A1", ' lang="mn"', "", 1), ("A1", ' dir="ltr"', "", 1), ("A2", "<title>Ш", "<title>", 1), ("A2", 'charset="utf-8"', "", 1),
        ("A2", 'name="viewport"', "", 1), ("A2", 'name="color-scheme"', "", 1), ("A3", "h1>", "h2>", 1),
        ("A3", ' role="presentation"', "", 17), ("A3", ' cellpadding="0"', "", 17), ("A3", ' scope="row"', "", 19),
        ("A3", ' aria-hidden="true"', "", 20), ("A4", "color:#111111;f", "color:#999999;f", 18), ("A4", "16px", "12px", 18),
        ("A4", "#eeeeee", "#444444", 18), ("A5", ">Chrome<", "><", 1), ("A5", "Chrome", SUBJECT, 1), ("A6", "dark) {", "light) {", 1),
        ("A7", "<h1", '<h1 style="display:flex"', 18), ("A7", "<h1", '<h1 style="float: left"', 18),
        ("A7", "<table role", '<table width="600" role', 17), ("A9", "<p>", "", None),
        ("A9", "<td>b***@example.com</td>", "<td>b***@example.com</td><td>Chrome, Linux</td>", 20),
        ("H8", "<h1>", '<h1 onclick="x()">', 18), ("H8", "<p>", "<p><img src=x>", 22), ("H8", "<p>", "<p><script>1</script>", 22),
        ("H8", "<p>", '<form action="/x"><p>', 22), ("H13", "<p>", "<!--" + "x" * 100_000 + "--><p>", 1),
        ("I2", "<p>", "<p>\u202e", 22), ("I2", "<p>", "<p>a\u200bb", 22), ("I4", "<p>", '<p><a href="https://evil.mn">Тусламж</a>', 22),
        ("I4", "<p>", '<p><a href="javascript:x()">Тусламж</a>', 22), ("I4", "<p>", '<p><a href="https://books.mn.evil.mn">Тусламж</a>', 22),
        ("I4", "<p>", "<p>evil.mn ", 22), ("I4", "<p>", "<p>x www.evil ", 22), ("I4", "<p>", "<p>a@evil.mn ", 22),
        ("L3", "<p>", "<p>Asia/Ulaanbaatar ", 22), ("L6", "Сайн байна", "Шинэ нvvр", 18), ("P1", "<p>", "<p>bat@example.com ", 22),
        ("L7", "<p>", "<p>Change your Yellow Books password. ", 22),
    ],
)  # fmt: skip
def test_a_spoilt_page(id_: str, old: str, new: str, line: int | None) -> None:
    spoilt = HTML.replace(old, new, 1) if old != "h1>" else HTML.replace(old, new)
    if line is None:  # what stands outside the table of facts need not be said twice
        assert lint(make(html=spoilt)) == []
        return
    assert spoilt != HTML
    found = [(finding.id, finding.line) for finding in lint(make(html=spoilt)) if finding.part == "html"]
    assert (id_, line) in found


@pytest.mark.parametrize(
    ("id_", "text", "line"),
    [
        ("A8", "one two " * 10, 1), ("A8", "x\n" + "━" * 80, 2), ("A8", "see https://books.mn/x now", 1), ("A8", "<p>x</p>", 1),
        ("A8", "a &amp; b", 1), ("I2", "a\u202eb", 1), ("I2", "a\ufeffb", 1), ("I4", "\n\nhttps://evil.mn/x", 3), ("I4", "evil。mn", 1),
        ("I4", "http://books.mn/x", 1), ("I4", "https://books.mn@evil.mn/", 1), ("L3", "America/Los_Angeles", 1), ("L6", "єдєр", 1), ("L7", "Yellow Books бүртгэлийн нууц үг", 1),
        ("P1", "Имэйл: bat@example.com", 1),
    ],
)  # fmt: skip
def test_a_spoilt_text(id_: str, text: str, line: int) -> None:
    found = [(finding.id, finding.line) for finding in lint(make(text=f"{text}\n{TEXT}")) if finding.part == "text"]
    assert (id_, line) in found


@pytest.mark.parametrize(
    "text",
    ["192.0.2.10", "https://books.mn/help", "https://www.books.mn/x", "Б.Бат-Эрдэнэ", "2001:db8::1", "12.5", "x" * 90, "a. b", "..."],
)  # fmt: skip
def test_what_is_no_finding(text: str) -> None:
    assert lint(make(text=f"{text}\n{TEXT}")) == []


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\xff\x00", b"From: a\r\n\r\n<", b"Content-Type: multipart/alternative\r\n\r\n"]
)
def test_any_bytes_have_findings_and_no_crash(data: bytes) -> None:
    assert lint(data)


def test_links_may_lead_to_the_site_that_is_named() -> None:
    link = '<a href="https://app.site.mn/x">Хамгаалах</a>'
    data = make(text=f"https://app.site.mn/x\n{TEXT}", html=HTML.replace("<h1>", f"<h1>{link}"))
    assert {finding.id for finding in lint(data)} == {"I4"}
    assert lint(data, "site.mn") == []


def test_the_contrast_of_wcag() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
