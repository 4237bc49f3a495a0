"""Signed webhooks: sign-ins that identity providers tell of, each in its own words and with its own proof."""

from typing import TYPE_CHECKING, Any

from yellowbooks.webhooks.intake import Admit, Intake
from yellowbooks.webhooks.normal import Ignored, SignedIn
from yellowbooks.webhooks.schemes import Forged, Sent, StandardWebhooks
from yellowbooks.webhooks.sources import SOURCES, Source

if TYPE_CHECKING:
    from yellowbooks.webhooks.route import webhook_route

__all__ = [
    "SOURCES",
    "Admit",
    "Forged",
    "Ignored",
    "Intake",
    "Sent",
    "SignedIn",
    "Source",
    "StandardWebhooks",
    "webhook_route",
]


def __getattr__(name: str) -> Any:
    # The web framework comes with the route alone: a worker, which only checks the settings, does without its 20 MB.
    if name != "webhook_route":
        raise AttributeError(name)
    from yellowbooks.webhooks.route import webhook_route

    return webhook_route
