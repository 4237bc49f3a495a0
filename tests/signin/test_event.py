"""The payload: what is refused, and which field is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yellowbooks.jobs import Backoff, Invalid, Rate
from yellowbooks.signin import SignIn, kind
from yellowbooks.signin.event import is_zone, wire_address

KIND = kind(rate=Rate(10, 3600), backoff=Backoff())
GOOD = {"userId": "u1", "email": "bat@example.com", "provider": "github"}


def parse(**fields: object) -> SignIn:
    return KIND.parse(json.dumps(GOOD | fields, ensure_ascii=True).encode())


def faulty(**fields: object) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse(**fields)
    assert all(fault.why for fault in caught.value.faults)
    return [fault.field for fault in caught.value.faults]


def test_the_whole_contract_is_taken() -> None:
    sign_in = parse(
        name="Бат", ipAddress="2001:db8::1", userAgent="curl/8", jobId="a-1", timestamp="2025-12-18T23:00:00Z",
        locale="mn-MN", timeZone="Asia/Hovd",
    )  # fmt: skip
    assert sign_in.key() == "u1"
    assert sign_in.job_id == "a-1"


@pytest.mark.parametrize("field", ["name", "ipAddress", "userAgent", "jobId", "timestamp", "locale", "timeZone"])
def test_optional_fields_may_be_null(field: str) -> None:
    parse(**{field: None})


BAD_TEXT = [
    "a\r\nBcc: x@y.mn",
    "a\nb",
    "a\x00b",
    "a\tb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "a\u200fb",
    "=?utf-8?q?B=0ABcc:=20x@y.mn?=",
]


@pytest.mark.parametrize("bad", BAD_TEXT)
@pytest.mark.parametrize(
    "field", ["userId", "email", "name", "provider", "ipAddress", "userAgent", "jobId", "locale", "timeZone"]
)
def test_no_field_takes_a_control_a_bidi_control_or_an_encoded_word(field: str, bad: str) -> None:
    assert set(faulty(**{field: bad})) == {field}


@pytest.mark.parametrize(
    "address",
    ["", "bat", "bat@", "@example.com", "a@b", "a b@example.com", "a@b@example.com", '"e@attacker.com"@victim.com',
     "a@[192.0.2.1]", "bat@example..com", ".bat@example.com", "бат@example.com", "a" * 65 + "@example.com",
     "bat@" + "a" * 250 + ".com", "Bat <bat@example.com>", "a@example.com,b@example.com", "bat@-example.com"],
)  # fmt: skip
def test_bad_addresses(address: str) -> None:
    assert faulty(email=address) == ["email"]


@pytest.mark.parametrize(
    "address", ["bat@example.com", "bat+x@example.test", "b.o'neil@sub.host.local", "bat@жишээ.мон"]
)
def test_good_addresses(address: str) -> None:
    assert wire_address(parse(email=address).email).isascii()


@pytest.mark.parametrize(
    "address", ["", "x", "1.2.3", "256.1.1.1", "1.2.3.4, 5.6.7.8", "fe80::1%eth0", "1.2.3.4:80", "01.2.3.4"]
)
def test_bad_ip_addresses(address: str) -> None:
    assert faulty(ipAddress=address) == ["ipAddress"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("userId", ""), ("userId", "  "), ("userId", 7), ("userId", None), ("userId", "x" * 257), ("email", 7),
        ("provider", ""), ("provider", "<b>"), ("provider", "x" * 65), ("provider", None), ("name", 7),
        ("name", "x" * 257), ("userAgent", ["x"]), ("userAgent", "x" * 4097), ("timestamp", "yesterday"),
        ("timestamp", "2025-12-18T23:00:00"), ("timestamp", "0001-01-01T00:00:00Z"), ("timestamp", "9999-12-31T23:59:59Z"),
        ("timestamp", 1766098800), ("locale", "mongolian!"), ("timeZone", "Mars/Base"), ("timeZone", "America"),
        ("timeZone", "../../etc/passwd"), ("timeZone", "/etc/localtime"), ("jobId", "a b"), ("jobId", ""), ("extra", 1),
    ],
)  # fmt: skip
def test_the_faulty_field_is_named(field: str, value: object) -> None:
    assert faulty(**{field: value}) == [field]


@pytest.mark.parametrize("field", ["userId", "email", "provider"])
def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(Invalid) as caught:
        KIND.parse(json.dumps(body).encode())
    assert [fault.field for fault in caught.value.faults] == [field]


@given(
    st.dictionaries(
        st.sampled_from(["userId", "email", "provider", "name", "ipAddress", "timeZone", "locale", "timestamp"]),
        st.text(max_size=40),
    )
)
def test_any_text_is_taken_or_refused(fields: dict[str, str]) -> None:
    try:
        sign_in = KIND.parse(json.dumps(GOOD | fields).encode())
    except Invalid:
        return
    assert KIND.decode(KIND.encode(sign_in)) == sign_in


def test_zones() -> None:
    assert is_zone("Asia/Ulaanbaatar")
    assert not is_zone("")
