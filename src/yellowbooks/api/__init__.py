"""The HTTP API."""

from yellowbooks.api.app import ApiParts, create_app
from yellowbooks.api.audit import Audit
from yellowbooks.api.dead_letters import dead_job
from yellowbooks.api.door import Door
from yellowbooks.api.filter import Filter, chosen_jobs
from yellowbooks.api.jobs import Find
from yellowbooks.api.keys import Gate, Keys, operator_of, still_in
from yellowbooks.api.operation import NOT_BLANK, described, schema_of
from yellowbooks.api.origin import own_page
from yellowbooks.api.problems import problem

__all__ = [
    "NOT_BLANK", "ApiParts", "Audit", "Door", "Filter", "Find", "Gate", "Keys", "chosen_jobs", "create_app",
    "dead_job", "described", "operator_of", "own_page", "problem", "schema_of", "still_in",
]  # fmt: skip
