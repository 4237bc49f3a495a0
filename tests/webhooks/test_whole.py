"""A whole system: the request of an identity provider becomes one mail, however often it comes."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.test_up import System, start
from tests.webhooks.cases import PLAIN, RECORDED, SECRETS, STANDARD, fresh, signed

__all__ = ["start"]
by_name = {path.stem: path for path in RECORDED}


def send(system: System, source: str, body: Any, **how: Any) -> tuple[int, Any]:
    data = json.dumps(body, ensure_ascii=False).encode()
    request = urllib.request.Request(f"{system.url}/api/webhooks/{source}", data, signed(source, data, **how))
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_from_a_signed_event_to_one_mail(start: Callable[..., System]) -> None:
    secrets = f"clerk:{STANDARD},auth0:{PLAIN},supabase:{SECRETS['supabase']}"
    up = start(YB_WEBHOOK_SECRETS=secrets)
    clerk, auth0, supabase = (fresh(by_name[name]) for name in ("clerk", "auth0", "supabase"))
    for _ in range(3):
        status, answer = send(up, "clerk", clerk)
        assert status in (200, 202), answer
        assert send(up, "auth0", [auth0, auth0])[0] in (200, 202)
        assert send(up, "supabase", supabase) == (200, {"claims": supabase["claims"]})
    assert send(up, "clerk", clerk, secret=SECRETS["own"].replace("M", "N"))[0] == 401
    assert send(up, "workos", fresh(by_name["workos"]))[0] == 404
    for job in (answer["jobId"], f"auth0.{auth0['log_id']}", f"supabase.{supabase['claims']['session_id']}"):
        up.follow(job, "completed")
    page = up.ask("GET", "/inbox")[1]
    assert re.search(r">(\d+) of \1 mails", page.replace("\n", ""))[1] == "3"  # type: ignore[index]  # one for each event
    assert page.count("<span>bat@example.com</span>") == 3
