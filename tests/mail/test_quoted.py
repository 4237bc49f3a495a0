"""Quoted-printable, whole and spliced: the text that comes out is the one that went in, in lines that servers take."""

import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yellowbooks.mail import Quoted, Skeleton
from yellowbooks.mail.quoted import quoted

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=300)
LINES = st.text(st.sampled_from("aӨ=.. %\t\n<&"), max_size=200)


def assert_fit(encoded: Quoted, text: str) -> None:
    assert encoded.plain() == text
    assert quopri.decodestring(encoded).decode().replace("\r\n", "\n") == text
    lines = encoded.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert encoded.isascii()
    assert b"\n" not in encoded.replace(b"\r\n", b"")
    assert b"\r" not in encoded.replace(b"\r\n", b"")
    assert not any(line.startswith(b".") for line in lines)  # SMTP would double it
    assert not any(line.endswith((b" ", b"\t")) for line in lines)  # what ends in white space loses it on its way


@given(TEXTS | LINES)
def test_a_text_comes_back(text: str) -> None:
    assert_fit(quoted(text), text)


@pytest.mark.parametrize("length", range(70, 80))
@pytest.mark.parametrize("last", ["a", "Ө", "="])
def test_a_value_that_fills_its_line_leaves_room_for_the_break(length: int, last: str) -> None:
    value = "a" * (length - len(last.encode())) + last
    assert_fit(Skeleton(["", "0"], ["v"], is_html=False).fill({"v": value}), f"{value}0")
    assert_fit(Skeleton([value, "0"], ["v"], is_html=False).fill({"v": "b"}), f"{value}b0")


@settings(max_examples=60)
@given(st.lists(TEXTS | LINES | st.just(""), min_size=2, max_size=5), st.data())
def test_a_spliced_text_comes_back(pieces: list[str], data: st.DataObject) -> None:
    names = [f"v{n}" for n in range(len(pieces) - 1)]
    values = {name: data.draw(TEXTS.map(lambda text: text.replace("\n", " "))) for name in names}
    whole = pieces[0] + "".join(values[name] + piece for name, piece in zip(names, pieces[1:], strict=True))
    assert_fit(Skeleton(pieces, names, is_html=False).fill(values), whole)


def test_values_in_html_are_escaped_and_the_same_value_may_stand_twice() -> None:
    skeleton = Skeleton(["<p>", "</p><p>", "100%</p>"], ["v", "v"], is_html=True)
    assert (
        skeleton.fill({"v": "<b>&\"'"}).plain()
        == "<p>&lt;b&gt;&amp;&quot;&#x27;</p><p>&lt;b&gt;&amp;&quot;&#x27;100%</p>"
    )


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        Skeleton(["a", "b"], ["v"], is_html=False).fill({})
