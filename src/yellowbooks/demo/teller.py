"""Tells our API of a sign-in as a web app would: one POST that nobody waits for and whose failure nobody notices."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from yellowbooks.demo.web import NoAnswer, ask

PATH = "/api/jobs/signin-notification"
PATIENCE_SECONDS = 2.0
REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """What the API answered, and how many milliseconds it took; `why` where it did not take the event."""

    status: int
    ms: float
    why: str = ""


class Teller:
    """Posts events and follows their jobs."""

    def __init__(self, api: str, key: str, tell: Callable[..., None]) -> None:
        self._api = api
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._tell = tell
        self._told: OrderedDict[str, Told] = OrderedDict()
        self._under_way: set[asyncio.Task[None]] = set()  # the loop itself holds tasks but weakly

    def post(self, event: dict[str, Any]) -> None:
        """Send it off. Returns at once and never raises."""
        task = asyncio.create_task(self._post(event))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def told(self, job_id: str) -> Told | None:
        """What became of an event; None while it is under way, or where this process sent none of this id."""
        return self._told.get(job_id)

    async def follow(self, job_id: str) -> dict[str, Any] | None:
        """The job as the API shows it; None where it has none, or does not answer."""
        try:
            answer = await ask(
                "GET", f"{self._api}/api/jobs/{quote(job_id)}", headers=self._headers, seconds=PATIENCE_SECONDS
            )
        except NoAnswer:
            return None
        return answer.body if answer.status == 200 else None

    async def _post(self, event: dict[str, Any]) -> None:
        begun = time.perf_counter()
        body = json.dumps(event, ensure_ascii=False).encode()
        try:
            answer = await ask("POST", self._api + PATH, headers=self._headers, body=body, seconds=PATIENCE_SECONDS)
            why = "" if answer.status == 202 else str(answer.body.get("detail", answer.status))
            told = Told(answer.status, 1000 * (time.perf_counter() - begun), why)
        except NoAnswer as error:
            told = Told(0, 1000 * (time.perf_counter() - begun), str(error))
        if told.why:
            # What the API says may hold a part of the address, and a log must not.
            self._tell("untold", job=event["jobId"], error=f"answered {told.status}" if told.status else told.why)
        self._told[event["jobId"]] = told
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
