"""The engine: a queue of jobs with attempts, leases and dead letters. It knows nothing of e-mail, HTTP or SQL."""

from yellowbooks.jobs.about import About, accounts_about, accounts_of, find_about, fits, look_at_bodies
from yellowbooks.jobs.agree import WrongPartitions, agree
from yellowbooks.jobs.backoff import Backoff
from yellowbooks.jobs.batch import Batch
from yellowbooks.jobs.dead_letters import Wanted, causes, find, page_of, tally
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.finder import KEY_LENGTH, Finder
from yellowbooks.jobs.fitness import Unfit, judge, measure
from yellowbooks.jobs.hiding import Hiding
from yellowbooks.jobs.job import Job, State, failure
from yellowbooks.jobs.kind import JOB_ID, REQUEST_NAME, Fault, Invalid, Kind, Payload, Rate, Recovery, unhandled
from yellowbooks.jobs.lease import Lease, LeaseLost, ThreadLease
from yellowbooks.jobs.link import QueueUnavailable, patiently
from yellowbooks.jobs.outcome import Failure, Paused, Permanent, RetryAfter, Uncertain, Unknown, Unreadable, trace_of
from yellowbooks.jobs.partitions import Partitions, parts_of
from yellowbooks.jobs.payloads import payload_of
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.resealing import reseal
from yellowbooks.jobs.schedule import Schedule
from yellowbooks.jobs.seal import Broken as BrokenSeal
from yellowbooks.jobs.seal import Seal, UnknownKey
from yellowbooks.jobs.standing import Standing, absent, bring_back, know_again, note_partitions, standing
from yellowbooks.jobs.survey import Survey
from yellowbooks.jobs.verbs import Receipt
from yellowbooks.jobs.worker import Worker

__all__ = [
    "JOB_ID",
    "KEY_LENGTH",
    "REQUEST_NAME",
    "About",
    "Backoff",
    "Batch",
    "BrokenSeal",
    "Event",
    "Failure",
    "Fault",
    "Finder",
    "Hiding",
    "Invalid",
    "Job",
    "Kind",
    "Lease",
    "LeaseLost",
    "Partitions",
    "Paused",
    "Payload",
    "Permanent",
    "Queue",
    "QueueUnavailable",
    "Rate",
    "Receipt",
    "Recovery",
    "RetryAfter",
    "Schedule",
    "Seal",
    "Standing",
    "State",
    "Survey",
    "ThreadLease",
    "Uncertain",
    "Unfit",
    "Unknown",
    "UnknownKey",
    "Unreadable",
    "Wanted",
    "Worker",
    "WrongPartitions",
    "absent",
    "accounts_about",
    "accounts_of",
    "agree",
    "bring_back",
    "causes",
    "failure",
    "find",
    "find_about",
    "fits",
    "judge",
    "know_again",
    "look_at_bodies",
    "measure",
    "note_partitions",
    "page_of",
    "parts_of",
    "patiently",
    "payload_of",
    "reseal",
    "standing",
    "tally",
    "trace_of",
    "unhandled",
]
