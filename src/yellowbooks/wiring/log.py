"""The job log of YB_DATABASE_URL."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from yellowbooks.jobs import Job
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

R = TypeVar("R")


def database_url(settings: Settings) -> str:
    """Where the job log is kept."""
    return settings.database_url or f"sqlite:///{settings.data_dir / 'joblog.sqlite3'}"


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
