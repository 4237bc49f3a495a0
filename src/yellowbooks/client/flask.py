"""The hook for Flask-Login: every `login_user` is told of."""

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask_login import user_logged_in

from yellowbooks.client.address import client_ip
from yellowbooks.client.client import Client

Told = Callable[[Any], str | None]


def connect(
    app: Flask, client: Client, *, provider: str | Told = "password", trusted_proxies: int = 0,
    email: Told = lambda user: getattr(user, "email", None), name: Told = lambda user: getattr(user, "name", None),
) -> None:  # fmt: skip
    """Hand every sign-in of the app to the client; a user without an e-mail address gets none.

    `provider`, `email` and `name` may be functions of the user. `trusted_proxies` is how many proxies of your own stand
    before the app. A session that a cookie brings back is no sign-in. Nothing that goes wrong here is raised.
    """

    def told(_app: Flask, user: Any, **_: Any) -> None:
        try:
            if address := email(user):
                client.signed_in(
                    user_id=user.get_id(),
                    email=address,
                    provider=(provider(user) if callable(provider) else provider) or "password",
                    name=name(user),
                    ip_address=client_ip(
                        request.remote_addr, ",".join(request.headers.getlist("X-Forwarded-For")), trusted_proxies
                    ),
                    user_agent=request.headers.get("User-Agent"),
                )
        except Exception as error:
            client.tell("failed", why=f"{type(error).__name__}: {error}")

    user_logged_in.connect(told, app, weak=False)
