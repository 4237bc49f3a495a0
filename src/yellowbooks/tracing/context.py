"""The trace context as a job carries it: 25 bytes, the fields of a `traceparent` (W3C Trace Context, 3.2.2)."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SIZE = 25
_propagator = TraceContextTextMapPropagator()


def carried(context: SpanContext) -> bytes:
    """What goes with the job, of the span that admitted it."""
    return context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big") + bytes([context.trace_flags])


def parent_of(trace: bytes) -> Context | None:
    """The context in which the spans of a job's attempts begin; None where the job carries none."""
    if len(trace) != SIZE:
        return None
    trace_id, span_id = int.from_bytes(trace[:16], "big"), int.from_bytes(trace[16:24], "big")
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(trace[24]))
    return set_span_in_context(NonRecordingSpan(context)) if context.is_valid else None


def parent_in(headers: Mapping[str, str]) -> Context:
    """The context that a request's `traceparent` names; an empty one where it has none, or one that is malformed."""
    return _propagator.extract({"traceparent": headers.get("traceparent", "")}, Context())
