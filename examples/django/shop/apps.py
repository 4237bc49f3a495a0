"""What the site does at its start."""

# region hook
from django.apps import AppConfig
from django.conf import settings

from yellowbooks.client import Client


class Shop(AppConfig):
    name = "shop"

    def ready(self) -> None:
        from yellowbooks.client.django import connect

        notifier = Client(settings.YB_URL, key=settings.YB_API_KEY, spool=settings.BASE_DIR / "spool")
        connect(notifier, trusted_proxies=settings.TRUSTED_PROXIES)


# endregion hook
