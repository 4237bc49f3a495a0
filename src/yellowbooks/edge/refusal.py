"""What the edge refuses, in the API's form of an error: problem details (RFC 9457), with `error` beside them."""

from dataclasses import dataclass
from http import HTTPStatus

import msgspec

REASONS = (
    "malformed", "late", "head_too_large", "body_too_large", "pipelined", "unread", "coded", "crowded", "busy",
    "streams", "address_connections", "address_rate", "key_rate",
)  # fmt: skip
"""Why a request or a connection was refused, as metrics say it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal: `reason` is one of `REASONS`, `detail` says what is wrong and what to do next.

    `retry_after` is in seconds (RFC 9110, section 10.2.3); 0 where the same request would be refused again.
    """

    reason: str
    status: int
    detail: str
    retry_after: int = 0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Those of the answer, but its length."""
        found = [(b"content-type", b"application/problem+json")]
        return [*found, (b"retry-after", b"%d" % self.retry_after)] if self.retry_after else found

    def body(self) -> bytes:
        """The problem."""
        title = HTTPStatus(self.status).phrase
        told = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return msgspec.json.encode(told | {"error": self.detail})


def malformed(what: str, status: int = 400) -> Refusal:
    """A request that is none, or that two servers could read in two ways."""
    return Refusal("malformed", status, f"{what}; the connection ends here")
