"""The acceptance cases, run against a living system: `yellowbooks check`."""

import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

COMPLETED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the report."""

    name: str
    passed: bool
    detail: str


class Check:
    """Five cases against the API at `url`; `email` gets the mails of the sign-ins."""

    def __init__(self, url: str, email: str, api_key: str, admin_key: str, limit: int) -> None:
        self._url = url.rstrip("/")
        self._email = email
        self._keys = {"api": api_key or admin_key, "admin": admin_key}
        self._limit = limit
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
        self._first = f"check-{secrets.token_hex(8)}"
        self._user = f"check-user-{secrets.token_hex(8)}"

    def run(self, show: Callable[[Case], None]) -> bool:
        """Run the cases in order; `show` gets each. True where all passed."""
        cases: tuple[tuple[str, Callable[[], str]], ...] = (
            ("a sign-in is enqueued", self._enqueue),
            ("its job is followed to completed", self._follow),
            (f"sign-in {self._limit + 1} of an hour is refused", self._limited),
            ("the same job id is refused", self._duplicate),
            ("dead letters are listed", self._dead_letters),
        )
        passed = True
        for name, case in cases:
            try:
                result = Case(name, True, case())
            except (AssertionError, OSError, ValueError) as error:
                result = Case(name, False, str(error))
            passed = passed and result.passed
            show(result)
        return passed

    def _enqueue(self) -> str:
        body = _expect(self._sign_in(self._first), 202)
        _require(body.get("jobId") == self._first and body.get("status") == "enqueued", f"answered {body}")
        return f"202, job {self._first}"

    def _follow(self) -> str:
        deadline = time.monotonic() + COMPLETED_SECONDS
        while True:
            job = _expect(self._call("GET", f"/api/jobs/{self._first}"), 200)
            if job["status"] == "completed":
                return f"completed after {job['attempts']} attempt"
            late = time.monotonic() > deadline or job["status"] in ("dead", "cancelled")
            _require(not late, f"stands at {job['status']} ({job.get('error') or 'is a worker running?'})")
            time.sleep(0.1)

    def _limited(self) -> str:
        for number in range(2, self._limit + 1):
            _expect(self._sign_in(f"{self._first}-{number}"), 202)
        status, body = self._sign_in(f"{self._first}-over")
        if status == 202 and body.get("notify"):
            return f"202, to be told in a summary: YB_NOTIFY={body['notify']}"
        _expect((status, body), 429)
        return "429 with Retry-After"

    def _duplicate(self) -> str:
        body = _expect(self._sign_in(self._first), 409)
        _require(body.get("sameRequest") is True and body.get("jobId") == self._first, f"answered {body}")
        return f"409, the first is {body['status']}"

    def _dead_letters(self) -> str:
        body = _expect(self._call("GET", "/api/admin/dlq?limit=1", key="admin"), 200)
        _require(isinstance(body.get("count"), int) and isinstance(body.get("jobs"), list), f"answered {body}")
        return f"{body['count']} dead"

    def _sign_in(self, job_id: str) -> tuple[int, Any]:
        event = {
            "jobId": job_id, "userId": self._user, "email": self._email, "name": "Бат", "provider": "github",
            "ipAddress": "192.0.2.10", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0 Safari/537.36",
            "timestamp": "2025-12-18T23:00:00Z",
        }  # fmt: skip
        return self._call("POST", "/api/jobs/signin-notification", event)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str = "api") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if self._keys[key]:
            headers["Authorization"] = f"Bearer {self._keys[key]}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310  the operator's URL
        try:
            with self._direct.open(request, timeout=10) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")
        except urllib.error.URLError as error:
            raise OSError(f"{self._url} does not answer ({error.reason}); start it with `yellowbooks up`") from None


def _expect(reply: tuple[int, Any], status: int) -> Any:
    code, body = reply
    _require(
        code == status, f"answered {code}, not {status}: {body.get('error', body) if isinstance(body, dict) else body}"
    )
    return body


def _require(true: bool, otherwise: str) -> None:
    if not true:
        raise ValueError(otherwise)
