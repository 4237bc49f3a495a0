"""OpenTelemetry traces, from the POST to the SMTP server's reply. Nothing else imports OpenTelemetry."""

from yellowbooks.tracing.context import carried, parent_in, parent_of
from yellowbooks.tracing.spans import Tracing

__all__ = ["Tracing", "carried", "parent_in", "parent_of"]
"""`carried` and `parent_of` are one another's inverse."""
