"""Servers around an app under test: a proxy before it, and an API that fails or hangs."""

import http.client
import json
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

PROXY_ADDRESS = "127.0.0.5"
"""Where the proxy calls from, so that its address is not the browser's."""
HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # one write an answer

    def log_message(self, *_: object) -> None:
        pass

    def content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", "0")))


class Server(ThreadingHTTPServer):
    """Ends as a process does: with its connections."""

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is none of ours; other errors are told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """Serves on 127.0.0.1; gives the port."""
    server = Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def proxy(to: int) -> type[BaseHTTPRequestHandler]:
    """A proxy as nginx is one: it appends the caller's address to X-Forwarded-For, whatever stands there."""

    class Proxy(Quiet):
        def carry(self) -> None:
            body = self.content()
            before = self.headers.get("x-forwarded-for")
            sent = {
                name: value for name, value in self.headers.items() if name.lower() not in (*HOPS, "x-forwarded-for")
            }
            sent["X-Forwarded-For"] = ", ".join(filter(None, [before, self.client_address[0]]))
            app = http.client.HTTPConnection("127.0.0.1", to, timeout=60, source_address=(PROXY_ADDRESS, 0))
            app.request(self.command, self.path, body or None, sent)
            reply = app.getresponse()
            content = reply.read()
            app.close()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in HOPS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = carry

    return Proxy


class Failing(Quiet):
    """An API that answers 500."""

    def do_POST(self) -> None:
        self.content()
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Recording(Quiet):
    """An API that answers 202 and keeps what it was told, by its port."""

    told: ClassVar[dict[int, "Told"]] = {}

    @classmethod
    def of(cls, port: int) -> "Told":
        return cls.told.setdefault(port, Told())

    def do_POST(self) -> None:
        self.of(self.server.server_address[1]).queue.put(json.loads(self.content()))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Told:
    """Notifications in the order in which they came."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def next(self) -> dict[str, Any]:
        return self.queue.get(timeout=20)

    def rest(self) -> list[dict[str, Any]]:
        """Those that nobody asked for."""
        rest = []
        while not self.queue.empty():
            rest.append(self.queue.get())
        return rest


@contextmanager
def hanging(port: int = 0) -> Iterator[int]:
    """An API that accepts and never answers; gives the port."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connection in kept:
        connection.close()
