"""The letter: the user's own words, the facts in one order, and nothing live from outside."""

import re
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signin.cases import BARE, CASES, CREATED, FULL, GOLDEN, LETTERS, mail, noted_mails
from yellowbooks.mail.message import HEADERS
from yellowbooks.signin import SignIn
from yellowbooks.signin.browser import BROWSERS, SYSTEMS, name_browser
from yellowbooks.signin.forms import PROVIDERS
from yellowbooks.signin.letter import mask, show_ip, show_name, show_provider

BODY = """\
Сайн байна уу Бат,

Таны Yellow Books бүртгэлд амжилттай нэвтэрсэн байна.

📋 Нэвтрэлтийн мэдээлэл:
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
📧 Имэйл: b***@example.com
🌐 Provider: github
📍 IP Address: 192.168.1.100
💻 Browser: Chrome, Linux
⏰ Огноо: 2025 оны 12 сар 19 өдөр 07:00
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━

⚠️ Хэрэв та энэ нэвтрэлтийг хийгээгүй бол нэн даруй холбогдоно уу.

Баярлалаа,
Yellow Books баг
"""

# What follows the user's own words, so that they stay as they are.
ADVICE = """\

Энэ нэвтрэлт таных биш бол GitHub бүртгэлээ мөн хамгаална уу: нууц үгийг нь
сольж, бусад төхөөрөмжөөс гарна уу.
"""


def changed(**fields: object) -> SignIn:
    return SignIn(**{name: getattr(FULL, name) for name in FULL.__struct_fields__} | fields)


def parsed(data: bytes) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(data)


def words_of(html: str) -> str:
    """The text that a reader of the HTML sees or hears."""

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.words: list[str] = []
            self.silent = 0

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.silent += tag in ("style", "title")

        def handle_endtag(self, tag: str) -> None:
            self.silent -= tag in ("style", "title")

        def handle_data(self, data: str) -> None:
            if not self.silent:
                self.words.append(data)

    reader = Reader()
    reader.feed(html)
    return " ".join(" ".join(reader.words).split())


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_the_golden_ones(name: str) -> None:
    assert mail(CASES[name]) == (GOLDEN / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("name", noted_mails())
def test_the_bytes_of_letters_with_a_reason_and_of_summaries_are_the_golden_ones(name: str) -> None:
    assert noted_mails()[name] == (GOLDEN / f"{name}.eml").read_bytes()


def test_the_body_is_the_users_own() -> None:
    letter = LETTERS.write(FULL, CREATED)
    assert letter.text.plain() == BODY + ADVICE
    assert LETTERS.write(changed(provider="keycloak"), CREATED).text.plain() == BODY.replace("github", "keycloak")
    assert letter.subject == "🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books"


def test_the_parsed_mail_has_both_forms_text_first() -> None:
    message = parsed(mail(FULL))
    assert message["Subject"] == "🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert next(message.iter_parts()).get_content().replace("\r\n", "\n") == BODY + ADVICE
    assert tuple(message.keys()) == HEADERS
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "mn"


@pytest.mark.parametrize(
    ("moment", "zone", "shown"),
    [
        ("2025-12-18T23:00:00Z", None, "2025 оны 12 сар 19 өдөр 07:00"),
        ("2026-01-04T16:05:00Z", None, "2026 оны 01 сар 05 өдөр 00:05"),
        ("2025-12-18T23:00:00Z", "Asia/Hovd", "2025 оны 12 сар 19 өдөр 06:00"),
        ("2025-12-18T23:00:00Z", "America/New_York", "2025 оны 12 сар 18 өдөр 18:00"),
        ("2016-09-23T14:59:00Z", None, "2016 оны 09 сар 23 өдөр 23:59"),  # the last hour of summer time
        ("2016-09-23T15:00:00Z", None, "2016 оны 09 сар 23 өдөр 23:00"),
        ("2015-03-27T17:59:00Z", None, "2015 оны 03 сар 28 өдөр 01:59"),
        ("2015-03-27T18:00:00Z", None, "2015 оны 03 сар 28 өдөр 03:00"),
        ("2025-12-19T07:00:00+08:00", None, "2025 оны 12 сар 19 өдөр 07:00"),
    ],
)
def test_the_date(moment: str, zone: str | None, shown: str) -> None:
    sign_in = changed(timestamp=datetime.fromisoformat(moment), time_zone=zone)
    assert f"Огноо: {shown}\n" in LETTERS.write(sign_in, CREATED).text.plain()


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Ulaanbaatar", "19 December 2025, 07:00 (UTC+8)"),
        ("Asia/Kolkata", "19 December 2025, 04:30 (UTC+5:30)"),
        ("America/St_Johns", "18 December 2025, 19:30 (UTC-3:30)"),
        ("UTC", "18 December 2025, 23:00 (UTC+0)"),
    ],
)
def test_the_date_in_english(zone: str, shown: str) -> None:
    assert shown in LETTERS.write(changed(locale="en", time_zone=zone), CREATED).text.plain()


def test_no_name_browser_or_address_is_no_reason_to_send_nothing() -> None:
    text = LETTERS.write(BARE, CREATED).text.plain()
    assert text.startswith("Сайн байна уу,\n")
    assert "IP Address: Тодорхойгүй\n" in text
    assert "Browser: Тодорхойгүй\n" in text
    assert "2025 оны 12 сар 19 өдөр 07:00" in text  # the time of the job, where the event has none


@pytest.mark.parametrize(
    ("locale", "language"),
    [(None, "mn"), ("mn", "mn"), ("mn-MN", "mn"), ("en", "en"), ("en_US", "en"), ("EN-gb", "en"), ("fr", "mn")],
)
def test_the_language(locale: str | None, language: str) -> None:
    letter = LETTERS.write(changed(locale=locale), CREATED)
    assert letter.language == language
    assert f'<html lang="{language}"' in letter.html.plain()


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("bat@example.com", "b***@example.com"), ("b@example.com", "***@example.com"), ("no-at", "***"),
        ("ab@example.com", "a***@example.com"), ("bat+tag@example.com", "b***@example.com"),
    ],
)  # fmt: skip
def test_the_masked_address(address: str, masked: str) -> None:
    assert mask(address) == masked


@given(st.from_regex(r"[a-z0-9.+_-]{1,30}@[a-z]{1,10}\.[a-z]{2,5}", fullmatch=True))
def test_the_mask_never_holds_the_local_part(address: str) -> None:
    assert mask(address).partition("@")[0] != address.partition("@")[0]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Бат", "Бат"), (None, ""), ("  ", ""), ("Б.Бат-Эрдэнэ", "Б.Бат-Эрдэнэ"), ("J.R. Smith", ""),
        ("evil.mn", ""), ("Click www", ""), ("http://x", ""), ("a@b", ""), ("evil\u200b.mn", ""), ("evil。mn", ""),
        ("evil．mn", ""), ("Б.мон", ""), ("банк.мон", ""), ("x/y", ""), ("O'Reilly <b>", "O'Reilly <b>"),
        ("a\u0301", "á"), ("Б" * 100, "Б" * 64), ("Б" * 63 + "x\u0301", "Б" * 63), ("Бат +976 9911-2233", ""), ("Bat 1995", "Bat 1995"),
        ("evil\ufe0f.mn", ""), ("x\u0301.mn", ""), ("a＠b", ""), ("x\u2060.\u2060mn", ""),
    ],
)  # fmt: skip
def test_the_name_in_the_greeting(name: str | None, shown: str) -> None:
    assert show_name(name) == shown


@pytest.mark.parametrize(
    ("provider", "shown"),
    [
        ("github", "github"), ("evil.mn", "evil mn"), ("a。b", "a b"), ("x" * 40, "x" * 32), ("call 99112233", ""),
        ("www evil mn", ""), ("e\u200bvil", "evil"), ("azure-ad", "azure-ad"),
    ],
)  # fmt: skip
def test_the_provider_is_plain_words(provider: str, shown: str) -> None:
    assert show_provider(provider) == shown


@pytest.mark.parametrize("language", ["mn", "en"])
@pytest.mark.parametrize(("provider", "name"), [*PROVIDERS.items(), ("GitHub", "GitHub"), ("GOOGLE", "Google")])
def test_the_advice_fits_the_provider(language: str, provider: str, name: str) -> None:
    letter = LETTERS.write(changed(provider=provider, locale=language), CREATED)
    secure = f"{name} бүртгэлээ мөн хамгаална уу:" if language == "mn" else f"secure your {name} account as well"
    assert secure in " ".join(letter.text.plain().split())
    assert secure in letter.html.plain()


@pytest.mark.parametrize("provider", ["keycloak", "credentials", "evil", "email"])
def test_no_advice_on_an_account_that_is_not_known(provider: str) -> None:
    text = LETTERS.write(changed(provider=provider, locale="en"), CREATED).text.plain()
    assert "account as well" not in text
    assert "\n\n\n" not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (None, ""), ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)  # fmt: skip
def test_the_ip_address(address: str | None, shown: str) -> None:
    assert show_ip(address) == shown


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36", "Chrome, Linux"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "Safari, iOS"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari, macOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox, Ubuntu"),
        ("Mozilla/5.0", ""), ("curl/8.5.0", ""), ("evil.mn/1.0 (http://evil.mn) bot", ""), (None, ""), ("", ""),
    ],
)  # fmt: skip
def test_the_browser_as_a_person_knows_it(agent: str | None, shown: str) -> None:
    assert name_browser(agent) == shown


@given(st.text(max_size=600))
def test_only_names_of_our_own_are_shown(agent: str) -> None:
    allowed = set(BROWSERS.values()) | set(SYSTEMS.values())
    assert all(part in allowed for part in name_browser(agent).split(", ") if part)


ATTACKS = [
    "<script>alert(1)</script>", "<b>x</b>", "<img src=x onerror=alert(1)>", '"><a href="http://evil.mn">x</a>',
    "{{7*7}}", "{% for x in y %}", "{{ self.__init__ }}", "${7*7}", "#{7*7}", "[CLICK](https://evil.mn)",
    "https://evil.mn", "www.evil.mn", "evil.mn", "Click_here@.https.www.evil.com", "javascript:alert(1)",
    "mailto:x@evil.mn", "//evil.mn", "evil\u2024mn", "&lt;b&gt;", "<!--", "]]>", "<style>*{display:none}</style>",
    "--=_boundary", ".", "..", "QUIT", "a" * 256, "\u200b\u200b", "😀" * 50, "' or 1=1 --", "../../etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("field", ["name", "provider", "user_agent", "user_id"])
def test_nothing_from_outside_comes_out_live(field: str, attack: str) -> None:
    sign_in = changed(**{field: attack})
    message = parsed(mail(sign_in))
    text, html = (part.get_content() for part in message.iter_parts())
    assert tuple(message.keys()) == HEADERS
    assert not re.search(r"<(?:a|script|img|b|iframe|form|object)\b", html, re.IGNORECASE)
    assert html.count("<style") == 1
    assert "49" not in text.replace("2025", "")
    assert not re.search(r"://|www\.|\bevil[.\u2024]|@\.|@evil", text.replace("b***@example.com", ""))
    assert html.count("<tr") == LETTERS.write(FULL, CREATED).html.plain().count("<tr")


@given(st.text(max_size=80), st.text(min_size=1, max_size=40), st.text(max_size=100))
def test_every_fact_of_the_html_is_in_the_text(name: str, provider: str, agent: str) -> None:
    sign_in = changed(name=name, provider=provider, user_agent=agent)
    if list(sign_in.faults()):
        return
    letter = LETTERS.write(sign_in, CREATED)
    heard = words_of(letter.html.plain())
    for line in letter.text.plain().splitlines():
        label, colon, value = line.partition(": ")
        wanted = " ".join((value if colon else label).strip("⚠️📋━ ").split())
        assert wanted in heard
    data = mail(sign_in)
    assert data == mail(sign_in)
    assert tuple(parsed(data).keys()) == HEADERS


def test_the_html_keeps_to_the_rules_of_mail() -> None:
    html = LETTERS.write(FULL, CREATED).html.plain()
    assert len(html.encode()) < 15_000
    assert not re.search(r"<(?:a|img|script|form|link|iframe|video|svg)\b|url\(|http", html)
    assert html.count("<h1") == 1
    assert html.count('<th scope="row"') == 5
    assert "prefers-color-scheme: dark" in html
    assert '<meta name="color-scheme" content="light dark">' in html
    tables = re.findall(r"<table[^>]*>", html)
    assert sum('role="presentation"' in table for table in tables) == len(tables) - 1  # one table holds data
    for emoji in "📋📧🌐📍💻⏰⚠":
        assert f'<span aria-hidden="true">{emoji}' in html


def test_the_time_is_that_of_the_sign_in_not_of_the_sending() -> None:
    late = LETTERS.write(FULL, CREATED + timedelta(hours=5))
    assert late.text == LETTERS.write(FULL, CREATED).text
    assert FULL.timestamp == datetime(2025, 12, 18, 23, tzinfo=UTC)
