"""The job log of YB_DATABASE_URL."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from yellowbooks.jobs import Job
from yellowbooks.settings import Settings, SettingsError

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

R = TypeVar("R")
EIGHT_DAYS = 8 * 86_400.0


def database_url(settings: Settings) -> str:
    """Where the job log is kept."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'joblog.sqlite3'}"


def log_retention(settings: Settings) -> float:
    """Seconds that rows of ended jobs stay; 0 is for ever. Raises `SettingsError`."""
    longest = max(EIGHT_DAYS, settings.retention)
    if 0 < settings.log_retention < longest:
        raise SettingsError(
            "YB_LOG_RETENTION: is shorter than the queue itself keeps jobs (YB_RETENTION, and 7 days of dead ones), so "
            f"that the two would tell different things; for example YB_LOG_RETENTION={longest / 86_400:.0f}d, or 0d"
        )
    return settings.log_retention


class LogReader:
    """Opens the job log at the first look: an API that is never asked about old jobs does without SQLAlchemy."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log: JobLog | None = None

    async def find(self, job_id: str) -> Job | None:
        """The job as the log has it. Raises `ConnectionError` where the database is away."""
        return await self.ask(lambda log: log.find(job_id))

    async def ask(self, work: Callable[["JobLog"], R]) -> R:
        """What the log answers, asked in a thread. Raises `ConnectionError` where the database is away."""
        return await asyncio.to_thread(self._ask, work)

    def _ask(self, work: Callable[["JobLog"], R]) -> R:
        from yellowbooks.joblog import JobLog, LogUnavailable

        self._log = self._log or JobLog(database_url(self._settings))
        try:
            return work(self._log)
        except LogUnavailable as error:
            raise ConnectionError(str(error)) from error
