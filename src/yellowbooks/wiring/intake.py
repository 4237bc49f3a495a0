"""How jobs are taken in: the queue, and the disk while it is away."""

from collections.abc import Sequence
from typing import Any

from yellowbooks.intake import Intake
from yellowbooks.jobs import Kind, Queue
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings
from yellowbooks.spool import Spool


def open_intake(settings: Settings, queue: Queue, kinds: Sequence[Kind[Any]], tell: Tell) -> Intake:
    """With a spool in the data folder, unless YB_SPOOL_MEGABYTES is 0."""
    size = settings.spool_megabytes * 1024 * 1024
    return Intake(queue, kinds, Spool(settings.data_dir / "spool", max_bytes=size) if size else None, tell)
