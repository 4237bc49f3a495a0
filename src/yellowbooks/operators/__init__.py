"""What an operator sees and does, over HTTP: numbers of now, live events, jobs, acts and their trail."""

from yellowbooks.operators.desk import Desk, Log, Mails, Rendered
from yellowbooks.operators.finding import finding_routes
from yellowbooks.operators.lately import series_route
from yellowbooks.operators.live import live_routes
from yellowbooks.operators.now import Now
from yellowbooks.operators.page import page_route
from yellowbooks.operators.watch import Watch

__all__ = [
    "Desk",
    "Log",
    "Mails",
    "Now",
    "Rendered",
    "Watch",
    "finding_routes",
    "live_routes",
    "page_route",
    "series_route",
]
