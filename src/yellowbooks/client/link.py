"""One kept-alive HTTP/1.1 connection with the API."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LONGEST_ANSWER = 64 * 1024


class Away(Exception):
    """No answer came; whether the job was taken is unknown, and the same id makes it safe to send it again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said. `retry_after` is in seconds, None where it does not say."""

    status: int
    retry_after: float | None = None
    body: bytes = b""

    def problem(self) -> dict[str, Any]:
        """The JSON object in the body; empty where there is none."""
        try:
            problem = json.loads(self.body)
        except ValueError:
            return {}
        return problem if isinstance(problem, dict) else {}

    @property
    def detail(self) -> str:
        """The problem's own words (RFC 9457), or the first of whatever came."""
        return str(self.problem().get("detail") or self.body[:200].decode("utf-8", "replace"))

    @property
    def fields(self) -> Sequence[str]:
        """The fields that a 400 names."""
        errors = self.problem().get("errors")
        return [str(one.get("field")) for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []


class Link:
    """The connection; opened when it is needed, and again when the API has closed it. One thread sends."""

    def __init__(self, url: str, key: str | None, timeout: float, context: ssl.SSLContext | None = None) -> None:
        """Raises `ValueError` where the URL or the key is wrong. `timeout` (s) is for each step of a request."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"«{url}» is no address of the API; for example http://127.0.0.1:3333")
        if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
            raise ValueError("the key is empty or holds what no header may; it is one of the API's YB_API_KEYS")
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json", "User-Agent": "yellowbooks-client"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self.timeout = timeout
        self._context = context
        self._connection: http.client.HTTPConnection | None = None
        self.began: float | None = None

    def post(self, path: str, body: bytes) -> Answer:
        """Send one request. Raises `Away`."""
        self.began = time.monotonic()
        try:
            if self._connection is not None:
                with contextlib.suppress(ConnectionError, http.client.BadStatusLine):  # it was idle and has been closed
                    return self._ask(self._connection, path, body)
                self.close()
            self._connection = self._open()
            return self._ask(self._connection, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Away(f"{type(error).__name__}: {error}"[:200]) from error
        finally:
            self.began = None

    def _open(self) -> http.client.HTTPConnection:
        if self._tls:
            self._context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)

    def _ask(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> Answer:
        connection.request("POST", self._base + path, body, self._headers)
        with connection.getresponse() as response:
            whole = response.chunked or response.length is not None
            text = response.read(LONGEST_ANSWER)
            if not response.isclosed():  # there is more: what follows would be taken for the next answer
                self.close()
        answer = Answer(response.status, _seconds(response.headers.get("Retry-After")), text)
        if not whole and not answer.problem():  # its headers may have been cut, and the library does not say so
            self.close()
            raise Away("the answer was cut")
        return answer

    def abort(self) -> None:
        """From another thread: end the request that is under way."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def disown(self) -> None:
        """In a forked child: let go of the parent's connection, saying nothing over it."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            os.close(connection.sock.detach())

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After (RFC 9110, 10.2.3); its form with a date is not ours."""
    return float(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else None
