"""The checklist of a security mail, id by id, over finished mails; docs/mail.md says where each line is held."""

import ast
import base64
import email.utils
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from functools import lru_cache
from pathlib import Path

import pytest

from tests.signin.cases import CREATED, FULL, GOLDEN, mail
from yellowbooks.mail import lint, mailbox
from yellowbooks.mail.reply import read
from yellowbooks.mail.smtp import Refused
from yellowbooks.signin import Letters, SignIn
from yellowbooks.signin.samples import sample_mails

ROOT = Path(__file__).parent.parent.parent
SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")


class Seen:
    """A finished mail, its raw head and its two parts."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.head = data.partition(b"\r\n\r\n")[0].decode("ascii")
        self.mail = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(data)
        self.parts = list(self.mail.iter_parts())
        self.text, self.html = (str(part.get_content()).replace("\r\n", "\n") for part in self.parts)


MAILS = [Seen(mail.data) for _, _, mail in sample_mails(Letters(), SENDER)]


def h1_each_header_stands_once(seen: Seen) -> None:
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"):
        assert len(re.findall(rf"^{name}:", seen.head, re.MULTILINE | re.IGNORECASE)) == 1


def h2_the_date_has_its_offset(seen: Seen) -> None:
    assert re.search(r"^Date: Thu, 18 Dec 2025 23:00:00 \+0000\r$", seen.head, re.MULTILINE)
    assert email.utils.parsedate_to_datetime(seen.mail["Date"]) == datetime(2025, 12, 18, 23, tzinfo=UTC)


def h3_the_message_id_has_our_domain(seen: Seen) -> None:
    assert re.fullmatch(r"<[0-9a-f]{40}@yellowbooks\.example>", seen.mail["Message-ID"])


def h4_it_says_that_a_machine_wrote_it(seen: Seen) -> None:
    assert seen.mail["Auto-Submitted"] == "auto-generated"
    assert seen.mail["X-Auto-Response-Suppress"] == "All"
    assert "Precedence" not in seen.mail


def h5_nobody_can_unsubscribe_another(seen: Seen) -> None:
    assert not [name for name in seen.mail if name.lower().startswith("list-")]


def h6_it_says_its_language(seen: Seen) -> None:
    assert seen.mail["Content-Language"] in ("mn", "en")
    assert f'<html lang="{seen.mail["Content-Language"]}"' in seen.html


def h8_text_then_html_and_nothing_else(seen: Seen) -> None:
    kinds = [part.get_content_type() for part in seen.mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert not re.search(r"<(?:img|form|script|iframe|link|a)\b|url\(|src=", seen.html)


def h9_no_server_must_encode_it_again(seen: Seen) -> None:
    assert seen.data.isascii()
    for part in seen.parts:
        assert part.get_content_charset() == "utf-8"
        assert part["Content-Transfer-Encoding"] == "quoted-printable"


def h10_lines_are_short_and_end_in_crlf(seen: Seen) -> None:
    assert max(map(len, seen.data.split(b"\r\n"))) <= 998
    folded = [line for line in seen.head.split("\r\n") if " " in line.partition(": ")[2]]
    assert max(map(len, folded)) <= 78
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", seen.data)


def h11_encoded_words_are_whole(seen: Seen) -> None:
    words = re.findall(r"=\?utf-8\?b\?([^?]+)\?=", seen.head)
    assert words
    for word in words:
        assert len(word) + 12 <= 75
        base64.b64decode(word).decode()
    assert not re.search(r"<[^>]*=\?", seen.head)


def h12_the_boundary_comes_from_the_key(seen: Seen) -> None:
    digest = seen.mail["Message-ID"].strip("<>").partition("@")[0]
    assert seen.mail.get_boundary() == f"=_{digest}"


def h13_gmail_clips_nothing(seen: Seen) -> None:
    assert len(seen.html.encode()) < 15_000


def h14_from_is_ours_alone(seen: Seen) -> None:
    assert seen.mail["From"] == "Yellow Books <no-reply@yellowbooks.example>"
    assert "Reply-To" not in seen.mail


def a1_the_page_says_its_language(seen: Seen) -> None:
    assert re.match(r'<!doctype html>\n<html lang="(?:mn|en)" dir="ltr">', seen.html)


def a2_title_and_metas(seen: Seen) -> None:
    assert f"<title>{seen.mail['Subject']}</title>" in seen.html
    for meta in (
        'charset="utf-8"',
        'name="viewport"',
        'name="color-scheme" content="light dark"',
        'name="supported-color-schemes"',
    ):
        assert f"<meta {meta}" in seen.html


def a3_one_table_is_data(seen: Seen) -> None:
    tables = re.findall(r"<table[^>]*>", seen.html.replace("<!--[if mso]>", "").replace("<![endif]-->", ""))
    assert sum('role="presentation"' in table for table in tables) == len(tables) - 1
    assert all('border="0" cellpadding="0" cellspacing="0"' in table for table in tables)
    assert seen.html.count('<th scope="row"') == 5
    assert len(re.findall("<h1", seen.html)) == 1


def a5_the_inbox_shows_device_and_time(seen: Seen) -> None:
    hidden = re.search(r'<div style="display:none[^>]*>([^<]*)</div>', seen.html)
    assert hidden
    browser, time, _ = hidden[1].split(" · ")
    assert f": {browser}\n" in seen.text
    assert f": {time}\n" in seen.text
    assert len(f"{browser} · {time}") <= 90


def a6_the_dark_rules_are_kept(seen: Seen) -> None:
    assert seen.html.count("@media (prefers-color-scheme: dark) {") == 1


def a7_nothing_that_outlook_does_not_know(seen: Seen) -> None:
    assert not re.search(r"display:\s*(?:flex|grid)|position:|float:|var\(", seen.html)
    assert seen.html.count("<div") == 1  # the hidden line


def a8_the_text_is_written_for_itself(seen: Seen) -> None:
    for line in seen.text.splitlines():
        assert len(line) <= 76 or max(map(len, line.split())) > 40  # a value that cannot be broken
        assert not re.search(r"<\w|&\w+;", line)
    assert set(re.findall("━+", seen.text)) == {"━" * 36}


def a9_every_fact_is_in_both(seen: Seen) -> None:
    facts = re.findall(r"<td valign=\"top\"[^>]*>([^<]*)</td>", seen.html)
    assert len(facts) == 5
    assert all(f": {fact}\n" in seen.text for fact in facts)


def l3_no_zone_is_read_as_a_place(seen: Seen) -> None:
    assert not re.search(r"Asia/|America/|Ulaanbaatar|Улаанбаатар", seen.text + seen.html)


def l6_the_vowels_are_mongolian(seen: Seen) -> None:
    if seen.mail["Content-Language"] == "mn":
        assert {*"өү"} <= {*seen.text}
        assert not re.search("[vγɵѳєұ]", re.sub(r"[A-Za-z]+", "", seen.text))


def p1_the_address_is_masked(seen: Seen) -> None:
    local = seen.mail["To"].partition("@")[0]
    assert f"{local}@" not in seen.text + seen.html
    assert re.search(r"(?m): \S?\*\*\*@\S+$", seen.text)


CHECKS: list[Callable[[Seen], None]] = [
    h1_each_header_stands_once, h2_the_date_has_its_offset, h3_the_message_id_has_our_domain,
    h4_it_says_that_a_machine_wrote_it, h5_nobody_can_unsubscribe_another, h6_it_says_its_language,
    h8_text_then_html_and_nothing_else, h9_no_server_must_encode_it_again, h10_lines_are_short_and_end_in_crlf,
    h11_encoded_words_are_whole, h12_the_boundary_comes_from_the_key, h13_gmail_clips_nothing, h14_from_is_ours_alone,
    a1_the_page_says_its_language, a2_title_and_metas, a3_one_table_is_data, a5_the_inbox_shows_device_and_time,
    a6_the_dark_rules_are_kept, a7_nothing_that_outlook_does_not_know, a8_the_text_is_written_for_itself,
    a9_every_fact_is_in_both, l3_no_zone_is_read_as_a_place, l6_the_vowels_are_mongolian, p1_the_address_is_masked,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_checklist(check: Callable[[Seen], None]) -> None:
    for seen in MAILS:
        check(seen)


NOTED = [(sample, Seen(mail.data)) for _, sample, mail in sample_mails(Letters(reasoned=True, linked=True), SENDER)]


@pytest.mark.parametrize("check", [one for one in CHECKS if one is not h8_text_then_html_and_nothing_else])
def test_checklist_with_a_reason_and_a_link(check: Callable[[Seen], None]) -> None:
    for sample, seen in NOTED:
        if not sample.groups:
            check(seen)


def test_h8_the_one_link_is_ours_in_every_letter_and_summary() -> None:
    for sample, seen in NOTED:
        assert re.findall(r"<a\b[^>]*href=\"([^\"]*)\"", seen.html) == [sample.link]
        assert re.findall(r"^\S+://\S+$", seen.text, re.MULTILINE) == [sample.link]
        assert (seen.html + seen.text).count("://") == 2
        assert not re.search(r"<(?:img|form|script|iframe|link)\b|url\(|src=", seen.html)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.eml")))
def test_the_golden_mails_have_no_finding(name: str) -> None:
    assert lint((GOLDEN / f"{name}.eml").read_bytes()) == []


def test_h2_h3_h12_every_attempt_has_the_same_bytes() -> None:
    assert mail(FULL) == mail(SignIn(**{name: getattr(FULL, name) for name in FULL.__struct_fields__}))
    assert Seen(mail(FULL)).mail["Date"].datetime == CREATED


def test_l4_the_time_is_that_of_the_sign_in() -> None:
    letters = Letters()
    late = letters.write(FULL, CREATED + timedelta(hours=20))
    assert late == letters.write(FULL, CREATED)


@pytest.mark.parametrize(
    "text", ["5.1.1 <bat@example.com>: user unknown", "5.7.1 b.at+x@sub.example.com refused", "bat@example.com"]
)
def test_p3_no_reply_is_kept_with_an_address(text: str) -> None:
    reply = read(550, text)
    assert "@" not in reply.text
    assert "@" not in str(Refused(reply, "mail.example.mn"))


IDS = [
    *(f"H{n}" for n in range(1, 15)),
    *(f"I{n}" for n in range(1, 12)),
    *(f"A{n}" for n in range(1, 10)),
    *(f"L{n}" for n in range(1, 9)),
    "P1",
    "P3",
]


@pytest.mark.parametrize("id_", IDS)
def test_the_document_has_the_line_and_its_test(id_: str) -> None:
    rows = re.findall(rf"^\| {id_} \|.*\|([^|]*)\|$", (ROOT / "docs/mail.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 1
    names = re.findall(r"`(\w+)`", rows[0])
    assert names or rows[0].strip().startswith("not held: ")
    for name in names:
        assert name in _functions(), name


@lru_cache(maxsize=1)
def _functions() -> set[str]:
    files = [path for folder in ("signin", "mail", "api") for path in (ROOT / "tests" / folder).glob("test_*.py")]
    trees = [ast.parse(path.read_text("utf-8")) for path in files]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)}


def test_h7_the_envelope_is_ours() -> None:
    for _, _, message in sample_mails(Letters(), SENDER):
        assert message.sender == "no-reply@yellowbooks.example"
        assert message.recipient == Seen(message.data).mail["To"]


def test_i3_html_is_escaped_and_text_is_not() -> None:
    sign_in = SignIn(user_id="u1", email="bat@example.com", provider="github", name="O'Neil & <Бат>")
    letter = Letters().write(sign_in, CREATED)
    assert letter.text.plain().startswith("Сайн байна уу O'Neil & <Бат>,\n")
    assert "Сайн байна уу O&#x27;Neil &amp; &lt;Бат&gt;," in letter.html.plain()
    assert "&" not in letter.subject
