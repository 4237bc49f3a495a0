"""Traces, where YB_TRACES says where they go; without it nothing is imported."""

import asyncio
import importlib.util
from typing import TYPE_CHECKING

from yellowbooks import __version__
from yellowbooks.settings import Settings, SettingsError

if TYPE_CHECKING:
    from yellowbooks.tracing import Tracing


def check_tracing(settings: Settings) -> None:
    """Raises `SettingsError` where traces are wanted and the extra is not installed."""
    if settings.traces and not all(map(_found, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))):
        raise SettingsError("YB_TRACES: needs OpenTelemetry; pip install 'yellowbooks[otel]', or leave YB_TRACES empty")


def make_tracing(settings: Settings, role: str) -> "Tracing | None":
    """What makes this process's spans and sends them in batches; None where nobody wants them."""
    if not settings.traces:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from yellowbooks.tracing import Tracing

    return Tracing(role, __version__, BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.traces)))


async def close_tracing(tracing: "Tracing | None") -> None:
    """Send what is left, where spans were made."""
    if tracing:
        await asyncio.to_thread(tracing.close)


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
