"""Background jobs that tell people what happened to their account."""

__version__ = "0.1.0"
