"""After the sign-in: a panel that shows the event, the job and the mail as they happen."""

import re
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, get
from litestar.response import Redirect

from yellowbooks.demo.pages import MAIL_POLICY, Pages, headers, json_answer, language_of, words
from yellowbooks.demo.parts import DemoParts, Mail
from yellowbooks.demo.teller import Teller
from yellowbooks.demo.web import NoAnswer, ask

LATER_SECONDS = 2.0
LATE_SECONDS = 1.0
EARLIER_SECONDS = 1.0
"""A mail counts from a moment before the sign-in: the clocks of two processes."""


class Panel:
    """What there is to see of one sign-in; a session has its `job`, `email`, `at` (s) and the `event` that was sent."""

    def __init__(self, parts: DemoParts, teller: Teller, provider: str) -> None:
        self._parts = parts
        self._teller = teller
        self._provider = provider
        self._dashboard: bool | None = None

    @property
    def kept(self) -> bool:
        """Whether mails are kept here, so that one can be shown."""
        return self._parts.find_mail is not None

    async def mail(self, session: dict[str, Any]) -> Mail | None:
        """The mail of this sign-in; None where it is not there, or mails are not kept."""
        if self._parts.find_mail is None:
            return None
        return await self._parts.find_mail(session["email"], session["at"] - EARLIER_SECONDS)

    async def state(self, session: dict[str, Any], language: str) -> dict[str, Any]:
        """Each step in words, as the page and its script show it; `over` when nothing more will come."""
        t = words()[language]
        job = await self._teller.follow(session["job"])
        mail = await self.mail(session) if job else None
        steps = [
            self._signed_in(session, t),
            self._handed_over(session, job, t),
            _taken(session, job, t),
            self._mailed(session, job, mail, t),
        ]
        failed = any(step["state"] == "failed" for step in steps)
        return {
            "steps": steps,
            "mail": f"{self._parts.api}/inbox/{quote(mail.id)}" if mail else None,
            "over": failed or all(step["state"] == "done" for step in steps),
        }

    async def links(self, session: dict[str, Any]) -> dict[str, str]:
        """Where to look further: what there is, by the name of its text."""
        if self._dashboard is None:
            self._dashboard = await self._has_dashboard()
        api, job = self._parts.api, quote(session["job"])
        inbox = {"link_inbox": f"{api}/inbox?q={quote(session['email'])}"} if self.kept else {}
        if not self._dashboard:
            return inbox | {"link_job": f"{api}/api/jobs/{job}"}
        return inbox | {"link_job": f"{api}/dashboard/jobs/{job}", "link_dashboard": f"{api}/dashboard"}

    async def _has_dashboard(self) -> bool:
        try:
            answer = await ask("GET", f"{self._parts.api}/dashboard", seconds=1.0)
        except NoAnswer as error:
            return "no JSON" in str(error)  # it answered, with a page
        return answer.status == 401  # it is there for those who have a key

    def _signed_in(self, session: dict[str, Any], t: dict[str, str]) -> dict[str, Any]:
        note = t["step_sign_in_note"].format(provider=self._provider, email=session["email"])
        at = datetime.fromtimestamp(session["at"], UTC).astimezone().strftime("%H:%M:%S")
        return _step("done", t["signed_in_at"].format(time=at), note)

    def _handed_over(self, session: dict[str, Any], job: dict[str, Any] | None, t: dict[str, str]) -> dict[str, Any]:
        if job:
            note = t["step_post_note"].format(us=f"{self._teller.took(session['job']) or 0:.0f}")
            return _step("done", t["after"].format(ms=_after(session, _moment(job["createdAt"]))), note)
        if why := self._teller.refused(session["job"]):
            return _step("failed", "", t["step_post_failed"].format(why=why.rstrip(".")))
        late = time.time() - session["at"] > LATE_SECONDS
        return _step("waiting", t["waiting"], t["step_post_kept"] if late else "")

    def _mailed(
        self, session: dict[str, Any], job: dict[str, Any] | None, mail: Mail | None, t: dict[str, str]
    ) -> dict[str, Any]:
        if job and job["status"] in ("dead", "cancelled"):
            return _step("failed", "", t["step_mail_dead"].format(why=job["error"] or job["status"]))
        if mail:
            note = t["step_mail_inbox"].format(subject=re.sub(r"^\W+", "", mail.subject))
            return _step("done", t["after"].format(ms=_after(session, mail.received)), note)
        if job and job["status"] == "completed" and self._parts.find_mail is None:
            return _step(
                "done", t["after"].format(ms=_after(session, _moment(job["processedAt"]))), t["step_mail_sent"]
            )
        if self._later(job):
            return _step("done", "", t["step_mail_later"])
        return _step("waiting", t["waiting"])

    def _later(self, job: dict[str, Any] | None) -> bool:
        """Whether the job is done and its mail is not there because a summary will have it."""
        done = self._parts.summaries and job and job["status"] == "completed"
        return bool(done and job and time.time() - _moment(job["processedAt"]) > LATER_SECONDS)


def _step(state: str, at: str, note: str = "") -> dict[str, Any]:
    return {"state": state, "at": at, "note": note}


def _taken(session: dict[str, Any], job: dict[str, Any] | None, t: dict[str, str]) -> dict[str, Any]:
    if not job or not job["startedAt"]:
        return _step("waiting", t["waiting"])
    values = {"attempts": job["attempts"], "most": job["maxAttempts"], "status": t[f"status_{job['status']}"]}
    note = t["step_job_note"].format(**values)
    return _step("done", t["after"].format(ms=_after(session, _moment(job["startedAt"]))), note)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _after(session: dict[str, Any], moment: float) -> int:
    """Milliseconds after the sign-in; 0 where two clocks disagree by a little."""
    return max(0, round(1000 * (moment - float(session["at"]))))


def welcome_routes(pages: Pages, panel: Panel) -> list[Any]:
    """`/welcome`, what its script asks for, and the mail in its frame."""

    @get("/welcome", include_in_schema=False)
    async def welcome(request: Request[Any, Any, Any]) -> Response[Any]:
        session = pages.session(request)
        if session is None:
            return Redirect("/", status_code=303, headers=headers())
        state, links = await panel.state(session, language_of(request)), await panel.links(session)
        return pages.page(request, "welcome.html", state=state, links=links, kept=panel.kept)

    @get("/welcome/state", include_in_schema=False)
    async def state(request: Request[Any, Any, Any]) -> Response[Any]:
        session = pages.session(request)
        if session is None:
            return Response({"over": True}, status_code=401, headers=headers())
        return json_answer(await panel.state(session, language_of(request)))

    @get("/welcome/mail", include_in_schema=False)
    async def mail(request: Request[Any, Any, Any]) -> Response[str]:
        session = pages.session(request)
        found = await panel.mail(session) if session else None
        return Response(
            found.html if found else "", status_code=200 if found else 404, media_type="text/html",
            headers=headers(MAIL_POLICY),
        )  # fmt: skip

    return [welcome, state, mail]
