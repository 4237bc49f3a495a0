"""Hostile strings through every field: refused with the field's name, or a mail with our headers, structure and links."""

import json
import re
import unicodedata
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from email_validator import EmailNotValidError

from tests.signin.cases import FULL, LETTERS, LINK, NOTED
from yellowbooks.jobs import Backoff, Fault, Invalid, Rate
from yellowbooks.mail import Message, MessageRefused, compose, lint, mailbox
from yellowbooks.mail.message import HEADERS, check
from yellowbooks.signin import SignIn, kind
from yellowbooks.signin.event import shown_address, wire_address
from yellowbooks.signin.letter import mask, show_ip
from yellowbooks.signin.notices import Group, Shown

CORPUS: dict[str, list[str]] = json.loads(Path(__file__).with_name("injections.json").read_text("ascii"))
STRINGS = [text for texts in CORPUS.values() for text in texts]
FIELDS = ("userId", "email", "name", "provider", "ipAddress", "userAgent", "locale", "timeZone", "jobId")
GOOD = {
    "userId": "u1", "email": "bat@example.com", "name": "Бат", "provider": "github", "ipAddress": "192.0.2.1",
    "userAgent": FULL.user_agent, "locale": "mn", "timeZone": "Asia/Hovd", "jobId": "job-1",
    "timestamp": "2025-12-18T23:00:00Z",
}  # fmt: skip
KIND = kind(rate=Rate(10, 3600), backoff=Backoff())
SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")
CREATED = datetime(2025, 12, 18, 23, tzinfo=UTC)
SUBJECTS = ("🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books", "🔐 New sign-in to your account - Yellow Books")

# What readers make links of, told apart from what the system itself looks for.
AUTO_LINK = re.compile(
    r"[a-z][a-z0-9+-]*://|\bwww\b|\w@|@\w|[^\s.]\.[^\W\d_]{2}|//|\\\\|\b(?:mailto|tel|javascript|data):|(?:\d[ ()-]?){7}",
    re.IGNORECASE,
)
INVISIBLE = re.compile(
    r"[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)


class Skeleton(HTMLParser):
    """The elements of a page with their attributes, and the words between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[object] = []
        self.words: list[str] = []
        self.style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *((name, value) for name, value in attrs if name != "lang")))
        self.style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(tag)
        self.style = False

    def handle_data(self, data: str) -> None:
        (self.elements if self.style else self.words).append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.elements.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.elements.append(("declaration", data))

    def handle_pi(self, data: str) -> None:
        self.elements.append(("instruction", data))


def written(sign_in: SignIn) -> bytes:
    letter = LETTERS.write(sign_in, CREATED)
    return compose(
        sender=SENDER, recipient=wire_address(sign_in.email), subject=letter.subject, text=letter.text,
        html=letter.html, language=letter.language, key=sign_in.job_id or "none", date=CREATED,
    ).data  # fmt: skip


def parts(data: bytes) -> tuple[EmailMessage, str, str]:
    mail = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(data)
    text, html = (str(part.get_content()).replace("\r\n", "\n") for part in mail.iter_parts())
    return mail, text, html


def parse(**fields: object) -> tuple[SignIn | None, tuple[Fault, ...]]:
    try:
        return KIND.parse(json.dumps(GOOD | fields).encode()), ()
    except Invalid as error:
        return None, error.faults


def changed(**fields: object) -> SignIn:
    return SignIn(**{name: getattr(FULL, name) for name in FULL.__struct_fields__} | fields)


OUR_PAGES = [
    Skeleton(parts(written(changed(provider=provider, name=name)))[2]).elements
    for provider in ("github", "keycloak") for name in ("Бат", None)
]  # fmt: skip
SEEN: set[tuple[bytes, str]] = set()
TEXT_LINES = {17, 20}  # without and with advice


def assert_ours(sign_in: SignIn) -> None:
    data = written(sign_in)
    if (data, sign_in.email) in SEEN:  # most user ids leave no trace in a mail
        return
    SEEN.add((data, sign_in.email))
    check(Message("", "", "", "", data))
    mail, text, html = parts(data)
    page = Skeleton(html)
    assert tuple(mail.keys()) == HEADERS
    assert mail["From"] == "Yellow Books <no-reply@yellowbooks.example>"
    assert mail["To"] == wire_address(sign_in.email)
    assert mail["Subject"] in SUBJECTS
    assert mail["Content-Language"] in ("mn", "en")
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert page.elements in OUR_PAGES
    assert len(text.splitlines()) in TEXT_LINES
    for said in (text, " ".join(page.words)):
        assert not AUTO_LINK.search(without_ours(said, sign_in)), said
    # A name may be long, or not Mongolian.
    assert [finding for finding in lint(data) if finding.id not in ("A8", "L6")] == []


def without_ours(said: str, sign_in: SignIn) -> str:
    """What is said, as a reader's program sees it, less the address, the date and a Mongolian's signature."""
    for ours in (mask(shown_address(sign_in.email)), show_ip(sign_in.ip_address) or "-", "Б.Бат"):
        said = said.replace(ours, " ")
    said = re.sub(r"\(UTC[^)]*\)|\d{4} оны \d\d сар \d\d өдөр \d\d:\d\d", "", said)
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", said))


def test_the_corpus_is_large_and_of_all_sorts() -> None:
    assert len(set(STRINGS)) >= 300
    assert set(CORPUS) == {
        "breaks", "bidi", "invisible", "html", "template", "markdown", "links", "addresses", "idn", "encoded", "long",
    }  # fmt: skip


def test_the_detector_sees_what_readers_see() -> None:
    for text in ("https://evil.mn", "www.evil", "evil.mn", "a@b", "x@evil.mn", "//evil", "tel:1", "9911 2233", "е.мон"):
        assert AUTO_LINK.search(text), text


@pytest.mark.parametrize("field", FIELDS)
def test_every_string_through_every_field(field: str) -> None:
    """I1–I11: refused, and the field is named; or taken, and nothing of it is live."""
    refused = 0
    for text in STRINGS:
        sign_in, faults = parse(**{field: text})
        if sign_in:
            assert_ours(sign_in)
        else:
            assert {fault.field for fault in faults} == {field}, text
            assert all(fault.why for fault in faults)
            refused += 1
    assert refused > 40  # every control, at least


@pytest.mark.parametrize("field", ["name", "provider"])
def test_the_link_is_the_only_one_whatever_the_string(field: str) -> None:
    for text in (text for sort in ("links", "html", "markdown", "template") for text in CORPUS[sort]):
        sign_in, _ = parse(**{field: text})
        if sign_in is None:
            continue
        shown = msgspec.json.encode(Shown("Chrome, Linux", "192.0.2.1", sign_in.provider)).decode()
        groups = [Group(2, 0, 0, shown, True, "u1")]
        zone = "Asia/Ulaanbaatar"
        for letter in (
            NOTED.write(sign_in, CREATED, "new_device", LINK), NOTED.summarize(groups, sign_in.email, "mn", zone, LINK),
        ):  # fmt: skip
            data = compose(
                sender=SENDER, recipient=sign_in.email, subject=letter.subject, text=letter.text, html=letter.html,
                language=letter.language, key="job-1", date=CREATED,
            ).data  # fmt: skip
            if (data, "") in SEEN:
                continue
            SEEN.add((data, ""))
            mail, said, html = parts(data)
            page = Skeleton(html)
            anchors = [one for one in page.elements if isinstance(one, tuple) and one[0] == "a"]
            assert [dict(one[1:])["href"] for one in anchors] == [LINK]
            assert said.count(LINK) == 1
            for words in (said, " ".join(page.words)):
                assert not AUTO_LINK.search(without_ours(words.replace(LINK, " "), sign_in)), words
            assert [finding for finding in lint(data) if finding.id not in ("A8", "L6")] == []
            assert tuple(mail.keys()) == HEADERS


@pytest.mark.parametrize("text", STRINGS[:40])
def test_a_record_that_was_written_around_the_edge_is_refused_at_the_send(text: str) -> None:
    """I1: what the edge refuses can still lie in the queue; the mail's own gate refuses it or makes nothing of it."""
    sign_in = SignIn(user_id="u1", email="bat@example.com", provider="github", name=text, job_id="job-1")
    assert tuple(parts(written(sign_in))[0].keys()) == HEADERS
    with pytest.raises((EmailNotValidError, MessageRefused)):
        written(SignIn(user_id="u1", email=text, provider="github", job_id="job-1"))


def test_all_fields_at_once() -> None:
    for text in STRINGS:
        fields = dict.fromkeys(("name", "provider", "userAgent", "userId"), text)
        sign_in, faults = parse(**fields)
        if sign_in:
            assert_ours(sign_in)
        else:
            assert {fault.field for fault in faults} <= set(fields)
