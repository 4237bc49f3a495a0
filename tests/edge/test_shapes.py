"""Requests that are none, or that two servers could read in two ways: each is refused, and the connection ends."""

import pytest

from tests.edge.wire import PATH, connect, hear, post, sign_in, talk

START = b"POST /api/jobs/signin-notification HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\n"

SHAPES = {
    "length and coding": (START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding and length": (START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
    "the same length twice": (START + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400),
    "a list of lengths": (START + b"Content-Length: 5, 5\r\n\r\nabcde", 400),
    "length +5": (START + b"Content-Length: +5\r\n\r\nabcde", 400),
    "length -5": (START + b"Content-Length: -5\r\n\r\nabcde", 400),
    "length 0x5": (START + b"Content-Length: 0x5\r\n\r\nabcde", 400),
    "an empty length": (START + b"Content-Length:\r\n\r\nabcde", 400),
    "a length of 23 digits": (START + b"Content-Length: 99999999999999999999999\r\n\r\nabcde", 400),
    "a length of 2^64-1": (START + b"Content-Length: 18446744073709551615\r\n\r\nabcde", 413),
    "a coding before chunked": (START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "a coding after chunked": (START + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding identity": (START + b"Transfer-Encoding: identity\r\n\r\nabc", 501),
    "coding xchunked": (START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "a tab in the coding": (START + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "a space before the colon": (START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n", 501),
    "chunk size -1": (CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size 0x3": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "a space in the chunk size": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "a chunk size of 18 digits": (CHUNKED + b"fffffffffffffffff3\r\nabc\r\n0\r\n\r\n", 400),
    "LF after the chunk size": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    "LF in a chunk's extension": (CHUNKED + b"3;a\nbc\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk longer than said": (CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n", 400),
    "a length in the trailers": (CHUNKED + b"0\r\nContent-Length: 5\r\n\r\nabcde", 400),
    "a folded line": (GET + b"Host: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    "a folded first line": (GET + b" Host: localhost\r\n\r\n", 400),
    "a bare CR in a field": (GET + b"Host: localhost\r\nX: a\rY: b\r\n\r\n", 400),
    "a bare LF after a field": (GET + b"Host: localhost\nX: a\r\n\r\n", 400),
    "bare LFs alone": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400),
    "NUL in a field": (GET + b"Host: localhost\r\nX: a\0b\r\n\r\n", 400),
    "NUL in a name": (GET + b"Host: localhost\r\nX\0: ab\r\n\r\n", 400),
    "a control character": (GET + b"Host: localhost\r\nX: a\x01b\r\n\r\n", 400),
    "a name with a space": (GET + b"Host: localhost\r\nX Y: ab\r\n\r\n", 400),
    "a field without a name": (GET + b"Host: localhost\r\n: ab\r\n\r\n", 400),
    "a line without a colon": (GET + b"Host: localhost\r\nab\r\n\r\n", 400),
    "no Host": (GET + b"\r\n", 400),
    "two Hosts": (GET + b"Host: localhost\r\nHost: localhost\r\n\r\n", 400),
    "a Host with a path": (GET + b"Host: localhost/x@y\r\n\r\n", 400),
    "two Authorizations": (GET + b"Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
    "another host in the target": (b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target without a path": (b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target of another scheme": (b"GET ftp://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a target that is an authority": (b"GET api:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "CONNECT": (b"CONNECT api:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "GET *": (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a fragment": (b"GET /healthz#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "NUL in the target": (b"GET /healthz%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a byte over 127 in the target": (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a space in the target": (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a tab in the first line": (b"GET\t/healthz\tHTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/1.2": (b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a method in small letters": (b"get /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a method that nobody knows": (b"FOO /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a method of WebDAV": (b"PROPFIND /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n", 400),
    "SMTP": (b"EHLO example.com\r\nMAIL FROM:<a@example.com>\r\n\r\n", 400),
    "a target of 5 KiB": (b"GET /" + b"a" * 5120 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "10,000 fields": (GET + b"Host: localhost\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", 431),
    "101 fields": (GET + b"Host: localhost\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
    "a field of 17 KiB": (GET + b"Host: localhost\r\nX: " + b"y" * 17_000 + b"\r\n\r\n", 431),
    "fields of 17 KiB": (GET + b"Host: localhost\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 17 + b"\r\n", 431),
    "a field of 200 KiB without an end": (GET + b"Host: localhost\r\nX: " + b"y" * 200_000, 431),
    "a body of 2 MiB": (START + b"Content-Length: 2097152\r\n\r\n" + b"x" * 2_097_152, 413),
    "a chunked body of 2 MiB": (CHUNKED + (b"10000\r\n" + b"x" * 65_536 + b"\r\n") * 32 + b"0\r\n\r\n", 413),
    "3 MiB of chunks' extensions": (CHUNKED + (b"1;" + b"x" * 16_000 + b"\r\na\r\n") * 200 + b"0\r\n\r\n", 413),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_refused_and_nothing_behind_it_is_read(port: int, name: str) -> None:
    data, status = SHAPES[name]
    said = talk(port, data + SMUGGLED)
    assert said.statuses == [status]
    assert said.closed
    assert said.answers[0].fields["connection"] == "close"
    assert said.answers[0].problem()["detail"]


@pytest.mark.parametrize("name", [name for name, (data, _) in SHAPES.items() if len(data) < 1000])
def test_a_shape_is_refused_byte_by_byte(port: int, name: str) -> None:
    """No look at whole packets: what is refused is refused however the network cuts it."""
    data, status = SHAPES[name]
    assert talk(port, *(bytes([byte]) for byte in data), SMUGGLED).statuses == [status]


GOOD = {
    "origin form": (GET + b"Host: localhost\r\n\r\n", [200]),
    "absolute form": (b"GET http://LOCALHOST/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", [200]),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", [200]),
    "empty lines before": (b"\r\n\r\n" + SMUGGLED, [200]),
    "an IPv6 Host": (GET + b"Host: [::1]:3333\r\n\r\n", [200]),
    "100 fields": (GET + b"Host: localhost\r\n" + b"X: y\r\n" * 99 + b"\r\n", [200]),
    "bytes over 127 in a field": (GET + "Host: localhost\r\nX-Operator: Бат\r\n\r\n".encode(), [200]),
    "a body with GET": (GET + b"Host: localhost\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED, [200, 200]),
    "three ahead": (SMUGGLED * 3, [200] * 3),
    "sixteen ahead of the first": (SMUGGLED * 17, [200] * 17),
    "one that asks for HTTP/2": (GET + b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + SMUGGLED, [200] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_answered(port: int, name: str) -> None:
    data, statuses = GOOD[name]
    assert talk(port, data, answers=len(statuses)).statuses == statuses


@pytest.mark.parametrize("chunks", [[], [b"7;name=value\r\n", b"1\r\n"]])
def test_a_chunked_body_is_taken_and_its_trailers_are_not(port: int, chunks: list[bytes]) -> None:
    body = sign_in(f"chunked-{len(chunks)}")
    chunked = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\n"
    trailers = b"Content-Encoding: gzip\r\nX-Request-Id: from-the-trailer\r\n\r\n"
    said = talk(port, CHUNKED, chunked, trailers, pause=0.01, answers=1)
    assert said.statuses == [202]
    assert said.answers[0].fields["x-request-id"] != "from-the-trailer"


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_a_body_is_read_though_the_head_asks_for_another_protocol(port: int, upgrade: str, cut: bool) -> None:
    """Java's HttpClient asks for HTTP/2 this way; and a body must never be taken for the next request."""
    body = sign_in(f"{upgrade}-{cut}")
    head = post(body, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABk")
    parts = (head[: -len(body)], body + SMUGGLED) if cut else (head + SMUGGLED,)
    assert talk(port, *parts, pause=0.05, answers=2).statuses == [202, 200]
    smuggled = SMUGGLED + b" " * 20  # no JSON, but a request if it were taken for one
    parts = (post(smuggled, "Connection: Upgrade", f"Upgrade: {upgrade}", path=PATH)[: -len(smuggled)], smuggled)
    assert talk(port, *parts, SMUGGLED, pause=0.05, answers=2).statuses == [400, 200]


def test_who_waits_for_100_hears_it_and_who_is_refused_does_not(port: int) -> None:
    body = sign_in("expecting")
    with connect(port) as connection:
        connection.sendall(post(body, "Expect: 100-continue")[: -len(body)])
        assert hear(connection, 1).statuses == [100]
        connection.sendall(body)
        assert hear(connection, 1).statuses == [202]
    head = START + b"Content-Length: 2097152\r\nExpect: 100-continue\r\n\r\n"
    assert talk(port, head).statuses == [413]


def test_what_came_before_a_bad_request_is_answered_first(port: int) -> None:
    said = talk(port, post(sign_in("before")) + SMUGGLED + b"GET /healthz HTTP/1.1\r\nX: a\0\r\n\r\n" + SMUGGLED)
    assert said.statuses == [202, 200, 400]
    body = CHUNKED + b"3\r\nabc\r\nzzz\r\n"
    assert talk(port, SMUGGLED + body + SMUGGLED).statuses == [200, 400]


def test_who_sends_too_many_ahead_hears_what_was_right(port: int) -> None:
    said = talk(port, SMUGGLED * 1000)
    assert said.statuses == [200] * 17 + [400]
    assert "ahead" in said.answers[-1].problem()["detail"]
