"""Who may call what: one table. A route or a role that is not in it fails the tests; add a line each."""

import re
from collections.abc import Awaitable, Callable

import httpx

from tests.security.whole import CALLER, OPERATOR, bearer

Role = Callable[[httpx.AsyncClient], Awaitable[dict[str, str]]]
"""What the role sends with a request; it may sign in with the client first."""


def sends(**headers: str) -> Role:
    """A role that is known by its headers alone."""

    async def give(_client: httpx.AsyncClient) -> dict[str, str]:
        return headers

    return give


async def sign_in(client: httpx.AsyncClient) -> dict[str, str]:
    """What a browser sends, and the script of our page."""
    reply = await client.post("/dashboard/login", data={"key": OPERATOR, "name": "bat"})
    cookie = reply.headers["set-cookie"].partition(";")[0]
    page = await client.get("/dashboard", headers={"Cookie": cookie})
    [csrf] = re.findall(r'<meta name="csrf" content="(\w+)">', page.text)
    return {"Cookie": cookie, "X-CSRF-Token": csrf, "Sec-Fetch-Site": "same-origin"}


# A role a line.
ROLES: dict[str, Role] = {
    "nobody": sends(),
    "stranger": sends(Authorization="Bearer a-key-that-nobody-made"),
    "caller": sends(**bearer(CALLER)),
    "operator": sends(**bearer(OPERATOR)),
    "session": sign_in,  # a browser whose operator has signed in, on a page of ours
}

# Whom a rule lets in. Whom it does not: 401, or 403 where a key is known and may not do this.
RULES: dict[str, set[str]] = {
    "open": {*ROLES},
    "callers": {"caller", "operator"},
    "operators": {"operator", "session"},
    "forms": {"operator"},  # of a session a form proves itself by a field, which it does not have here
    "choose": {*ROLES} - {"session"},
    "signature": set(),  # of a webhook's sender: no key of ours opens it
}

# A route a line. `open` ones have their reason.
ROUTES: dict[str, str] = {
    "POST /api/jobs/signin-notification": "callers",
    "GET /api/jobs/{job_id}": "callers",
    "POST /api/webhooks/{source}": "signature",
    "GET /metrics": "callers",  # asked from another machine
    "GET /healthz": "open",  # says that the process lives, to a balancer without a key
    "GET /readyz": "open",
    "GET /schema": "open",  # the document is in the source too
    "GET /schema/openapi.json": "open",
    "GET /schema/{path}": "open",
    "GET /not-me/{token}": "open",  # the token in the address is the key to it
    "HEAD /not-me/{token}": "open",
    "POST /not-me/{token}": "open",
    "GET /api/events": "operators",
    "GET /api/admin/now": "operators",
    "GET /api/admin/series": "operators",
    "GET /api/admin/kinds": "operators",
    "POST /api/admin/kinds/{kind}/pause": "operators",
    "POST /api/admin/kinds/{kind}/resume": "operators",
    "GET /api/admin/suppressions": "operators",
    "DELETE /api/admin/suppressions/{key}": "operators",
    "GET /api/admin/search": "operators",
    "GET /api/admin/audit": "operators",
    "GET /api/admin/acts/{act_id}": "operators",
    "DELETE /api/admin/acts/{act_id}": "operators",
    "POST /api/admin/bounces": "operators",
    "GET /api/admin/jobs": "operators",
    "GET /api/admin/jobs/{job_id}": "operators",
    "GET /api/admin/jobs/{job_id}/mail": "operators",
    "POST /api/admin/jobs/{job_id}/cancel": "operators",
    "POST /api/admin/jobs/{job_id}/reveal": "operators",
    "GET /api/admin/dlq": "operators",
    "GET /api/admin/dlq/causes": "operators",
    "POST /api/admin/dlq/retry": "operators",
    "POST /api/admin/dlq/discard": "operators",
    "GET /api/admin/dlq/{job_id}": "operators",
    "PATCH /api/admin/dlq/{job_id}": "operators",
    "DELETE /api/admin/dlq/{job_id}": "operators",
    "POST /api/admin/dlq/{job_id}/retry": "operators",
    "GET /dashboard": "operators",
    "GET /dashboard/audit": "operators",
    "GET /dashboard/dead": "operators",
    "GET /dashboard/jobs": "operators",
    "GET /dashboard/jobs/{job_id}": "operators",
    "GET /dashboard/limits": "operators",
    "GET /dashboard/files/{digest}/{name}": "open",  # style and words, for the page where one signs in
    "GET /dashboard/login": "open",
    "POST /dashboard/login": "open",  # here without a key in the form: 422
    "POST /dashboard/logout": "forms",
    "POST /dashboard/choose": "choose",  # sets the language and the look, and nothing else
    "GET /inbox": "operators",
    "GET /inbox/events": "operators",
    "GET /inbox/live.js": "operators",
    "GET /inbox/style.css": "operators",
    "GET /inbox/{mail_id}": "operators",
    "GET /inbox/{mail_id}/html": "operators",
    "GET /inbox/{mail_id}/source": "operators",
    "GET /inbox/{mail_id}/text": "operators",
}

PAGES = ("/dashboard", "/inbox", "/not-me/", "/schema")
"""What is for browsers, or is the document itself, and so does not stand in the document."""

VALUES = {"source": "own", "kind": "signin-notification", "path": "x"}
"""Of a path; every other name of one gets an id that nobody has."""
