"""What an operator sees and does, over HTTP: numbers of now, live events, jobs, acts and their trail."""

from yellowbooks.operators.live import live_routes
from yellowbooks.operators.now import Now
from yellowbooks.operators.watch import Watch

__all__ = ["Now", "Watch", "live_routes"]
