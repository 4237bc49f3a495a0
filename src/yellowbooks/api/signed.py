"""Requests that are signed (Standard Webhooks) in place of bringing a key: over the id, the time and the raw body."""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar.connection import ASGIConnection

Connection = ASGIConnection[Any, Any, Any, Any]
Verify = Callable[[Mapping[str, str], bytes, float, bytes], str]
"""Says of headers, body, the time (s since 1970) and a key what is wrong with the signature; "" where it is right."""
Prove = Callable[[bytes], Awaitable[str]]
"""Proves a request by its body, and gives the id of its job, where it has none of its own. Raises HTTP 401 and 403."""

PROVE = "prove"
KEY_ID, MESSAGE_ID, SIGNATURE = "x-key-id", "webhook-id", "webhook-signature"
_PLAIN = re.compile(r"[A-Za-z0-9_:+=/-]{1,128}")


def is_signed(connection: Connection) -> bool:
    """Whether the request means to prove itself by a signature."""
    return "authorization" not in connection.headers and SIGNATURE in connection.headers


def fault_of(connection: Connection) -> str:
    """What is wrong with the headers beside the signature; "" where nothing is."""
    if not connection.headers.get(KEY_ID):
        return "it names no key: send the header X-Key-Id, with the id that «yellowbooks keys issue --signing» printed"
    if not _PLAIN.fullmatch(connection.headers.get(MESSAGE_ID, "")):
        return "webhook-id is not 1 to 128 letters, digits and _ : + = / -; a dot would make two messages of one text"
    return ""


def verified(verify: Verify, connection: Connection, body: bytes, key: bytes) -> str:
    """What is wrong with the signature; "" where it is right."""
    headers = {name.lower(): value for name, value in connection.headers.items()}
    return verify(headers, body, time.time(), key)


def job_id_of(connection: Connection) -> str:
    """The id of the job that a message makes: a copy of the message, sent again by anybody, is answered as one."""
    said = f"{connection.headers[KEY_ID]}\0{connection.headers[MESSAGE_ID]}"
    return f"signed-{hashlib.blake2b(said.encode(), digest_size=12, person=b'yb-signed').hexdigest()}"


async def prove(connection: Connection, body: bytes) -> str | None:
    """Prove a request whose guard left that to its body; gives the id for its job. None where a key was brought."""
    proof: Prove | None = connection.scope["state"].get(PROVE)
    return await proof(body) if proof else None
