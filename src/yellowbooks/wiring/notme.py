"""«This was not me»: the link in mails, the page behind it and the webhook, where all that they need is set."""

from typing import TYPE_CHECKING, Any

from yellowbooks.jobs import Kind, Queue
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.queue import sealed

if TYPE_CHECKING:
    from yellowbooks.notme import Links


def links(settings: Settings) -> "Links | None":
    """Makes the links; None unless the page, its keys and what it acts on are all set. Raises `SettingsError`."""
    needed = {
        "YB_PUBLIC_URL": settings.public_url, "YB_LINK_KEYS": settings.link_keys,
        "YB_REVOKE_URL": settings.revoke_url, "YB_REVOKE_SECRETS": settings.revoke_secrets,
    }  # fmt: skip
    missing = [name for name, value in needed.items() if not value]
    if not settings.link_keys and not settings.revoke_url:
        return None
    if missing:
        raise SettingsError(
            f"{missing[0]}: is not set, and without it nobody can say «this was not me»; set it, or unset YB_LINK_KEYS "
            "and YB_REVOKE_URL"
        )
    from yellowbooks.notme import Links

    return Links(settings.public_url or "", settings.link_keys)


def revoke_keys(settings: Settings) -> list[bytes]:
    """The keys that sign the webhook. Raises `SettingsError`."""
    from yellowbooks.notme import webhook_key

    try:
        return [webhook_key(secret) for secret in settings.revoke_secrets]
    except ValueError as error:
        raise SettingsError(
            f"YB_REVOKE_SECRETS: a secret {error}; a good one: python3 -c 'import base64, secrets; "
            'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
        ) from None


def not_me_kinds(settings: Settings) -> list[Kind[Any]]:
    """The kind that tells the application, for a worker; none where there are no links."""
    if not links(settings):
        return []
    from yellowbooks.notme import Revoker, not_me_kind

    return sealed(settings, [not_me_kind(Revoker(settings.revoke_url or "", revoke_keys(settings)))])


def not_me_routes(settings: Settings, queue: Queue) -> list[Any]:
    """The page; none where there are no links."""
    ours = links(settings)
    if not ours:
        return []
    from yellowbooks import notme

    [kind] = sealed(settings, [notme.not_me_kind()])
    return notme.not_me_routes(ours, queue, kind)
