"""The job log: what became of every job, in SQL, long after the queue has forgotten it."""

from yellowbooks.joblog.histogram import add, percentile
from yellowbooks.joblog.log import JobLog, LogUnavailable
from yellowbooks.joblog.minutes import MinuteCounts
from yellowbooks.joblog.recorder import Recorder, Source
from yellowbooks.joblog.search import JobRow
from yellowbooks.joblog.trail import OperatorAct

__all__ = [
    "JobLog",
    "JobRow",
    "LogUnavailable",
    "MinuteCounts",
    "OperatorAct",
    "Recorder",
    "Source",
    "add",
    "percentile",
]
