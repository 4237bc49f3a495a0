"""The HTTP API."""

from yellowbooks.api.app import ApiParts, create_app
from yellowbooks.api.audit import Audit
from yellowbooks.api.dead_letters import dead_job
from yellowbooks.api.filter import Filter, chosen_jobs
from yellowbooks.api.jobs import Find
from yellowbooks.api.keys import Gate, operator_of
from yellowbooks.api.operation import NOT_BLANK, described, schema_of
from yellowbooks.api.problems import problem

__all__ = [
    "NOT_BLANK", "ApiParts", "Audit", "Filter", "Find", "Gate", "chosen_jobs", "create_app", "dead_job",
    "described", "operator_of", "problem", "schema_of",
]  # fmt: skip
