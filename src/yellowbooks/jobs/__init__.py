"""The engine: a queue of jobs with attempts, leases and dead letters. It knows nothing of e-mail, HTTP or SQL."""

from yellowbooks.jobs.backoff import Backoff
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.job import Job, State
from yellowbooks.jobs.kind import JOB_ID, Fault, Invalid, Kind, Payload, Rate, fingerprint, unhandled
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.outcome import Permanent, RetryAfter, Uncertain
from yellowbooks.jobs.queue import Queue, QueueUnavailable
from yellowbooks.jobs.verbs import Receipt
from yellowbooks.jobs.worker import Worker

__all__ = [
    "JOB_ID",
    "Backoff",
    "Event",
    "Fault",
    "Invalid",
    "Job",
    "Kind",
    "Lease",
    "LeaseLost",
    "Payload",
    "Permanent",
    "Queue",
    "QueueUnavailable",
    "Rate",
    "Receipt",
    "RetryAfter",
    "State",
    "Uncertain",
    "Worker",
    "fingerprint",
    "unhandled",
]
