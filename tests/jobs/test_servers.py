"""Finding the server: what the URLs say, a server that became a replica, promises that replicas must have."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkey.exceptions import ResponseError

from tests.faults.proxy import Proxy
from tests.faults.servers import Node, free_ports
from tests.parts import Ping, eventually
from yellowbooks.jobs import Kind, Queue, QueueUnavailable
from yellowbooks.jobs.servers import Servers, is_elsewhere

PING = Kind("ping", Ping)


@pytest.fixture
def pair(short_folder: Path) -> Iterator[tuple[Node, Node]]:
    """A primary and its replica."""
    old, new = (Node(short_folder, port) for port in free_ports(2))
    old.start()
    new.start()
    new.follow(old.port)
    yield old, new
    old.kill()
    new.kill()


def test_what_a_url_of_sentinels_says() -> None:
    servers = Servers.parse(
        "valkeys+sentinel://ann:p%40ss@10.0.0.1:1,[::1]:2,host/mail%20queue/3?sentinel_username=s&sentinel_password=q"
    )
    assert servers is not None
    assert (servers.form, servers.tls, servers.service) == ("sentinel", True, "mail queue")
    assert servers.addresses == (("10.0.0.1", 1), ("::1", 2), ("host", 26379))
    assert servers.options == {"username": "ann", "password": "p@ss", "db": 3}
    assert servers.asking == {"username": "s", "password": "q"}


def test_what_a_url_of_a_cluster_says() -> None:
    servers = Servers.parse("redis+cluster://:secret@a:1,b")
    assert servers is not None
    assert (servers.form, servers.tls, servers.addresses) == ("cluster", False, (("a", 1), ("b", 6379)))
    assert servers.options == {"password": "secret"}
    assert Servers.parse("valkey://127.0.0.1:6379/0") is None
    assert Servers.parse("unix:///run/a+b.sock") is None


@pytest.mark.parametrize(
    "url",
    [
        "valkey+sentinel://canary:canary@a:1,b:2",
        "valkey+sentinel://canary:canary@a:1/mail/x",
        "valkey+sentinel://canary:canary@a:x/mail",
        "valkey+sentinel://canary:canary@a:1,/mail",
        "valkey+sentinel://canary:canary@a/mail?wait=1",
        "valkey+cluster://canary:canary@a/mail",
        "valkey+cluster://canary:canary@a/2",
        "valkey+cluster://a?sentinel_password=canary",
        "valkey+ring://canary:canary@a",
    ],
)
def test_a_wrong_url_is_explained_and_keeps_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"a right one is|takes only") as caught:
        Queue(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("word", ["MOVED 1 a:1", "ASK 1 a:1", "CLUSTERDOWN x", "NOREPLICAS x", "UNBLOCKED x"])
def test_what_says_that_another_server_is_to_be_asked(word: str) -> None:
    assert is_elsewhere(ResponseError(word))
    assert not is_elsewhere(ResponseError("ERR x"))


async def test_who_became_a_replica_is_left_at_once(pair: tuple[Node, Node]) -> None:
    """Behind one address, as a balancer or a name has it; a worker that blocks there is let go."""
    old, new = pair
    async with Proxy(old.socket) as front:
        queue = Queue(front.url)
        await queue.admit(PING, Ping(job_id="a"))
        await asyncio.gather(*(queue.show("a") for _ in range(5)), *(queue.survey() for _ in range(5)))
        waiting = asyncio.create_task(queue.wait(["other"], 5))
        await asyncio.sleep(0.2)
        new.run("REPLICAOF", "NO", "ONE")
        front.path = new.socket
        await asyncio.to_thread(old.follow, new.port)  # nobody cuts a connection: the old ones still answer
        for n in range(10):
            assert (await queue.admit(PING, Ping(job_id=f"b{n}")))[1].word == "admitted"
        [lease], _ = await queue.claim(["ping"], 1)
        assert lease.job_id == "a"
        await queue.admit(Kind("other", Ping), Ping())
        assert await asyncio.wait_for(waiting, 2)
        await queue.close()


async def test_an_admission_waits_for_a_replica(pair: tuple[Node, Node]) -> None:
    old, new = pair
    queue, careless = Queue(f"unix://{old.socket}", replicas=1), Queue(f"unix://{old.socket}")
    assert (await queue.admit(PING, Ping(job_id="a")))[1].word == "admitted"
    new.run("REPLICAOF", "NO", "ONE")
    with pytest.raises(QueueUnavailable, match="0 of 1 replicas have it"):
        await queue.admit(PING, Ping(job_id="b"))
    assert (await careless.admit(PING, Ping(job_id="c")))[1].word == "admitted"
    there = Queue(f"unix://{new.socket}")
    assert await there.show("a") is not None
    assert await there.show("b") is await there.show("c") is None
    await asyncio.to_thread(new.follow, old.port)
    _, receipt = await queue.admit(PING, Ping(job_id="b"))  # the caller comes again: the replica has it now
    assert (receipt.word, receipt.same) == ("seen", True)
    await eventually(lambda: there.show("c"))
    for one in (queue, careless, there):
        await one.close()
