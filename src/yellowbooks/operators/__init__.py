"""What an operator sees and does, over HTTP: numbers of now, live events, jobs, acts and their trail."""

from yellowbooks.operators.acts import DelayedActs, act_routes
from yellowbooks.operators.audit import Trail, audit_route
from yellowbooks.operators.desk import Desk, Log, Mails, Rendered
from yellowbooks.operators.finding import finding_routes
from yellowbooks.operators.lately import series_route
from yellowbooks.operators.limits import SuppressedOnes, limit_routes
from yellowbooks.operators.live import live_routes
from yellowbooks.operators.now import Now
from yellowbooks.operators.page import page_route
from yellowbooks.operators.shapes import Suppressed
from yellowbooks.operators.touching import touching_routes
from yellowbooks.operators.watch import Watch

__all__ = [
    "DelayedActs",
    "Desk",
    "Log",
    "Mails",
    "Now",
    "Rendered",
    "Suppressed",
    "SuppressedOnes",
    "Trail",
    "Watch",
    "act_routes",
    "audit_route",
    "finding_routes",
    "limit_routes",
    "live_routes",
    "page_route",
    "series_route",
    "touching_routes",
]
