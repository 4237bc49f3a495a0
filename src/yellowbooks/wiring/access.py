"""Who may call the API: keys of the settings, and those of `yellowbooks keys issue`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from yellowbooks.access import KeyStore, Ring, Secrets, Sessions
from yellowbooks.jobs import Queue
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.finding import kept_secret
from yellowbooks.wiring.queue import open_queue

if TYPE_CHECKING:
    from yellowbooks.api import Gate

KEYS_TAG = "{yb:keys}"  # where the records of keys are
SECRET_FILE = "keys.secret"  # noqa: S105  a file's name
COPY_FILE = "keys.json"


def key_secrets(settings: Settings) -> Secrets:
    """What keys the hashes of keys: one from each of YB_SECRET_KEYS, then the data folder's own, which is made where
    there is nothing else. Raises `SettingsError`."""
    path = settings.data_dir / SECRET_FILE
    every: list[bytes] = []
    if settings.secret_keys:
        from yellowbooks.sealing import derive  # what it brings is large, and only for who seals

        every = [derive(key, b"yb api keys", 32) for key in settings.secret_keys]
    if not every or path.exists():
        every += [kept] if (kept := kept_secret(path)) else []
    if not every:
        raise SettingsError(
            f"YB_DATA_DIR: {path} cannot be written, and without it keys cannot be hashed; set YB_SECRET_KEYS, or for "
            "example YB_DATA_DIR=./data"
        )
    return Secrets(every)


def key_store(queue: Queue) -> KeyStore:
    """Where keys are kept, over the queue's connections."""
    return KeyStore(queue.beside(KEYS_TAG).execute, KEYS_TAG)


def key_ring(settings: Settings, queue: Queue, tell: Tell) -> Ring:
    """The issued keys as an API knows them. Raises `SettingsError`."""
    return Ring(key_store(queue), key_secrets(settings), settings.data_dir / COPY_FILE, tell)


def open_gate(settings: Settings, queue: Queue, tell: Tell, refused: Callable[[str], None]) -> "Gate":
    """What stands beside the keys of the settings. Raises `SettingsError`."""
    from yellowbooks.api import Gate

    ring = key_ring(settings, queue, tell)
    execute = queue.beside(KEYS_TAG).execute
    sessions = Sessions(execute, key_secrets(settings), lambda: ring.away, KEYS_TAG)
    named = urlsplit(settings.public_url or "").hostname
    return Gate(
        ring,
        sessions,
        closed=settings.exposed,
        refused=refused,
        verify=_fault_of,
        hosts=frozenset({named} if named else ()),
    )


def address_of(settings: Settings) -> Callable[[Any], str]:
    """Says of a request whose address it has, behind YB_TRUSTED_PROXIES."""
    from yellowbooks.edge import sender

    def address(request: Any) -> str:
        peer = request.client.host if request.client else ""
        forwarded = [value.encode("latin-1") for value in request.headers.getall("x-forwarded-for", [])]
        return sender(peer, forwarded, settings.trusted_proxies)

    return address


def _fault_of(headers: Mapping[str, str], body: bytes, at: float, key: bytes) -> str:
    from yellowbooks.webhooks import Forged, Sent, StandardWebhooks

    try:
        StandardWebhooks().verify(Sent(headers, body, at), [key])
    except Forged as error:
        return str(error)
    return ""


def expect_keys(settings: Settings) -> None:
    """Raises `SettingsError` where an `up` would be reached from other machines and no key can be there yet."""
    if _needed(settings) and not settings.valkey_url and not (settings.data_dir / COPY_FILE).exists():
        raise _keyless(
            settings,
            ["api", "admin"],
            "Make them while `yellowbooks up` runs with YB_HOST=127.0.0.1, and start it anew",
        )


async def look_for_keys(settings: Settings, tell: Tell) -> None:
    """Raises `SettingsError` where the API is reached from other machines and there are no keys for it."""
    if not _needed(settings):
        return
    queue = open_queue(settings)
    ring = key_ring(settings, queue, tell)
    try:
        await ring.start()
        fixed = {"api": settings.api_keys, "admin": settings.admin_keys}
        missing = [role for role, keys in fixed.items() if not keys and not ring.live(role)]
    finally:
        await ring.close()
        await queue.close()
    if missing:
        away = "The queue is away, so those that were issued cannot be looked up: start Valkey"
        raise _keyless(settings, missing, away if ring.away else "Make one, with this YB_VALKEY_URL and YB_DATA_DIR")


def _needed(settings: Settings) -> bool:
    return settings.exposed and not (settings.api_keys and settings.admin_keys)


def _keyless(settings: Settings, roles: Sequence[str], what_to_do: str) -> SettingsError:
    issue = " and ".join(f"yellowbooks keys issue --role {role}" for role in roles)
    names = " and ".join(f"YB_{role.upper()}_KEYS" for role in roles)
    return SettingsError(
        f"YB_HOST: {settings.host} is reached from other machines, and there is no key of {' and of '.join(roles)}. "
        f"{what_to_do}: {issue}. Or set {names}, each to what `yellowbooks keys new` prints"
    )
