"""Alerts for those without Prometheus: what is wrong is told once to an operator, and told again when it is over."""

from yellowbooks.alerts.rules import Reading, read, troubles
from yellowbooks.alerts.send import Notice, NotSent, Send, webhook
from yellowbooks.alerts.state import AwayNote, State
from yellowbooks.alerts.watch import AlertWatch, Pace

__all__ = [
    "AlertWatch",
    "AwayNote",
    "NotSent",
    "Notice",
    "Pace",
    "Reading",
    "Send",
    "State",
    "read",
    "troubles",
    "webhook",
]
