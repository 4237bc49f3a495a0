"""The job log: what became of every job, in SQL, long after the queue has forgotten it."""

from yellowbooks.joblog.drift import DriftWatch, note_drift, sample_drift
from yellowbooks.joblog.histogram import add, percentile
from yellowbooks.joblog.log import JobLog, LogUnavailable
from yellowbooks.joblog.minutes import MinuteCounts
from yellowbooks.joblog.reconcile import Counts, Finding, Reconciler
from yellowbooks.joblog.recorder import Recorder, Source
from yellowbooks.joblog.search import JobRow
from yellowbooks.joblog.trail import OperatorAct

__all__ = [
    "Counts",
    "DriftWatch",
    "Finding",
    "JobLog",
    "JobRow",
    "LogUnavailable",
    "MinuteCounts",
    "OperatorAct",
    "Reconciler",
    "Recorder",
    "Source",
    "add",
    "note_drift",
    "percentile",
    "sample_drift",
]
