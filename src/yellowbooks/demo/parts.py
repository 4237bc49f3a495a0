"""What the demo site is made of; wiring hands it in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that arrived; `id` names it in the inbox."""

    id: str
    subject: str
    html: str
    received: float


FindMail = Callable[[str, float], Awaitable[Mail | None]]
"""The newest mail to an address that came after a moment (s since 1970)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoParts:
    """`api` is where our API answers and `key` one of YB_API_KEYS; `site` is where this site answers.

    What the API does not take yet is kept in the folder `spool`. `find_mail` is None where mails are sent rather than
    kept; with `summaries` a sign-in may be told later, in a summary. Without `client_id` a local OAuth server stands in
    for GitHub.
    """

    site: str
    api: str
    key: str
    find_mail: FindMail | None
    tell: Callable[..., None]
    spool: Path | None = None
    summaries: bool = False
    client_id: str = ""
    client_secret: str = ""


Json = dict[str, Any]
