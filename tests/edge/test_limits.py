"""Rates, the line, live streams and open files of a real API."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import ValkeyServer
from tests.edge.conftest import Api, api
from tests.edge.wire import Answer, Said, connect, hear, post, sign_in, talk
from tests.test_up import ROOT, environment, free_port
from yellowbooks.edge import REASONS
from yellowbooks.metrics.refusals import TURNED_AWAY

KEY, OTHER = "a-key-of-the-web-app-1", "a-key-of-the-web-app-2"
OPERATOR, READER = "a-key-of-the-operator", "a-key-of-the-reader-1"
PUBLIC = "8.8.4.4"


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def counts(port: int) -> dict[str, float]:
    """What was refused, by reason, and the gauges of the edge."""
    [page] = talk(port, get("/metrics"), answers=1).answers
    text = page.body.decode()
    reasons = re.findall(r'^yb_edge_(?:refusals_total|requests)\{\w+="(\w+)"\} (\S+)$', text, re.MULTILINE)
    gauges = re.findall(r"^yb_edge_(connections|streams) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in [*(one for one in reasons if one[0] != "streams"), *gauges]}


def bearer(key: str) -> str:
    return f"Authorization: Bearer {key}"


def came_from(address: str) -> str:
    return f"X-Forwarded-For: 1.2.3.4, {address}"


def test_reasons_are_the_same_in_metrics() -> None:
    assert REASONS == TURNED_AWAY


@pytest.fixture(scope="module")
def limited(edge_valkey: ValkeyServer) -> Iterator[Api]:
    """An API with small bounds, and no disk to keep jobs on."""
    with api(
        edge_valkey, YB_API_KEYS=f"{KEY},{OTHER}", YB_ADMIN_KEYS=f"{OPERATOR},{READER}", YB_TRUSTED_PROXIES="1",
        YB_ADDRESS_RATE="5/hour", YB_KEY_RATE="40/hour", YB_MOST_REQUESTS="4", YB_MOST_STREAMS="2",
        YB_SPOOL_MEGABYTES="0",
    ) as one:  # fmt: skip
        yield one


def test_rates_of_addresses_and_keys(limited: Api) -> None:
    def ask(*fields: str, path: str = "/api/jobs/none") -> Answer:
        [answer] = talk(limited.port, get(path, *fields), answers=1).answers
        return answer

    assert [ask(bearer(KEY), came_from("10.0.0.7")).status for _ in range(2)] == [404] * 2
    assert [ask(bearer(f"wrong-{n}"), came_from(PUBLIC)).status for n in range(5)] == [401] * 5
    refused = ask(bearer("wrong-again"), came_from(PUBLIC))
    assert refused.status == 429
    assert 600 < int(refused.fields["retry-after"]) <= 720
    assert "this address" in refused.problem()["detail"]
    assert ask(came_from(PUBLIC)).status == 429
    assert ask(came_from(PUBLIC), path="/healthz").status == 200  # probes pass
    assert ask(came_from("8.8.8.8")).status == 401
    assert [ask(came_from(f"2a00:1450:1:1::{n}")).status for n in range(6)] == [401] * 5 + [429]
    assert [ask(came_from("10.0.0.7")).status for _ in range(8)] == [401] * 8  # who is not of the Internet
    # A key that was right lately is not taken in by what its address does; it is counted by itself.
    assert [ask(bearer(KEY), came_from(PUBLIC)).status for _ in range(40)] == [404] * 39 + [429]
    assert "this key" in ask(bearer(KEY), came_from("10.0.0.7")).problem()["detail"]
    assert ask(bearer(OPERATOR), came_from(PUBLIC)).status == 429  # not seen yet, and its address has spent all
    assert ask(bearer(OPERATOR), came_from("9.9.9.9")).status == 404
    assert ask(bearer(OPERATOR), came_from(PUBLIC)).status == 404
    limited.read_until("turned_away", 90)


def test_without_proxies_of_ones_own_the_field_says_nothing(port: int) -> None:
    """The rate of addresses is on by default; this field was made up."""
    said = talk(port, get("/api/jobs/none", came_from(PUBLIC)) * 5, answers=5)
    assert said.statuses == [404] * 5


def test_too_many_at_once_hear_503_at_once_and_probes_do_not(limited: Api, edge_valkey: ValkeyServer) -> None:
    assert edge_valkey.process
    before = counts(limited.port)
    with ExitStack() as stack:
        os.kill(edge_valkey.process.pid, signal.SIGSTOP)
        try:
            asked = [stack.enter_context(connect(limited.port)) for _ in range(20)]
            for number, connection in enumerate(asked):
                connection.sendall(post(sign_in(number), bearer(OTHER)))
            said = {connection: hear(connection, 1) for connection in until_heard(asked, 16)}
            assert talk(limited.port, get("/healthz"), answers=1).statuses == [200]
        finally:
            os.kill(edge_valkey.process.pid, signal.SIGCONT)
        assert [one.statuses for one in said.values()] == [[503]] * 16
        assert {one.answers[0].fields["retry-after"] for one in said.values()} == {"2"}
        assert "at once" in next(iter(said.values())).answers[0].problem()["detail"]
        assert [hear(connection, 1).statuses for connection in asked if connection not in said] == [[202]] * 4
        seen = counts(limited.port)
        assert seen["busy"] - before["busy"] == 16.0
        assert (seen["working"], seen["waiting"]) == (1.0, 0.0)  # the page itself is at work
        assert seen["connections"] == 21.0


def until_heard(connections: list[socket.socket], count: int) -> list[socket.socket]:
    """Those of them that were answered, once they are so many."""
    deadline = time.monotonic() + 30
    while len(heard := select.select(connections, [], [], 1)[0]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return heard


def test_readers_of_live_events_have_a_bound_of_their_own(limited: Api) -> None:
    def status(connection: socket.socket) -> bytes:
        connection.sendall(get("/api/events", bearer(READER)))
        return connection.recv(12)

    with connect(limited.port) as one, connect(limited.port) as two:
        assert status(one) == status(two) == b"HTTP/1.1 200"
        said = talk(limited.port, get("/api/events", bearer(READER)), answers=1)
        assert said.statuses == [503]
        assert "live" in said.answers[0].problem()["detail"]
        assert talk(limited.port, post(sign_in("beside"), bearer(OTHER)), answers=1).statuses == [202]
        assert counts(limited.port)["streams"] == 2.0
    deadline = time.monotonic() + 30
    while counts(limited.port)["streams"]:
        assert time.monotonic() < deadline, "no place became free"
        time.sleep(0.05)


def test_an_api_with_few_files_goes_on(edge_valkey: ValkeyServer) -> None:
    """Row 42 of the fault table: 64 descriptors, five times as many clients."""
    port, folder = free_port(), tempfile.mkdtemp(prefix="yb")
    settings = {"YB_VALKEY_URL": edge_valkey.url, "YB_DATA_DIR": folder, "YB_PORT": str(port), "YB_LOG_FORMAT": "json"}
    log = Path(folder) / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "-m", "yellowbooks", "api"],
            env=environment(**settings), cwd=ROOT, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        wait_for_ready(process, log)
        with ExitStack() as stack:
            for round_ in range(5):
                silent = [stack.enter_context(connect(port)) for _ in range(60)]
                assert all(silent)
                said = [ask_anyhow(port, post(sign_in(f"few-{round_}-{number}"))) for number in range(5)]
                statuses = [one.statuses for one in said if one.statuses]
                assert all(status in ([202], [503]) for status in statuses), statuses
        assert talk(port, post(sign_in("after")), answers=1).statuses == [202]
        assert process.poll() is None
        assert b"Traceback" not in log.read_bytes()
        assert b'"failed"' not in log.read_bytes()
    finally:
        process.kill()
        process.wait()


def wait_for_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 90
    while b'"ready"' not in log.read_bytes():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask_anyhow(port: int, data: bytes) -> Said:
    """What comes back, if anything does: a connection may be cut."""
    try:
        return talk(port, data, answers=1)
    except OSError:
        return Said(closed=True, reset=True)
