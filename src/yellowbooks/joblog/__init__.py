"""The job log: what became of every job, in SQL, long after the queue has forgotten it."""

from yellowbooks.joblog.log import JobLog, LogUnavailable
from yellowbooks.joblog.recorder import Recorder, Source

__all__ = ["JobLog", "LogUnavailable", "Recorder", "Source"]
