"""Bytes: headers that are ours alone, lines that every server takes, and the same mail for the same key."""

import re
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yellowbooks.mail import Mailbox, Message, MessageRefused, compose, mailbox
from yellowbooks.mail.message import HEADERS, check

SENDER = Mailbox("Yellow Books", "no-reply@example.mn")
DATE = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def make(**changes: object) -> bytes:
    parts = {
        "sender": SENDER, "recipient": "bat@example.com", "subject": "Сайн уу", "text": "hello\n", "html": "<p>hello</p>",
        "language": "mn", "key": "job-1", "date": DATE,
    }  # fmt: skip
    return compose(**(parts | changes)).data  # type: ignore[arg-type]


def test_headers_once_each_and_in_order() -> None:
    message = BytesParser(policy=policy.default).parsebytes(make())
    assert tuple(message.keys()) == HEADERS
    assert message["Date"].datetime == DATE
    assert message["From"] == "Yellow Books <no-reply@example.mn>"
    assert re.fullmatch(r"<[0-9a-f]{40}@example\.mn>", message["Message-ID"])


def test_the_same_key_is_the_same_mail() -> None:
    assert make() == make()
    assert make(key="job-2") != make()
    assert make(secret=b"s") != make()


@given(st.text(max_size=200), st.text(max_size=3000), st.text(max_size=3000))
def test_any_words_are_a_valid_mail_or_refused(subject: str, text: str, html: str) -> None:
    try:
        data = make(subject=subject, text=text, html=html)
    except (MessageRefused, UnicodeEncodeError):
        return
    message = BytesParser(policy=policy.default).parsebytes(data)
    assert tuple(message.keys()) == HEADERS
    assert message["Subject"] == subject or message["Subject"].split() == subject.split()
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert data.isascii()
    assert b"\n" not in data.replace(b"\r\n", b"")
    plain, rich = message.iter_parts()
    assert plain.get_payload(decode=True).decode() == re.sub(r"\r\n|\r|\n", "\r\n", text)
    assert rich["Content-Transfer-Encoding"] == "quoted-printable"


def test_encoded_words_are_short_and_split_no_character() -> None:
    head = make(subject="🔐Ө" * 40).partition(b"\r\n\r\n")[0].decode()
    words = re.findall(r"=\?utf-8\?b\?([^?]*)\?=", head)
    assert len(words) > 3
    assert all(len(f"=?utf-8?b?{word}?=") <= 75 for word in words)
    assert all(len(line) <= 78 for line in head.splitlines())
    import base64

    assert "".join(base64.b64decode(word).decode() for word in words) == "🔐Ө" * 40


@pytest.mark.parametrize(
    "bad", ["a\r\nBcc: x@y.mn", "a\nb", "a\0b", "=?utf-8?q?B=0ABcc:=20x@y.mn?=", "a\u2028b", "\x85"]
)
@pytest.mark.parametrize("field", ["subject", "recipient", "key", "language"])
def test_no_header_is_made_from_outside(field: str, bad: str) -> None:
    with pytest.raises(MessageRefused):
        make(**{field: bad})


@pytest.mark.parametrize(
    "recipient", ["", "a", "a@b c", "a@b>,<c@d", "бат@example.com", "a@b\r\nRCPT TO:<c@d>", '"a b"@c.mn']
)
def test_a_recipient_that_is_no_plain_address_is_refused(recipient: str) -> None:
    with pytest.raises(MessageRefused):
        make(recipient=recipient)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda data: data.replace(b"To: ", b"Bcc: x@y.mn\r\nTo: ", 1), lambda data: data.replace(b"\r\n", b"\n", 1),
        lambda data: data + b"x" * 999, lambda data: data.replace(b"Date", b"Dato", 1), lambda data: data + b"\r",
        lambda data: data.replace(b"To: ", b"To: x@y.mn\r\nTo: ", 1),
    ],
)  # fmt: skip
def test_the_last_gate(spoilt) -> None:
    check(Message("", "", "", "", make()))
    with pytest.raises(MessageRefused):
        check(Message("", "", "", "", spoilt(make())))


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("Yellow Books <no-reply@x.mn>", Mailbox("Yellow Books", "no-reply@x.mn")), ("a@b.mn", Mailbox("", "a@b.mn")),
        ('"Шар ном" <a@b.mn>', Mailbox("Шар ном", "a@b.mn")), ("<a@b.mn>", Mailbox("", "a@b.mn")),
    ],
)  # fmt: skip
def test_mailboxes(text: str, box: Mailbox) -> None:
    assert mailbox(text) == box


@pytest.mark.parametrize(
    "text", ["", "x", "a@b@c", "X <a b@c>", "X <a@b>\r\nBcc: c@d", "=?utf-8?q?x?= <a@b.mn>", "X <a@b.mn> Y"]
)
def test_bad_mailboxes(text: str) -> None:
    with pytest.raises(ValueError, match="a right one is"):
        mailbox(text)
