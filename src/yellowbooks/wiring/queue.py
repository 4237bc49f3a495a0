"""The queue at YB_VALKEY_URL, and the kinds of job that are run on it."""

import importlib
from dataclasses import replace
from typing import Any

from yellowbooks import __version__, signin
from yellowbooks.jobs import (
    Backoff,
    Kind,
    Partitions,
    Queue,
    QueueUnavailable,
    Rate,
    Schedule,
    Seal,
    Unfit,
    WrongPartitions,
    agree,
    unhandled,
)
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.finding import search_secret

SIGN_IN = "signin-notification"
FLOOD = 1000  # sign-ins of one user in a window that are taken where the limit bounds the mails and not the sign-ins


def kinds(settings: Settings, handler: signin.Handler | None = None) -> list[Kind[Any]]:
    """Sign-in notification, then one kind from each module of YB_KINDS. Raises `SettingsError`."""
    limit, window = settings.rate_limit
    attempts, base = settings.retry
    rate, backoff = Rate(max(limit, FLOOD) if settings.notify else limit, window), Backoff(attempts, base)
    quota = Rate(*settings.smtp_rate) if settings.smtp_rate else None
    finder = sign_in_finder(settings)
    first = signin.kind(handler or unhandled, rate=rate, backoff=backoff, quota=quota, finder=finder)
    found: list[Kind[Any]] = [first, *(_kind_of(module) for module in settings.kinds)]
    if len({kind.name for kind in found}) < len(found):
        raise SettingsError("YB_KINDS: two kinds have one name; rename one of them")
    return sealed(settings, found)


def sealed(settings: Settings, found: list[Kind[Any]]) -> list[Kind[Any]]:
    """The kinds with what seals their payloads, where YB_SECRET_KEYS is set."""
    seal = make_seal(settings)
    return [replace(kind, seal=seal) for kind in found] if seal else found


def sign_in_finder(settings: Settings) -> signin.SignInFinder:
    """What mails about sign-ins are found by."""
    return signin.SignInFinder(lambda: search_secret(settings), (settings.mail_secret or "").encode())


def make_seal(settings: Settings) -> Seal | None:
    """What seals the payloads; None without YB_SECRET_KEYS."""
    if not settings.secret_keys:
        return None
    from yellowbooks.sealing import Keyring

    return Keyring(settings.secret_keys)


def schedules(settings: Settings) -> list[Schedule]:
    """The `SCHEDULES` of the modules of YB_KINDS, where they have some."""
    return [one for module in settings.kinds for one in getattr(importlib.import_module(module), "SCHEDULES", ())]


def _kind_of(module: str) -> Kind[Any]:
    try:
        kind = importlib.import_module(module).KIND
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"YB_KINDS: {module} has no KIND ({error}); see examples/hello.py") from error
    if not isinstance(kind, Kind):
        raise SettingsError(f"YB_KINDS: {module}.KIND is no yellowbooks.jobs.Kind; see examples/hello.py")
    return kind


def open_queue(settings: Settings) -> Queue:
    """The queue at YB_VALKEY_URL. Raises `SettingsError` where it is not set."""
    if not settings.valkey_url:
        raise SettingsError(
            "YB_VALKEY_URL: is not set; for example YB_VALKEY_URL=valkey://127.0.0.1:6379/0, or run `up`"
        )
    options: dict[str, Any] = {
        "lease": settings.lease_seconds,
        "retention": settings.retention,
        "replicas": settings.replicas,
        "log_backlog": (settings.log_backlog_megabytes << 20) // settings.partitions,
        "release": __version__,
    }
    try:
        if settings.partitions > 1:
            return Partitions(settings.valkey_url, settings.partitions, **options)
        queue = Queue(settings.valkey_url, **options)
    except ValueError as error:
        raise SettingsError(f"YB_VALKEY_URL: its value {error}") from None
    queue.link.before = lambda: agree(queue, 1)
    return queue


async def look_at_server(settings: Settings, tell: Tell) -> None:
    """Raises `SettingsError` where the queue's server would lose jobs; one that is away is looked at later."""
    queue = open_queue(settings)
    try:
        for warning in await queue.ping():
            tell("weak", warning=warning)
    except Unfit as error:
        raise SettingsError(f"YB_VALKEY_URL: {error}") from None
    except WrongPartitions as error:
        raise SettingsError(f"YB_PARTITIONS: {error}") from None
    except QueueUnavailable as error:
        tell("queue_away", error=str(error))
    finally:
        await queue.close()


def beside_up(settings: Settings) -> Settings:
    """For commands: where YB_VALKEY_URL is not set, the Valkey that `up` runs on this data folder."""
    path = settings.data_dir / "valkey.sock"
    return settings if settings.valkey_url or not path.exists() else replace(settings, valkey_url=f"unix://{path}")
