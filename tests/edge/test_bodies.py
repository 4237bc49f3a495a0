"""Bodies that are no JSON, or JSON that is meant badly: 400 that names the field, and never 500."""

from typing import Any

import msgspec
import pytest

from tests.edge.wire import post, talk
from yellowbooks.jobs import Invalid, Kind, Payload
from yellowbooks.jobs.reading import repeated

START = b'{"userId":"u","email":"a@example.com","provider":"github"'
BODIES = {
    "60,000 brackets": (b"[" * 60_000, "body"),
    "12,000 objects": (b'{"a":' * 12_000, "a"),
    "30,000 brackets in a field": (START + b',"name":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "name"),
    "30,000 brackets in an unknown field": (START + b',"zzz":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "zzz"),
    "1e999999": (START + b',"name":1e999999}', "name"),
    "5,000 digits": (START + b',"name":' + b"9" * 5000 + b"}", "name"),
    "a date of 5,000 digits": (START + b',"timestamp":' + b"1" * 5000 + b"}", "timestamp"),
    "a date of 1e400": (START + b',"timestamp":1e400}', "timestamp"),
    "a name twice": (START + b',"email":"b@example.com"}', "email"),
    "a name twice, escaped": (START + b',"e\\u006dail":"b@example.com"}', "email"),
    "a byte 255": (START + b',"name":"\xff\xfe"}', "body"),
    "a byte 255 in a name": (START + b',"na\xffme":"x"}', "body"),
    "half a character": (START + b',"name":"\xd0"}', "body"),
    "a surrogate in UTF-8": (START + b',"name":"\xed\xa0\x80"}', "body"),
    "a lone high surrogate": (START + b',"name":"\\ud800 "}', "body"),
    "a lone low surrogate": (START + b',"name":"\\udc00"}', "body"),
    "a lone surrogate in a name": (START + b',"\\ud800":1}', "body"),
    "NUL": (START + b',"name":"a\\u0000"}', "name"),
    "NUL in the id": (START + b',"jobId":"a\\u0000"}', "jobId"),
    "a control character": (START + b',"name":"a\x01"}', "body"),
    "a byte order mark": (b"\xef\xbb\xbf" + START + b"}", "body"),
    "UTF-16": ('{"userId":"u"}'.encode("utf-16"), "body"),
    "NaN": (START + b',"name":NaN}', "body"),
    "Infinity": (START + b',"name":Infinity}', "body"),
    "two objects": (START + b"}" + START + b"}", "body"),
    "no end": (START, "body"),
    "nothing": (b"", "body"),
    "null": (b"null", "body"),
    "a list": (b"[]", "body"),
    "a number": (b"1", "body"),
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_refused_by_the_field(port: int, name: str) -> None:
    body, field = BODIES[name]
    said = talk(port, post(body), answers=1)
    assert said.statuses == [400]
    problem = said.answers[0].problem()
    assert [fault["field"] for fault in problem["errors"]][:1] == [field]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "compress", "identity, gzip", "GZIP", "x"])
def test_a_compressed_body_is_not_read(port: int, coding: str) -> None:
    said = talk(port, post(START + b"}", f"Content-Encoding: {coding}"), answers=1)
    assert said.statuses == [415]
    assert said.answers[0].fields["accept-encoding"] == "identity"
    assert "Content-Encoding" in said.answers[0].problem()["detail"]


def test_a_body_as_it_is_may_say_so(port: int) -> None:
    body = msgspec.json.encode({"userId": "u-identity", "email": "a@example.com", "provider": "github"})
    assert talk(port, post(body, "Content-Encoding: identity"), answers=1).statuses == [202]


class Loose(Payload):
    more: dict[str, Any]


def test_a_kind_that_takes_anything_is_not_taken_in_by_depth_or_by_names_that_stand_twice() -> None:
    kind = Kind("loose", Loose)
    for body, field in (
        (b'{"more":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "body"),
        (b'{"more":{"a":1,"a":2}}', "a"),
        (b'{"more":{"a":[{"b":1,"\\u0062":2}]}}', "b"),
        (b'{"more":{},"more":{"a":1}}', "more"),
    ):
        with pytest.raises(Invalid) as refused:
            kind.parse(body)
        assert [fault.field for fault in refused.value.faults] == [field]
    assert kind.parse(b'{"more":{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":"\\"a\\":"}}').more["a"] == {"a": 1}


def test_many_names_are_looked_through_once() -> None:
    assert repeated(b"{" + b",".join(b'"k%d\\u0061":1' % number for number in range(4000)) + b"}") == ""
    assert repeated(b'{"a":":","b":"a"}') == ""
    assert repeated(b'{"a" : 1, "a"\n:2}') == "a"
