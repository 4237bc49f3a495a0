"""The HTTP API."""

from yellowbooks.api.app import ApiParts, create_app
from yellowbooks.api.jobs import Find
from yellowbooks.api.problems import problem

__all__ = ["ApiParts", "Find", "create_app", "problem"]
