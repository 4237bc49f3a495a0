"""An API whose answers a test chooses, over real sockets, and clients with short pauses."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from yellowbooks.client import Client

Answer = tuple[int, dict[str, str], bytes] | str
"""Status, headers and body; or «drop» (the connection ends unanswered), «hang» (until `let_go`)."""


def problem(status: int, detail: str = "", *, retry_after: int | None = None, **members: Any) -> Answer:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return status, headers, json.dumps({"detail": detail, **members}).encode()


OK: Answer = (202, {}, b'{"status":"enqueued"}')


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that goes away is what some tests are about


@dataclass
class Api:
    """Answers as `answer` says; takes an id once, as the real one does."""

    answer: Callable[[dict[str, Any]], Answer] = lambda _body: OK
    taken: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    connections: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        return [body["jobId"] for body in self.taken]

    def start(self) -> "Api":
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                api.connections += 1

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.requests.append((self.path, dict(self.headers), body))
                answer = api.answer(body)
                if answer == "hang":
                    api.let_go.wait(60)
                if isinstance(answer, str):
                    if answer == "drop after":
                        api.take(body)
                    self.close_connection = True
                    return
                if answer[0] == 202 and not api.take(body):
                    answer = problem(409, "came before", sameRequest=True)
                status, headers, text = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        self.server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def take(self, body: dict[str, Any]) -> bool:
        if body["jobId"] in self.ids:
            return False
        self.taken.append(body)
        return True

    def stop(self) -> None:
        self.let_go.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api(port=free_port())
    yield api
    api.stop()


@dataclass
class Heard:
    """What was told."""

    words: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, word: str, **fields: Any) -> None:
        self.words.append((word, fields))

    def of(self, word: str) -> list[dict[str, Any]]:
        return [fields for known, fields in list(self.words) if known == word]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def open_client(api: Api, tmp_path: Path, heard: Heard) -> Iterator[Callable[..., Client]]:
    """Makes clients of the API over one folder; closes them."""
    clients: list[Client] = []

    def make(**options: Any) -> Client:
        base = {"spool": tmp_path / "spool", "pauses": (0.02, 0.1), "timeout": 5.0, "tell": heard}
        client = Client(api.url, **{**base, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close(0.2)
