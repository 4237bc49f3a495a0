"""Who may send webhooks, by YB_WEBHOOK_SECRETS."""

from collections.abc import Awaitable, Callable
from typing import Any

from yellowbooks.intake import Intake as JobIntake
from yellowbooks.jobs import Kind, Receipt
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError

Refuse = Callable[[str, str], None]


def webhook_keys(settings: Settings) -> dict[str, list[bytes]]:
    """The keys of each source that has secrets. Raises `SettingsError` where one is none or the source is unknown."""
    from yellowbooks.webhooks import SOURCES

    keys: dict[str, list[bytes]] = {}
    for name, secret in settings.webhook_secrets:
        if name not in SOURCES:
            raise SettingsError(f"YB_WEBHOOK_SECRETS: there is no source «{name}»; there are {', '.join(SOURCES)}")
        try:
            keys.setdefault(name, []).append(SOURCES[name].scheme.key(secret))
        except ValueError as error:
            raise SettingsError(
                f"YB_WEBHOOK_SECRETS: a secret of {name} {error}; take it from where you set {name}'s webhook up"
            ) from None
    return keys


def webhook_routes(
    settings: Settings, takes: JobIntake, kind: Kind[Any], tell: Tell, refuse: Refuse = lambda _kind, _why: None
) -> list[Any]:
    """`POST /api/webhooks/{source}`, whose sign-ins become jobs of `kind`; `refuse` counts those that do not."""
    from yellowbooks.webhooks import SOURCES, Intake, webhook_route

    def admit(payload: Any, request: str | None) -> Awaitable[tuple[str, Receipt]]:
        return takes.admit(kind, payload, request=request)

    def count(why: str) -> None:
        refuse(kind.name, why)

    intakes = {
        name: Intake(name, SOURCES[name], keys, admit, tell, count) for name, keys in webhook_keys(settings).items()
    }
    return [webhook_route(intakes)]
