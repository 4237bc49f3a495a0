"""The hook for Starlette and FastAPI, after Authlib (or whatever else) has said who signs in."""

import hashlib
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from yellowbooks.client.address import client_ip
from yellowbooks.client.aio import AsyncClient


async def signed_in(
    client: AsyncClient, request: Request, user: Mapping[str, Any], *, provider: str, trusted_proxies: int = 0
) -> None:
    """Hand a sign-in over. `user` has the claims of OpenID Connect Core (5.1): `sub`, `email` and, if any, `name`.

    Called in the callback of an OAuth sign-in, where the same callback makes one mail however often it comes.
    `trusted_proxies` is how many proxies of your own stand before the app. Nothing that goes wrong here is raised.
    """
    try:
        if not user.get("email"):
            return
        code = request.query_params.get("code")
        await client.signed_in(
            job_id=hashlib.sha256(f"{provider} {code}".encode()).hexdigest()[:40] if code else None,
            user_id=user["sub"],
            email=str(user["email"]),
            provider=provider,
            name=str(user["name"]) if user.get("name") else None,
            ip_address=client_ip(
                request.client.host if request.client else None,
                ",".join(request.headers.getlist("x-forwarded-for")),
                trusted_proxies,
            ),
            user_agent=request.headers.get("user-agent"),
        )
    except Exception as error:
        client.client.tell("failed", why=f"{type(error).__name__}: {error}")
