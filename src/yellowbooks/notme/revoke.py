"""Tells the application to end a user's sessions: a webhook as standardwebhooks.com says, one job a pressed button.

The address is the operator's own, so nobody else has a say in where it goes; redirects are not followed.
"""

import base64
import binascii
import hmac
import http.client
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from yellowbooks.jobs import Backoff, Failure, Kind, Payload, Permanent, RetryAfter, unhandled

NOT_ME = "signin-not-me"
ANSWER_SECONDS = 10.0
LONGEST_WAIT = 3_600.0
ANSWER_OCTETS = 1_024
# 5 s, 10 s, 20 s … 43 min: an application that is being deployed is back by then; after an hour and a half an operator
# has it.
BACKOFF = Backoff(attempts=11, base=5.0, jitter=0.2)


class NotMe(Payload):
    """A button was pressed: whose sessions are to end, and the job whose mail he had. `pressed` is ms since 1970."""

    user_id: str
    sign_in: str
    pressed: int

    def key(self) -> str | None:
        """The user."""
        return self.user_id


def not_me_kind(handler: Callable[..., Any] = unhandled) -> Kind[NotMe]:
    """It goes before everything else. The application may be told twice, so a lost worker's job simply runs again."""
    return Kind(NOT_ME, NotMe, handler, backoff=BACKOFF, lane="high", time_limit=3 * ANSWER_SECONDS)


def webhook_key(secret: str) -> bytes:
    """The key of a secret such as `whsec_…`: base64 of 24 to 64 bytes. Raises `ValueError`."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("is not «whsec_» and base64") from None
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("is not «whsec_» and the base64 of 24 to 64 bytes")
    return key


class Revoker:
    """The handler: a plain function, so it runs in a thread. `keys` sign, each: an application may know either."""

    def __init__(self, url: str, keys: Sequence[bytes], *, clock: Callable[[], float] = time.time) -> None:
        self._url = urlsplit(url)
        self._keys = tuple(keys)
        self._clock = clock

    def __call__(self, lease: Any, press: NotMe) -> str:
        """One attempt; gives the application's answer. Raises what `jobs` makes an outcome of."""
        moment = datetime.fromtimestamp(press.pressed / 1000, UTC).isoformat(timespec="milliseconds")
        body = msgspec.json.encode({
            "type": "signin.not_me",
            "timestamp": moment.replace("+00:00", "Z"),
            "data": {"userId": press.user_id, "jobId": press.sign_in},
        })  # fmt: skip
        status, retry_after = self._post(body, self._headers(lease.job_id, body))
        said, cause = f"the application answered {status}", f"webhook:{status}"
        if 200 <= status < 300:
            return said
        if status == 410:
            raise Permanent(f"{said}: it wants no such webhooks; see YB_REVOKE_URL", cause=cause)
        if status in (429, 503) and retry_after.isdigit():
            raise RetryAfter(min(float(retry_after), LONGEST_WAIT), said, cause=cause)
        if 300 <= status < 400:
            raise Failure(f"{said}: redirects are not followed; set YB_REVOKE_URL to the address itself", cause=cause)
        raise Failure(said, cause=cause)

    def _headers(self, job_id: str, body: bytes) -> dict[str, str]:
        moment = str(int(self._clock()))
        signed = f"{job_id}.{moment}.".encode() + body
        signatures = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in self._keys)
        return {
            "Content-Type": "application/json",
            "User-Agent": "yellowbooks",
            "webhook-id": job_id,
            "webhook-timestamp": moment,
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """The status and Retry-After. Raises `OSError`; the status 0 stands for an answer that is no HTTP."""
        secure = self._url.scheme == "https"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = make(self._url.hostname or "", self._url.port, timeout=ANSWER_SECONDS)
        try:
            target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
            connection.request("POST", target, body, headers)
            reply = connection.getresponse()
            reply.read(ANSWER_OCTETS)
            return reply.status, reply.headers.get("Retry-After", "")
        except http.client.HTTPException:
            return 0, ""
        finally:
            connection.close()
