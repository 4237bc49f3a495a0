"""Who is slow, silent or idle is let go at a deadline that no byte puts off; whoever is honest is not touched."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from tests.edge.conftest import Start
from tests.edge.wire import PATIENCE_SECONDS, Said, connect, hear, parse, post, sign_in, talk

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def drip(connection: socket.socket, drops: bytes) -> Said:
    """Send a byte each 0.1 s until the API has answered and closed."""
    connection.settimeout(0.1)
    data, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    for drop in drops:
        assert time.monotonic() < deadline, "it is still listening"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(bytes([drop]))
        try:
            chunk = connection.recv(65_536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            break
        if not chunk:
            break
        data += chunk
    return Said(parse(data)[0], closed=True)


def test_every_wait_has_an_end(start: Start) -> None:
    """One API with short deadlines, all cases beside each other."""
    api = start(YB_RECEIVE="1s", YB_IDLE="1s")
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    with (
        connect(api.port) as silent, connect(api.port) as idle, connect(api.port) as half, connect(api.port) as body,
        connect(api.port) as second, connect(api.port) as heads, connect(api.port) as lines,
    ):  # fmt: skip
        idle.sendall(GET)
        second.sendall(GET + head)
        half.sendall(head)
        assert hear(idle, 1).statuses == [200]
        whole = post(sign_in("slow"))
        body.sendall(whole[:-60])
        drops = (heads, (head + b"X: ").ljust(9999, b"y")), (lines, b"\r\n" * 9999), (body, whole[-60:-1].ljust(9999))
        with ThreadPoolExecutor() as pool:
            dripped = [pool.submit(drip, one, data) for one, data in drops]
        slow = [one.result() for one in dripped]
        assert [one.statuses for one in slow] == [[408]] * 3
        assert "body did not come within 1 s" in slow[2].answers[0].problem()["detail"]
        said = hear(silent), hear(idle), hear(half), hear(second)
        assert [one.statuses for one in said] == [[], [], [408], [200, 408]]
        assert all(one.closed for one in said)
    assert talk(api.port, post(sign_in("good")), answers=1).statuses == [202]
    assert api.process.poll() is None
    assert not [line for line in api.lines if "failed" in line or "Traceback" in line or "Invalid" in line]


def test_a_slow_network_within_the_deadline_is_served(port: int) -> None:
    whole = post(sign_in("patient"))
    parts = [whole[n : n + 40] for n in range(0, len(whole), 40)]
    assert talk(port, *parts, pause=0.05, answers=1).statuses == [202]


def test_whoever_leaves_in_the_middle_leaves_nothing_behind(port: int) -> None:
    whole = post(sign_in("left"))
    for end in (1, 30, len(whole) - 10, len(whole)):
        for _ in range(5):
            with connect(port) as connection:
                connection.sendall(whole[:end])
    assert talk(port, GET, answers=1).statuses == [200]
