"""What holds the queue at YB_VALKEY_URL and the job log of YB_DATABASE_URL against each other."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from yellowbooks.jobs import Queue
from yellowbooks.settings import Settings
from yellowbooks.wiring.log import database_url
from yellowbooks.wiring.queue import kinds

if TYPE_CHECKING:
    from yellowbooks.joblog import Counts, Finding


async def reconcile(
    settings: Settings, queue: Queue, *, mend: bool, rebuild: bool, hear: "Callable[[Finding], None]"
) -> "Counts":
    """Compare all of both, and keep the drift that is left. Raises `ConnectionError` where one of them is away."""
    from yellowbooks.joblog import JobLog, LogUnavailable, Reconciler, note_drift

    log = JobLog(database_url(settings))
    windows = {kind.name: kind.unique for kind in kinds(settings) if kind.unique}
    comparing = Reconciler(
        queue, log, mend=mend, rebuild=rebuild, keep=settings.log_payloads, windows=windows, hear=hear
    )
    try:
        log.migrate()
        counts = await comparing.run()
        await note_drift(queue, counts)
        return counts
    except LogUnavailable as error:
        raise ConnectionError(str(error)) from error
    finally:
        log.close()
