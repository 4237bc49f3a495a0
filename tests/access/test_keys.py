"""The text of a key, and its hash."""

import re

import msgspec
import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from yellowbooks.access import ROLES, Secrets, issue_key, make_key, read_key

ONE, OTHER = Secrets([b"1" * 32]), Secrets([b"2" * 32])


def test_a_key_says_what_it_is_and_is_long_enough() -> None:
    for role in ROLES:
        made = make_key(role)
        assert re.fullmatch(rf"yb_{role}_[a-z0-9]{{8}}_[0-9A-Za-z]{{49}}", made.text)
        assert read_key(made.text) == made
    assert 62**43 > 2**256
    assert len({make_key("api").text for _ in range(200)}) == 200


def test_a_part_of_a_key_or_a_changed_one_is_none() -> None:
    text = make_key("api").text
    for wrong in (text[:-1], text[1:], text + "0", text.replace("_api_", "_admin_"), text.swapcase(), "", "yb_api_"):
        assert read_key(wrong) is None, wrong
    changed = text[:30] + ("a" if text[30] != "a" else "b") + text[31:]
    assert read_key(changed) is None


@over(st.text(max_size=100) | st.text("yb_api0Z", min_size=60, max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    found = read_key(text)
    assert found is None or found.text == text


def test_the_hash_gives_nothing_away_and_holds_the_rights() -> None:
    made, record = issue_key(ONE, "api", "shop", ("ping",), 1, 100)
    assert made.text[18:] not in str(record)
    assert ONE.fits(record, made.text)
    assert not ONE.fits(record, make_key("api").text)
    for change in ({"role": "admin"}, {"kinds": ()}, {"expires": 0}, {"name": "other"}, {"id": "x" * 8}):
        assert not ONE.fits(msgspec.structs.replace(record, **change), made.text), change


def test_a_secret_that_is_not_here_fits_nothing_and_each_of_several_does() -> None:
    made, record = issue_key(ONE, "api", "", (), 1, 0)
    assert record.name == made.id
    assert not OTHER.fits(record, made.text)
    both = Secrets([b"2" * 32, b"1" * 32])
    assert both.fits(record, made.text)
    assert both.sign(record, made.text).under == OTHER.first


@pytest.mark.parametrize(("expires", "now", "over_now"), [(0, 1e12, False), (100, 99.9, False), (100, 100, True)])
def test_a_key_ends_at_its_moment(expires: int, now: float, over_now: bool) -> None:
    _, record = issue_key(ONE, "api", "", (), 1, expires)
    assert record.expired(now) == over_now
