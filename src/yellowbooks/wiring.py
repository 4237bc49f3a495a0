"""Settings in, parts out: the only file that knows every part."""

import asyncio
import importlib
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from yellowbooks import __version__, signin
from yellowbooks.health import answer
from yellowbooks.jobs import (
    Backoff,
    Job,
    Kind,
    Partitions,
    Queue,
    QueueUnavailable,
    Rate,
    Schedule,
    Unfit,
    Worker,
    WrongPartitions,
    agree,
    unhandled,
)
from yellowbooks.mail import (
    BounceIntake,
    Bounds,
    Inbox,
    Key,
    Mailer,
    Signer,
    SmtpMailer,
    SmtpServer,
    SuppressionList,
    mailbox,
)
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

MAIL_TAG = "{yb:mail}"  # where the list of suppressed addresses is
Stop = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Roles:
    """Runs one role of the system in this process, until it is told to stop.

    A role that somebody started by hand says that it is ready; for those of `up` its first screen does.
    """

    settings: Settings
    tell: Tell
    announced: bool

    def worker(self, grace: float, health_port: int | None = None) -> None:
        """Claim and run jobs. `grace` is how many seconds running jobs get at the end.

        On `health_port` of YB_HOST it says whether it is alive.
        """
        mailer = make_mailer(self.settings, self.tell)
        beside = open_queue(self.settings)
        handler = sign_in_handler(self.settings, mailer, beside, self.tell)
        worker_kinds = kinds(self.settings, handler)

        async def run(stop: asyncio.Event, at_once: asyncio.Event) -> None:
            await look_at_server(self.settings, self.tell)
            worker = Worker(
                lambda: open_queue(self.settings),
                worker_kinds,
                concurrency=self.settings.concurrency,
                grace=grace,
                tell=self.tell,
                schedules=schedules(self.settings),
            )
            health = await self._health(health_port, worker)
            self._announce(kinds=",".join(kind.name for kind in worker_kinds))
            try:
                await worker.run(stop, at_once)
            finally:
                if health:
                    health.close()
                await mailer.aclose()
                await beside.close()

        _run(run)

    def recorder(self) -> None:
        """Write the job log from the engine's events."""
        from yellowbooks.joblog import JobLog, Recorder

        try:
            log = JobLog(database_url(self.settings))
        except ValueError as error:
            raise SettingsError(f"YB_DATABASE_URL: {error}") from None

        async def run(stop: asyncio.Event, _at_once: asyncio.Event) -> None:
            await look_at_server(self.settings, self.tell)
            queue = open_queue(self.settings)
            try:
                recorders = [
                    Recorder(
                        part,
                        log,
                        on_trouble=lambda trouble: self.tell("log_away", error=trouble),
                        on_recovered=lambda: self.tell("log_back"),
                    )
                    for part in (queue.parts if isinstance(queue, Partitions) else [queue])
                ]
                self._announce()
                await asyncio.gather(*(recorder.run(stop) for recorder in recorders))
            finally:
                log.close()
                await queue.close()

        _run(run)

    def api(self, listener: socket.socket) -> None:
        """Serve HTTP on a socket that is already bound."""
        import uvicorn

        config = uvicorn.Config(
            lambda: self._app(lambda: server.should_exit), factory=True,
            log_config=None, access_log=False, server_header=False, date_header=True,
            timeout_graceful_shutdown=3, loop="uvloop", http="httptools", ws="none", lifespan="on",
        )  # fmt: skip
        self._announce(url="http://{}:{}".format(*listener.getsockname()[:2]))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it is done: end with 0
        server = uvicorn.Server(config)
        server.run(sockets=[listener])

    async def _health(self, port: int | None, worker: Worker) -> asyncio.Server | None:
        if port is None:
            return None
        try:
            return await answer(self.settings.host, port, worker.stalled)
        except OSError as error:
            raise SettingsError(f"--health-port: {port} cannot be used ({error.strerror}); take another") from None

    def _announce(self, **fields: str) -> None:
        if self.announced:
            self.tell("ready", **fields)

    def _app(self, stopping: Callable[[], bool]) -> Any:
        from yellowbooks.api import ApiParts, create_app

        queue = open_queue(self.settings)
        return create_app(
            ApiParts(
                queue=queue,
                kinds=kinds(self.settings),
                find=_LogReader(self.settings).find,
                inbox=None if self.settings.smtp_url else open_inbox(self.settings),
                api_keys=self.settings.api_keys,
                admin_keys=self.settings.admin_keys,
                tell=self.tell,
                close=queue.close,
                bounces=bounce_intake(self.settings, queue),
                stopping=stopping,
            )
        )


class _LogReader:
    """Opens the job log at the first look: an API that is never asked about old jobs does without SQLAlchemy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log: JobLog | None = None

    async def find(self, job_id: str) -> Job | None:
        return await asyncio.to_thread(self._find, job_id)

    def _find(self, job_id: str) -> Job | None:
        from yellowbooks.joblog import JobLog, LogUnavailable

        self._log = self._log or JobLog(database_url(self._settings))
        try:
            return self._log.find(job_id)
        except LogUnavailable as error:
            raise ConnectionError(str(error)) from error


def kinds(settings: Settings, handler: signin.Handler | None = None) -> list[Kind[Any]]:
    """Sign-in notification, then one kind from each module of YB_KINDS. Raises `SettingsError`."""
    limit, window = settings.rate_limit
    attempts, base = settings.retry
    rate, backoff = Rate(limit, window), Backoff(attempts, base)
    quota = Rate(*settings.smtp_rate) if settings.smtp_rate else None
    first = signin.kind(handler or unhandled, rate=rate, backoff=backoff, quota=quota)
    found: list[Kind[Any]] = [first, *(_kind_of(module) for module in settings.kinds)]
    if len({kind.name for kind in found}) < len(found):
        raise SettingsError("YB_KINDS: two kinds have one name; rename one of them")
    return found


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


def open_inbox(settings: Settings) -> Inbox:
    """The inbox in the data folder."""
    return Inbox(settings.data_dir / "inbox")


def open_letters(settings: Settings) -> signin.Letters:
    """The letters, with the templates of YB_TEMPLATES_DIR. Raises `SettingsError`."""
    try:
        return signin.Letters(settings.templates_dir)
    except signin.TemplateFault as error:
        raise SettingsError(f"YB_TEMPLATES_DIR: {error}") from None


def _quiet(_word: str, **_fields: Any) -> None:
    """Nobody listens."""


def make_mailer(settings: Settings, tell: Tell = _quiet) -> Mailer:
    """SMTP where YB_SMTP_URL is set, else the inbox. Raises `SettingsError`."""
    if not settings.smtp_url:
        return open_inbox(settings)
    try:
        servers = tuple(SmtpServer.parse(url) for url in settings.smtp_url)
        helo = mailbox(settings.mail_from).address.rpartition("@")[2]
    except ValueError as error:
        raise SettingsError(f"YB_SMTP_URL or YB_MAIL_FROM: {error}") from None
    return SmtpMailer(servers, helo, bounds=Bounds(sessions=settings.smtp_connections), tell=tell)


def make_signer(settings: Settings) -> Signer:
    """Signs by the keys of YB_DKIM; with none it leaves a mail as it is. Raises `SettingsError`."""
    try:
        keys = [Key.read(selector, path) for selector, path in settings.dkim]
    except ValueError as error:
        raise SettingsError(f"YB_DKIM: {error}") from None
    return Signer(mailbox(settings.mail_from).address.rpartition("@")[2], keys)


def sign_in_handler(settings: Settings, mailer: Mailer, queue: Queue, tell: Tell = _quiet) -> signin.SignInHandler:
    """What does the sign-in job; `queue` lends its connections to the list of suppressed addresses."""
    return signin.SignInHandler(
        open_letters(settings),
        mailer,
        mailbox(settings.mail_from),
        mail_secret(settings),
        suppressions=suppression_list(settings, queue),
        seal=make_signer(settings).sign,
        tell=tell,
    )


def mail_secret(settings: Settings) -> bytes:
    """What keys Message-IDs and the hashes of addresses; empty where YB_MAIL_SECRET is not set."""
    return (settings.mail_secret or "").encode()


def suppression_list(settings: Settings, queue: Queue) -> SuppressionList:
    """The list of suppressed addresses, over the queue's connections."""

    link = queue.beside(MAIL_TAG)

    async def execute(*command: str | int | bytes) -> Any:
        return await link.reach(lambda: link.wire.execute_command(*command))

    return SuppressionList(execute, mail_secret(settings))


def bounce_intake(settings: Settings, queue: Queue) -> BounceIntake | None:
    """Takes delivery reports in; None without YB_MAIL_SECRET, as anybody could then forge one."""
    secret = mail_secret(settings)
    return BounceIntake(suppression_list(settings, queue), secret) if secret else None


def database_url(settings: Settings) -> str:
    """Where the job log is kept."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'joblog.sqlite3'}"


def check(settings: Settings) -> None:
    """Find the mistakes that only the parts can see, before anything starts. Raises `SettingsError`."""
    kinds(settings)
    if settings.templates_dir:
        open_letters(settings)
    if settings.valkey_url:
        open_queue(settings)
    try:
        mailbox(settings.mail_from)
    except ValueError as error:
        raise SettingsError(f"YB_MAIL_FROM: {error}") from None
    make_signer(settings)
    for url in settings.smtp_url:
        try:
            SmtpServer.parse(url)
        except ValueError as error:
            raise SettingsError(f"YB_SMTP_URL: {error}") from None


def make_data_dir(path: Path) -> None:
    """Make the data folder, for its owner alone. Raises `SettingsError` where it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise SettingsError(
            f"YB_DATA_DIR: {path} cannot be written ({error.strerror}); for example YB_DATA_DIR=./data"
        ) from None


def _run(role: Stop) -> None:
    async def main() -> None:
        stop, at_once = asyncio.Event(), asyncio.Event()

        def end() -> None:
            (at_once if stop.is_set() else stop).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        await role(stop, at_once)

    uvloop.run(main())
