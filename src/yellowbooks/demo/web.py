"""Requests that the site makes: in a thread, with a deadline, JSON in and out."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANSWER_BYTES = 1024 * 1024


class NoAnswer(Exception):
    """Nobody answered in time, or what came was no JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: Any


async def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, seconds: float = 5.0
) -> Answer:
    """One request. Raises `NoAnswer`."""
    return await asyncio.to_thread(_ask, method, url, dict(headers or {}), body, seconds)


def _ask(method: str, url: str, headers: dict[str, str], body: bytes | None, seconds: float) -> Answer:
    here = urlsplit(url).hostname in LOOPBACK  # never by way of a proxy
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if here else []))
    request = urllib.request.Request(  # noqa: S310  the addresses are the settings' own
        url, body, {"Accept": "application/json", "User-Agent": "yellowbooks-demo"} | headers, method=method
    )
    try:
        with opener.open(request, timeout=seconds) as reply:
            return Answer(reply.status, _json(reply.read(ANSWER_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _json(error.read(ANSWER_BYTES)))
    except (OSError, ValueError) as error:
        raise NoAnswer(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise NoAnswer("what it answered is no JSON") from None
