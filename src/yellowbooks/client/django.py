"""The hook for Django's `user_logged_in`, and by it for allauth and whatever else signs in with Django's `login`."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth.signals import user_logged_in
from django.db import transaction

from yellowbooks.client.address import client_ip
from yellowbooks.client.client import Client

Told = Callable[[Any, Any], str]
Skip = Callable[[Any, Any], bool]


def how(request: Any, user: Any) -> str:
    """How the user signed in: allauth's provider or method where allauth did it, else «password»."""
    if apps.is_installed("allauth.account"):
        from allauth.account.authentication import get_authentication_records  # noqa: PLC0415  only where it is used

        records = get_authentication_records(request, user)
        social = [one["provider"] for one in records if one.get("method") == "socialaccount" and one.get("provider")]
        if social or records:
            return str(social[-1] if social else records[0]["method"])
    return "password"


def connect(
    client: Client, *, provider: str | Told = how, trusted_proxies: int = 0, skip: Skip = lambda _request, _user: False
) -> None:
    """Hand every sign-in to the client, when its transaction is through; a user without an e-mail address gets none.

    Call it once, in an `AppConfig.ready`. `trusted_proxies` is how many proxies of your own stand before Django. `skip`
    says which are none, such as one in which staff takes a user's place. Nothing that goes wrong here is raised.
    """

    def told(sender: Any, request: Any, user: Any, **_: Any) -> None:  # noqa: ARG001  Django gives it by name
        try:
            email = getattr(user, user.get_email_field_name(), None)
            if not email or skip(request, user):
                return
            meta = getattr(request, "META", {})
            who: dict[str, Any] = {
                "user_id": user.pk,
                "email": email,
                "provider": provider(request, user) if callable(provider) else provider,
                "name": user.get_full_name() if hasattr(user, "get_full_name") else None,
                "ip_address": client_ip(meta.get("REMOTE_ADDR"), meta.get("HTTP_X_FORWARDED_FOR"), trusted_proxies),
                "user_agent": meta.get("HTTP_USER_AGENT"),
            }
            transaction.on_commit(lambda: _hand_over(client, who))
        except Exception as error:
            client.tell("failed", why=f"{type(error).__name__}: {error}")

    user_logged_in.connect(told, weak=False, dispatch_uid="yellowbooks")


def _hand_over(client: Client, who: dict[str, Any]) -> None:
    try:
        client.signed_in(**who)
    except Exception as error:
        client.tell("failed", why=f"{type(error).__name__}: {error}")
