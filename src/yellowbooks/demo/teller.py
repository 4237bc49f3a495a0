"""Tells our API of a sign-in as a web app would, by the client that we ship for it.

It takes a sign-in in microseconds, and keeps it on disk while the API is away.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from yellowbooks.client import Client
from yellowbooks.demo.web import NoAnswer, ask

KIND = "signin-notification"
PATIENCE_SECONDS = 2.0
PAUSES = (0.25, 2.0)  # somebody watches, so the API is asked often whether it is back
REMEMBERED = 1000


class Teller:
    """Hands events over and follows their jobs."""

    def __init__(self, api: str, key: str, spool: Path | None, tell: Callable[..., None]) -> None:
        self._api = api
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._tell = tell
        self._took: OrderedDict[str, float] = OrderedDict()
        self._refused: OrderedDict[str, str] = OrderedDict()
        self._client = Client(
            api, key=key or None, spool=spool, timeout=PATIENCE_SECONDS, pauses=PAUSES, tell=self._hear
        )

        self._client.start()  # its threads are there before the first sign-in

    def post(self, event: dict[str, Any]) -> None:
        """Hand it over. Never waits for an answer and never raises."""
        begun = time.perf_counter()
        payload = {name: value for name, value in event.items() if name != "jobId"}
        try:
            self._client.enqueue(KIND, payload, job_id=event["jobId"])
        except (ValueError, TypeError) as error:
            self._tell("client_refused", job=event["jobId"], error=type(error).__name__)
        _keep(self._took, event["jobId"], 1e6 * (time.perf_counter() - begun))

    def took(self, job_id: str) -> float | None:
        """How many microseconds the sign-in gave to it; None where this process knows nothing of it."""
        return self._took.get(job_id)

    def refused(self, job_id: str) -> str | None:
        """Why the API will never take it; None where it did or may."""
        return self._refused.get(job_id)

    async def follow(self, job_id: str) -> dict[str, Any] | None:
        """The job as the API shows it; None where it has none, or does not answer."""
        try:
            answer = await ask(
                "GET", f"{self._api}/api/jobs/{quote(job_id)}", headers=self._headers, seconds=PATIENCE_SECONDS
            )
        except NoAnswer:
            return None
        return answer.body if answer.status == 200 else None

    def close(self) -> None:
        """Send what waits, or bring it to disk; a second at most."""
        self._client.close()

    def _hear(self, word: str, **fields: Any) -> None:
        """In the client's own thread: what the panel shows of it, and what the log may have: no part of an address."""
        if word == "refused":
            _keep(self._refused, str(fields["job_id"]), str(fields["why"]))
        shown = {name: value for name, value in fields.items() if name != "why" or word in ("away", "back")}
        self._tell(f"client_{word}", **shown)


def _keep(kept: OrderedDict[str, Any], job_id: str, value: Any) -> None:
    kept[job_id] = value
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
