"""Raw bytes to an API, and what comes back: no HTTP library that would make them right."""

import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

PATIENCE_SECONDS = 30.0
SIGN_IN = {"userId": "u-edge", "email": "edge@example.com", "provider": "github"}
PATH = "/api/jobs/signin-notification"


def post(body: bytes, *fields: str, path: str = PATH) -> bytes:
    """A POST with these fields besides."""
    lines = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    return f"POST {path} HTTP/1.1\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sign_in(number: int | str) -> bytes:
    """The body of a sign-in of a user of its own."""
    return msgspec.json.encode(SIGN_IN | {"userId": f"u-{number}", "email": f"u-{number}@example.com"})


@dataclass
class Answer:
    """One answer."""

    status: int
    fields: dict[str, str]
    body: bytes

    def problem(self) -> dict[str, Any]:
        """Its problem details."""
        assert self.fields["content-type"] == "application/problem+json", self
        found: dict[str, Any] = msgspec.json.decode(self.body)
        assert found["status"] == self.status
        assert found["error"] == found["detail"]
        return found


@dataclass
class Said:
    """All that came back on one connection, and whether the API closed it."""

    answers: list[Answer] = field(default_factory=list)
    closed: bool = False
    reset: bool = False

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]


def parse(data: bytes) -> tuple[list[Answer], bytes]:
    """The whole answers in these bytes, and the rest."""
    found: list[Answer] = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        matched = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
        assert matched, data[:200]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(fields.get("content-length", 0))
        if len(rest) < length:
            break
        found.append(Answer(int(matched[1]), fields, rest[:length]))
        data = rest[length:]
    return found, data


def connect(port: int) -> socket.socket:
    """A connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def hear(connection: socket.socket, answers: int | None = None) -> Said:
    """Read until the API closes, or until so many answers came."""
    said, data = Said(), b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while answers is None or len(said.answers) < answers:
        assert time.monotonic() < deadline, (said, data)
        try:
            chunk = connection.recv(65_536)
        except ConnectionResetError:
            said.closed = said.reset = True
            break
        if not chunk:
            said.closed = True
            break
        found, data = parse(data + chunk)
        said.answers += found
    return said


def talk(port: int, *parts: bytes, answers: int | None = None, pause: float = 0.0) -> Said:
    """Send the parts, each in a packet of its own, and read."""
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        send(connection, parts, pause)
        return hear(connection, answers)


def send(connection: socket.socket, parts: Sequence[bytes], pause: float = 0.0) -> None:
    """Send the parts, whatever the API thinks of it."""
    for part in parts:
        try:
            connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return
        time.sleep(pause)
