"""Runs one role of the system in this process."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import uvloop

from yellowbooks.health import answer
from yellowbooks.jobs import Worker, parts_of
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.alerts import alert_watch
from yellowbooks.wiring.log import database_url, log_retention
from yellowbooks.wiring.mail import make_mailer
from yellowbooks.wiring.metrics import breakers, counted
from yellowbooks.wiring.notices import worker_kinds
from yellowbooks.wiring.queue import look_at_server, open_queue, schedules
from yellowbooks.wiring.tracing import close_tracing, make_tracing

Stop = Callable[[asyncio.Event, asyncio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Roles:
    """Runs one role of the system in this process, until it is told to stop.

    A role that somebody started by hand says that it is ready; for those of `up` its first screen does.
    """

    settings: Settings
    tell: Tell
    announced: bool

    def worker(self, grace: float, health_port: int | None = None, health_host: str | None = None) -> None:
        """Claim and run jobs. `grace` is how many seconds running jobs get at the end.

        On `health_port` of `health_host`, or of YB_HOST, it says whether it is alive.
        """
        beside = open_queue(self.settings)
        known, tell = breakers(beside, self.tell)
        mailer, tracing = make_mailer(self.settings, tell), make_tracing(self.settings, "worker")
        mailer = tracing.mailer(mailer) if tracing else mailer
        every = worker_kinds(self.settings, mailer, beside, self.tell)
        every = [tracing.kind(kind) for kind in every] if tracing else every

        async def run(stop: asyncio.Event, at_once: asyncio.Event) -> None:
            await look_at_server(self.settings, self.tell)
            worker = Worker(
                lambda: open_queue(self.settings),
                every,
                concurrency=self.settings.concurrency,
                grace=grace,
                tell=self.tell,
                schedules=schedules(self.settings),
            )
            health = await self._health(health_host or self.settings.host, health_port, worker)
            self._announce(kinds=",".join(kind.name for kind in every))
            try:
                await worker.run(stop, at_once)
            finally:
                if health:
                    health.close()
                await mailer.aclose()
                await known.aclose()
                await beside.close()
                await close_tracing(tracing)

        _run(run)

    def recorder(self) -> None:
        """Write the job log from the engine's events."""
        from yellowbooks.joblog import DriftWatch, JobLog, Recorder

        try:
            log = JobLog(database_url(self.settings))
        except ValueError as error:
            raise SettingsError(f"YB_DATABASE_URL: {error}") from None
        retention = log_retention(self.settings)

        async def run(stop: asyncio.Event, _at_once: asyncio.Event) -> None:
            await look_at_server(self.settings, self.tell)
            queue = open_queue(self.settings)
            watch, close_watch = alert_watch(self.settings, queue, self.tell)
            try:
                sources = [counted(part, self.tell) for part in parts_of(queue)]
                recorders = [
                    Recorder(
                        source,
                        log,
                        on_trouble=lambda trouble: self.tell("log_away", error=trouble),
                        on_recovered=lambda: self.tell("log_back"),
                        keep=self.settings.log_payloads,  # type: ignore[arg-type]  # the parser takes no other word
                        retention=retention,
                    )
                    for source, _ in sources
                ]
                self._announce()
                counting = [teller.run(stop) for _, teller in sources]
                drift = DriftWatch(queue, log).run(stop)
                alerting = [watch.run(stop)] if watch else []
                await asyncio.gather(*(recorder.run(stop) for recorder in recorders), *counting, *alerting, drift)
            finally:
                log.close()
                await close_watch()
                await queue.close()

        _run(run)

    def api(self, listener: socket.socket) -> None:
        """Serve HTTP on a socket that is already bound."""
        from yellowbooks.wiring.app import make_app
        from yellowbooks.wiring.edge import Edge
        from yellowbooks.wiring.serve import serve

        url = "http://{}:{}".format(*listener.getsockname()[:2])
        drain = self.settings.drain if self.announced else 0.0  # nobody stands before the API of `up`
        edge = Edge(self.settings, self.tell)
        app = partial(make_app, self.settings, self.tell, edge)
        serve(app, listener, edge, drain, self.tell, lambda: self._announce(url=url))

    async def _health(self, host: str, port: int | None, worker: Worker) -> asyncio.Server | None:
        if port is None:
            return None
        try:
            return await answer(host, port, worker.stalled)
        except OSError as error:
            raise SettingsError(f"--health-port: {port} cannot be used ({error.strerror}); take another") from None

    def _announce(self, **fields: str) -> None:
        if self.announced:
            self.tell("ready", **fields)


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
