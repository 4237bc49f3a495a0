"""The dashboard: pages for the operator. What they show and do goes through the API."""

from yellowbooks.dashboard.door import door_routes
from yellowbooks.dashboard.pages import dashboard_routes
from yellowbooks.dashboard.words import LANGUAGES, Words

__all__ = ["LANGUAGES", "Words", "dashboard_routes", "door_routes"]
