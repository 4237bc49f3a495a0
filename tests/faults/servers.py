"""Several Valkeys on loopback: a primary with replicas under three Sentinels, and a cluster of nodes; to be hurt."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from valkey import Valkey
from valkey.crc import key_slot

from yellowbooks.embedded import valkey_command, valkey_environment

SERVICE = "yellowbooks"
DOWN_AFTER = 500  # ms until a Sentinel, or a node, takes another for down
SLOTS = 16_384


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Node:
    """One Valkey process on a TCP port of 127.0.0.1, AOF always."""

    def __init__(self, folder: Path, port: int, *options: str, sentinel: str | None = None) -> None:
        self.port = port
        self.folder = folder / str(port)
        self.process: subprocess.Popen[bytes] | None = None
        (self.folder / "valkey").mkdir(parents=True)
        command = valkey_command(self.folder)
        here = ["--bind", "127.0.0.1", "--port", str(port), "--logfile", str(self.folder / "log")]
        if sentinel is None:
            at = command.index("--port")
            self._command = [*command[:at], *command[at + 2 :], *here, "--repl-diskless-sync-delay", "0", *options]
        else:
            (self.folder / "sentinel.conf").write_text(sentinel)
            self._command = [command[0], str(self.folder / "sentinel.conf"), "--sentinel", *here]

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.port}"

    def client(self) -> "Valkey":
        """A client of this node alone."""
        return Valkey(host="127.0.0.1", port=self.port, socket_timeout=5, decode_responses=True)

    def run(self, *words: Any) -> Any:
        """One command's reply."""
        client = self.client()
        try:
            return client.execute_command(*words)
        finally:
            client.close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = os.environ | valkey_environment()
        self.process = subprocess.Popen(
            self._command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL, cwd=self.folder
        )
        wait_for(self._answers, f"{self.address} does not answer")

    def _answers(self) -> bool:
        try:
            return bool(self.run("PING"))
        except Exception:
            return False

    def send(self, number: int) -> None:
        """A signal to this process."""
        assert self.process
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process and self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()

    def follow(self, port: int) -> None:
        """Be a replica of whoever is behind this port; returns when it has caught up."""
        self.run("REPLICAOF", "127.0.0.1", port)
        wait_for(lambda: self.info().get("master_link_status") == "up", f"{self.address} does not catch up")

    @property
    def socket(self) -> str:
        """Its Unix socket."""
        return str(self.folder / "valkey.sock")

    def info(self) -> dict[str, str]:
        """Its part in the replication."""
        client = self.client()
        try:
            return {key: str(value) for key, value in client.info("replication").items()}
        finally:
            client.close()


def wait_for(true: Callable[[], Any], otherwise: str, seconds: float = 15.0) -> None:
    """Wait until it is so. Raises `AssertionError`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


class Group:
    """A primary, replicas and three Sentinels."""

    def __init__(self, folder: Path, *options: str, replicas: int = 2) -> None:
        ports = free_ports(replicas + 4)
        self.nodes = [Node(folder, port, *options) for port in ports[3:]]
        self.primary = self.nodes[0]
        self._folder, self._ports = folder, ports[:3]
        self.sentinels: list[Node] = []

    @property
    def url(self) -> str:
        """How clients find the primary."""
        return f"valkey+sentinel://{','.join(one.address for one in self.sentinels)}/{SERVICE}"

    def start(self) -> None:
        """Start all; returns when the replicas have caught up and the Sentinels know each other and them."""
        for node in self.nodes:
            node.start()
        for node in self.nodes[1:]:
            node.follow(self.primary.port)
        for port in self._ports:
            conf = (
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} 2\n"
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n"
                f"sentinel failover-timeout {SERVICE} 5000\n"
            )
            self.sentinels.append(Node(self._folder, port, sentinel=conf))
            self.sentinels[-1].start()
        wait_for(lambda: all(self._knows(one) for one in self.sentinels), "the Sentinels do not know each other", 20)

    def _knows(self, sentinel: Node) -> bool:
        reply = sentinel.run("SENTINEL", "MASTER", SERVICE)
        master = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        return int(master["num-other-sentinels"]) == 2 and int(master["num-slaves"]) == len(self.nodes) - 1

    def current(self) -> Node:
        """The primary by the Sentinels' word."""
        _, port = self.sentinels[0].run("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.port == int(port))

    async def failed_over(self, seconds: float = 30.0) -> Node:
        """Returns when the Sentinels name another primary, and gives it."""
        await asyncio.to_thread(wait_for, lambda: self.current() is not self.primary, "nobody failed over", seconds)
        return self.current()

    def stop(self) -> None:
        """End every process of it."""
        for node in (*self.sentinels, *self.nodes):
            node.kill()


class Cluster:
    """Three primaries and a replica of each; a node's slots are served by its replica when it is lost."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(12)
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(2 * DOWN_AFTER),
                   "--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no")  # fmt: skip
        self.nodes = [
            Node(folder, port, *options, "--cluster-port", str(bus))
            for port, bus in zip(ports[:6], ports[6:], strict=True)
        ]
        self._buses = dict(zip(ports[:6], ports[6:], strict=True))

    @property
    def url(self) -> str:
        """Any three nodes; the others are found by them."""
        return f"valkey+cluster://{','.join(node.address for node in self.nodes[:3])}"

    def start(self) -> None:
        """Start all; returns when each slot has a primary and each primary a replica."""
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.nodes):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for n in range(3):
            self.nodes[n].run("CLUSTER", "ADDSLOTSRANGE", n * SLOTS // 3, (n + 1) * SLOTS // 3 - 1)
        for node in self.nodes[1:]:
            node.run("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self._buses[self.nodes[0].port])
        wait_for(lambda: all(self._sees(node, 6) for node in self.nodes), "the nodes do not meet", 30)
        for n in range(3):
            name = self.nodes[n].run("CLUSTER", "MYID")
            self.nodes[n + 3].run("CLUSTER", "REPLICATE", name)
        for node in self.nodes[3:]:
            wait_for(lambda node=node: node.info().get("master_link_status") == "up", "a replica does not catch up", 30)
        wait_for(
            lambda: all("cluster_state:ok" in self._state(node) for node in self.nodes), "the cluster is not ok", 30
        )

    def owner(self, key: str) -> Node:
        """The node that has this key's slot, by the word of one that lives."""
        asked = next(node for node in self.nodes if node.process and node.process.poll() is None)
        for first, last, primary, *_ in asked.run("CLUSTER", "SLOTS"):
            if first <= key_slot(key.encode()) <= last:
                return next(node for node in self.nodes if node.port == int(primary[1]))
        raise AssertionError(f"nobody has the slot of {key}")

    def hold(self, victim: Node, word: str = "yes") -> None:
        """Let no replica take a lost node's slots until `release`."""
        for node in self.nodes:
            if node is not victim:
                node.run("CONFIG", "SET", "cluster-replica-no-failover", word)

    def release(self, victim: Node) -> None:
        """Let the replicas take over again."""
        self.hold(victim, "no")

    async def moved(self, key: str, old: Node, seconds: float = 30.0) -> Node:
        """Returns when another node than `old` has this key's slot, and gives it."""
        await asyncio.to_thread(wait_for, lambda: self.owner(key) is not old, "nobody took over", seconds)
        return self.owner(key)

    def _state(self, node: Node) -> str:
        reply = node.run("CLUSTER", "INFO")
        return reply if isinstance(reply, str) else "\n".join(f"{key}:{value}" for key, value in reply.items())

    def _sees(self, node: Node, count: int) -> bool:
        return f"cluster_known_nodes:{count}" in self._state(node)

    def stop(self) -> None:
        """End every process of it."""
        for node in self.nodes:
            node.kill()
