"""SPF as RFC 7208 says it: mechanisms, limits and errors."""

import pytest

from tests.doctor.fake_dns import FakeResolver, Zone
from yellowbooks.doctor.spf import check_host

D = "example.mn"


def zone(record: str, **more: list[str]) -> Zone:
    return {("TXT", D): ["some=thing", record], **{tuple(k.split(" ", 1)): v for k, v in more.items()}}  # type: ignore[misc]


HOSTS: dict[str, list[str]] = {
    "A example.mn": ["192.0.2.1"], "AAAA example.mn": ["2001:db8::1"], "MX example.mn": ["10 mx1.example.mn", "20 mx2.example.mn"],
    "A mx1.example.mn": ["192.0.2.10"], "A mx2.example.mn": ["192.0.2.20"], "AAAA mx2.example.mn": ["2001:db8::20"],
    "TXT relay.example": ["v=spf1 ip4:198.51.100.0/24 -all"], "TXT soft.example": ["v=spf1 ~all"],
    "PTR 192.0.2.30": ["mail.example.mn", "other.example"], "A mail.example.mn": ["192.0.2.30"], "A other.example": ["203.0.113.9"],
    "A 5.2.0.192.in-addr._spf.example.mn": ["127.0.0.2"], "A no-reply._l.example.mn": ["127.0.0.2"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "address", "verdict"),
    [
        ("v=spf1 -all", "192.0.2.1", "fail"), ("v=spf1 ~all", "192.0.2.1", "softfail"), ("v=spf1 ?all", "192.0.2.1", "neutral"),
        ("v=spf1", "192.0.2.1", "neutral"), ("V=SPF1 +ALL", "192.0.2.1", "pass"), ("v=spf10 -all", "192.0.2.1", "none"),
        ("v=spf1 a -all", "192.0.2.1", "pass"), ("v=spf1 a -all", "192.0.2.2", "fail"), ("v=spf1 a/24 -all", "192.0.2.77", "pass"),
        ("v=spf1 a -all", "2001:db8::1", "pass"), ("v=spf1 a//64 -all", "2001:db8::77", "pass"), ("v=spf1 a/24 -all", "2001:db8::77", "fail"),
        ("v=spf1 a:mx1.example.mn -all", "192.0.2.10", "pass"), ("v=spf1 mx -all", "192.0.2.20", "pass"), ("v=spf1 mx -all", "192.0.2.1", "fail"),
        ("v=spf1 mx/28 -all", "192.0.2.31", "pass"), ("v=spf1 mx//64 -all", "2001:db8::99", "pass"),
        ("v=spf1 ip4:192.0.2.128/25 -all", "192.0.2.200", "pass"), ("v=spf1 ip4:192.0.2.200 -all", "192.0.2.200", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::5", "pass"), ("v=spf1 ip4:192.0.2.0/24 -all", "2001:db8::5", "fail"),
        ("v=spf1 include:relay.example -all", "198.51.100.9", "pass"), ("v=spf1 include:relay.example -all", "192.0.2.1", "fail"),
        ("v=spf1 include:soft.example ?all", "192.0.2.1", "neutral"), ("v=spf1 -include:relay.example +all", "198.51.100.9", "fail"),
        ("v=spf1 redirect=relay.example", "198.51.100.9", "pass"), ("v=spf1 redirect=relay.example", "192.0.2.1", "fail"),
        ("v=spf1 ?all redirect=relay.example", "198.51.100.9", "neutral"), ("v=spf1 exp=why.example.mn -all", "192.0.2.1", "fail"),
        ("v=spf1 ptr -all", "192.0.2.30", "pass"), ("v=spf1 ptr:other.example -all", "192.0.2.30", "fail"),
        ("v=spf1 exists:%{ir}.%{v}._spf.%{d} -all", "192.0.2.5", "pass"), ("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all", "192.0.2.6", "fail"),
        ("v=spf1 exists:%{l}._l.%{o} -all", "192.0.2.6", "pass"), ("v=spf1 exists:%{l1-}._l.%{o} -all", "192.0.2.6", "fail"),
        ("v=spf1 include:none.example -all", "192.0.2.1", "permerror"), ("v=spf1 redirect=none.example", "192.0.2.1", "permerror"),
        ("v=spf1 ipv4:192.0.2.1 -all", "192.0.2.1", "permerror"), ("v=spf1 ip4:192.0.2.300 -all", "192.0.2.1", "permerror"),
        ("v=spf1 ip4 -all", "192.0.2.1", "permerror"), ("v=spf1 exists:%{x}.a -all", "192.0.2.1", "permerror"),
        ("v=spf1 exists:%{r}.a -all", "192.0.2.1", "permerror"), ("v=spf1 include:silent.example -all", "192.0.2.1", "temperror"),
        ("v=spf1 include:example.mn -all", "192.0.2.9", "permerror"),
    ],
)  # fmt: skip
def test_d1_verdicts(record: str, address: str, verdict: str) -> None:
    resolver = FakeResolver(zone(record, **HOSTS), silent=("silent.example",))
    assert check_host(resolver, address, D, f"no-reply@{D}").verdict == verdict


def test_d1_two_records_are_none() -> None:
    resolver = FakeResolver({("TXT", D): ["v=spf1 +all", "v=spf1 -all"]})
    result = check_host(resolver, "192.0.2.1", D, f"no-reply@{D}")
    assert (result.verdict, "2 SPF records" in result.why) == ("permerror", True)


@pytest.mark.parametrize(("count", "verdict"), [(10, "pass"), (11, "permerror")])
def test_d1_ten_lookups_and_no_more(count: int, verdict: str) -> None:
    includes = " ".join(f"include:n{number}.example" for number in range(count))
    more = {f"TXT n{number}.example": ["v=spf1 ?all"] for number in range(count)}
    more[f"TXT n{count - 1}.example"] = ["v=spf1 +all"]
    result = check_host(FakeResolver(zone(f"v=spf1 {includes} -all", **more)), "192.0.2.1", D, f"no-reply@{D}")
    assert result.verdict == verdict
    assert result.lookups == count


@pytest.mark.parametrize(("count", "verdict"), [(2, "fail"), (3, "permerror")])
def test_d1_two_lookups_that_find_nothing_and_no_more(count: int, verdict: str) -> None:
    nothing = " ".join(f"a:n{number}.example" for number in range(count))
    result = check_host(FakeResolver(zone(f"v=spf1 {nothing} -all")), "192.0.2.1", D, f"no-reply@{D}")
    assert result.verdict == verdict


def test_d1_over_ten_exchangers_are_an_error() -> None:
    exchangers = [f"10 mx{number}.example.mn" for number in range(11)]
    result = check_host(FakeResolver(zone("v=spf1 mx -all", **{"MX example.mn": exchangers})), "192.0.2.1", D, f"a@{D}")
    assert result.verdict == "permerror"
