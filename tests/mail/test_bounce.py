"""Delivery reports: what is read in them, whose mail they speak of, and what no stranger can do by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mail.reports import SECRET, report, sent
from yellowbooks.mail.bounce import MOST_BYTES, NoReport, Report, read_report
from yellowbooks.mail.identity import identify, proves

MAIL = sent()


def ours(data: bytes) -> list[tuple[str, str, str]]:
    return [(address, f.status, f.weight) for address, f in read_report(data).ours(SECRET)]


@pytest.mark.parametrize("headers_only", [False, True])
def test_h7_a_bounce_leads_to_the_mail_and_its_recipient(headers_only: bool) -> None:
    assert ours(report(MAIL, headers_only=headers_only)) == [("bat@example.com", "5.1.1", "hard")]


def test_h7_of_a_forwarded_mail_it_leads_to_the_address_that_we_know() -> None:
    assert ours(report(MAIL, recipient="bat@other.example")) == [("bat@example.com", "5.1.1", "hard")]
    assert ours(report(MAIL, recipient="x@other.example", original="BAT@example.com"))[0][0] == "bat@example.com"


@pytest.mark.parametrize(
    ("status", "words", "weight"),
    [
        ("5.1.1", "", "hard"), ("5.1.10", "", "hard"), ("5.2.1", "", "hard"), ("5.2.2", "", "soft"), ("4.4.7", "", "soft"),
        ("5.3.4", "", "soft"), ("5.0.0", "550 no such user", "soft"), ("5.0.0", "550 5.1.1 no such user", "hard"),
        ("5.7.1", "", "none"), ("5.7.26", "", "none"), ("5.1.8", "", "none"), ("5.6.7", "", "none"), ("5.5.2", "", "none"),
        ("5.1.2", "", "soft"), ("5.0.0", "554 5.7.1 spam", "none"),
    ],
)  # fmt: skip
def test_what_a_status_says_of_the_address(status: str, words: str, weight: str) -> None:
    assert [found[2] for found in ours(report(MAIL, status=status, words=words))] == [weight]


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_delay_or_a_success_is_no_failure(action: str) -> None:
    assert read_report(report(MAIL, action=action)).failures == ()


def test_what_the_server_said_is_kept_without_the_address() -> None:
    [failure] = read_report(report(MAIL)).failures
    assert failure.why == "5.1.1 550 5.1.1 <(address)>: Recipient address rejected: User unknown"
    local = failure.addresses[0].partition("@")[0]
    [failure] = read_report(
        report(MAIL, words=f"550 5.1.1 {local.upper()}: no mailbox {local}, batch {local}es")
    ).failures
    assert failure.why == f"5.1.1 550 5.1.1 (hidden): no mailbox (hidden), batch {local}es"


def test_a_forged_report_counts_for_nothing() -> None:
    stranger = sent("victim@example.com", secret=b"another-secret")
    mine = sent("attacker@example.com")
    assert ours(report(stranger)) == []
    assert ours(report(sent("victim@example.com", secret=b""))) == []
    # The id of a mail that the attacker got himself proves nothing of another's address.
    assert ours(report(mine, recipient="victim@example.com")) == [("attacker@example.com", "5.1.1", "hard")]
    borrowed = report(mine, recipient="victim@example.com").replace(b"To: attacker@", b"To: victim@")
    assert ours(borrowed) == []


def test_without_a_secret_nothing_is_proved() -> None:
    mail = sent(secret=b"")
    assert not list(read_report(report(mail)).ours(b""))
    assert not proves(mail.message_id, mail.recipient, b"")


@given(st.text(min_size=1, max_size=40), st.integers(0, 39))
def test_an_id_that_is_changed_anywhere_proves_nothing(key: str, place: int) -> None:
    name = identify(key, "bat@example.com", SECRET)
    assert len(name) == 40
    assert proves(f"<{name}@example.mn>", "BAT@Example.com", SECRET)
    other = name[:place] + ("0" if name[place] != "0" else "1") + name[place + 1 :]
    assert not proves(f"<{other}@example.mn>", "bat@example.com", SECRET)
    assert not proves(f"<{name}@example.mn>", "cat@example.com", SECRET)


NESTED = b"".join(
    b'Content-Type: multipart/report; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000)
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 100, b"Subject: hello\r\n\r\nI am back on Monday.\r\n", MAIL.data, b"x" * (MOST_BYTES + 1), NESTED,
        report(MAIL).replace(b"multipart/report", b"multipart/mixed"), report(MAIL).replace(b"B/mx", b"B/my", 1),
        report(MAIL).replace(b"message/delivery-status", b"text/plain"), report(MAIL).replace(b"message/rfc822", b"image/png"),
        b"Content-Type: multipart/report\r\n\r\nno parts", b"Content-Type: multipart/report; boundary=\r\n\r\n--\r\n\r\n",
    ],
    ids=lambda data: data[:24].decode("ascii", "replace"),
)  # fmt: skip
def test_what_is_no_report_is_named_and_nothing_is_done(data: bytes) -> None:
    with pytest.raises(NoReport):
        read_report(data)


@given(st.data())
def test_a_report_that_is_cut_or_spoilt_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    whole = report(MAIL)
    place = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=20))
    try:
        found = read_report(whole[:place] + junk + whole[place + len(junk) :])
    except NoReport:
        return
    assert isinstance(found, Report)
    assert {address for address, _ in found.ours(SECRET)} <= {"bat@example.com"}


def test_h7_d4_the_envelope_is_ours_and_aligned() -> None:
    for recipient in ("bat@example.com", "cat@other.example"):
        mail = sent(recipient)
        assert mail.sender == "no-reply@example.mn"
        assert b"\r\nFrom: Yellow Books <no-reply@example.mn>\r\n" in b"\r\n" + mail.data
        assert mail.message_id.endswith("@example.mn>")
