"""The DNS of a domain that is right, and of those that are wrong in one way each."""

from pathlib import Path

import pytest

from tests.doctor.fake_dns import FakeResolver, Zone, dns_server
from yellowbooks.doctor import DnsAway, Line, MailDomain, SystemResolver, examine_domain
from yellowbooks.mail import Key, make_key

D = "mail.yellowbooks.mn"
SENDER = f"no-reply@{D}"
RELAY = "smtp.relay.mn"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key("mail2026", tmp_path_factory.mktemp("key") / "key.pem", "rsa")


def right(key: Key) -> Zone:
    return {
        ("MX", D): ["10 mx.yellowbooks.mn"], ("A", "mx.yellowbooks.mn"): ["203.0.113.5"], ("A", RELAY): ["203.0.113.9"],
        ("TXT", D): ["v=spf1 include:_spf.relay.mn -all"], ("TXT", "_spf.relay.mn"): ["v=spf1 ip4:203.0.113.0/28 -all"],
        ("TXT", f"mail2026._domainkey.{D}"): [key.record()],
        ("TXT", f"_dmarc.{D}"): ["v=DMARC1; p=reject; rua=mailto:dmarc@yellowbooks.mn"],
        ("PTR", "203.0.113.9"): ["out.relay.mn"], ("A", "out.relay.mn"): ["203.0.113.9"],
    }  # fmt: skip


def examined(zone: Zone, key: Key, *, silent: tuple[str, ...] = (), **parts: object) -> list[Line]:
    domain = MailDomain(**({"sender": SENDER, "keys": [key], "relays": [RELAY]} | parts))  # type: ignore[arg-type]
    return list(examine_domain(domain, FakeResolver(zone, silent)))


def test_a_domain_that_is_right_is_well_in_every_line(key: Key) -> None:
    lines = examined(right(key), key)
    assert [(line.check, line.level) for line in lines] == [
        ("MX", "ok"), ("SPF", "ok"), ("DKIM", "ok"), ("DMARC", "ok"), ("PTR", "ok"),
    ]  # fmt: skip
    assert "2 of 10" not in lines[1].found
    assert "1 of 10 look-ups" in lines[1].found


OTHER = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"


@pytest.mark.parametrize(
    ("check", "changes", "level", "found"),
    [
        ("MX", {("MX", D): ["0 ."]}, "FAIL", "null MX"), ("MX", {("MX", D): []}, "FAIL", "does not exist"),
        ("MX", {("MX", D): [], ("A", D): ["203.0.113.5"]}, "warn", "no MX"), ("MX", {("A", "mx.yellowbooks.mn"): []}, "FAIL", "no address"),
        ("SPF", {("TXT", D): []}, "FAIL", "no SPF record"), ("SPF", {("TXT", D): ["v=spf1 -all"]}, "warn", "may not send"),
        ("SPF", {("TXT", D): ["v=spf1 include:gone.mn -all"]}, "FAIL", "void: "), ("SPF", {("A", RELAY): []}, "warn", "not known what sends"),
        ("DKIM", {("TXT", f"mail2026._domainkey.{D}"): []}, "FAIL", "is not published"),
        ("DKIM", {("TXT", f"mail2026._domainkey.{D}"): [OTHER]}, "FAIL", "another key"),
        ("DKIM", {("TXT", f"mail2026._domainkey.{D}"): ["v=DKIM1; p="]}, "FAIL", "is revoked"),
        ("DKIM", {("TXT", f"mail2026._domainkey.{D}"): [OTHER, OTHER]}, "FAIL", "2 records"),
        ("DMARC", {("TXT", f"_dmarc.{D}"): []}, "FAIL", "is not published"), ("DMARC", {("TXT", f"_dmarc.{D}"): ["v=DMARC1; p=maybe"]}, "FAIL", "no right p="),
        ("DMARC", {("TXT", f"_dmarc.{D}"): ["v=DMARC1; p=none; rua=mailto:a@b.mn"]}, "warn", "only watches"),
        ("DMARC", {("TXT", f"_dmarc.{D}"): ["v=DMARC1; p=reject"]}, "warn", "nobody reports"),
        ("DMARC", {("TXT", f"_dmarc.{D}"): ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}, "FAIL", "2 records"),
        ("DMARC", {("TXT", f"_dmarc.{D}"): [], ("TXT", "_dmarc.yellowbooks.mn"): ["v=DMARC1; p=reject; sp=none; rua=mailto:a@b.mn"]}, "warn", "only watches"),
        ("DMARC", {("TXT", f"_dmarc.{D}"): [], ("TXT", "_dmarc.yellowbooks.mn"): ["v=DMARC1; p=reject; rua=mailto:a@b.mn"]}, "ok", "_dmarc.yellowbooks.mn says reject"),
        ("PTR", {("PTR", "203.0.113.9"): []}, "warn", "has no name"), ("PTR", {("A", "out.relay.mn"): ["203.0.113.8"]}, "warn", "which is not"),
    ],
)  # fmt: skip
def test_d1_to_d9_what_is_wrong_is_named_with_what_to_do(
    key: Key, check: str, changes: Zone, level: str, found: str
) -> None:
    lines = [line for line in examined(right(key) | changes, key) if line.check == check]
    assert [line.level for line in lines] == [level]
    assert found in lines[0].found
    assert level == "ok" or lines[0].next


def test_d5_what_we_send_from_ourselves_must_be_right(key: Key) -> None:
    lines = examined(right(key), key, sends_from=["198.51.100.7"])
    assert {(line.check, line.level) for line in lines} >= {("SPF", "FAIL"), ("PTR", "FAIL")}


def test_d2_a_key_in_test_mode_or_for_another_hash(key: Key) -> None:
    name = ("TXT", f"mail2026._domainkey.{D}")
    for tags, level in (("t=y; ", "warn"), ("h=sha1; ", "FAIL"), ("s=tlsrpt; ", "FAIL"), ("t=s; ", "ok")):
        record = key.record().replace("k=rsa; ", f"k=rsa; {tags}")
        assert [line.level for line in examined(right(key) | {name: [record]}, key) if line.check == "DKIM"] == [level]


def test_d2_what_to_publish_is_printed(key: Key) -> None:
    lines = examined(right(key) | {("TXT", f"mail2026._domainkey.{D}"): []}, key)
    assert any(key.record() in line.next for line in lines)


def test_a_dns_that_is_silent_is_no_failure(key: Key) -> None:
    lines = examined(right(key), key, silent=(D, f"_dmarc.{D}", f"mail2026._domainkey.{D}", RELAY, "203.0.113.9"))
    assert {line.level for line in lines} == {"warn"}
    assert all("no answer" in line.found for line in lines)


def test_without_keys_and_without_a_public_domain(key: Key) -> None:
    assert [line.level for line in examined(right(key), key, keys=[]) if line.check == "DKIM"] == ["warn"]
    [line] = examined({}, key, sender="no-reply@localhost")
    assert (line.level, "YB_MAIL_FROM" in line.next) == ("warn", True)


def test_the_resolver_over_a_real_conversation(tmp_path: Path) -> None:
    zone: Zone = {
        ("TXT", "a.mn"): ['"v=spf1 " "-all"'], ("MX", "a.mn"): ["20 b.a.mn.", "10 C.a.mn."], ("MX", "null.mn"): ["0 ."],
        ("A", "a.mn"): ["192.0.2.1"], ("AAAA", "a.mn"): ["2001:db8::1"], ("PTR", "1.2.0.192.in-addr.arpa"): ["A.mn."],
        ("TXT", "broken.mn"): ["SERVFAIL"],
    }  # fmt: skip
    with dns_server(zone) as port:
        resolver = SystemResolver(["127.0.0.1"], port)
        assert resolver.txt("a.mn") == ["v=spf1 -all"]
        assert resolver.mx("a.mn") == [(10, "c.a.mn"), (20, "b.a.mn")]
        assert resolver.mx("null.mn") == [(0, "")]
        assert resolver.addresses("a.mn") == ["192.0.2.1", "2001:db8::1"]
        assert resolver.names("192.0.2.1") == ["a.mn"]
        assert resolver.txt("none.mn") == []
        assert resolver.mx("x" * 64 + ".mn") == []
        with pytest.raises(DnsAway, match="broken"):
            resolver.txt("broken.mn")
