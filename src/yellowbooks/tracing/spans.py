"""The spans: one of the request, below it one of each attempt, and below that one of the mail. No personal data."""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from yellowbooks.jobs import Hiding, Kind, LeaseLost, Paused, Permanent, RetryAfter
from yellowbooks.mail import Mailer, Message
from yellowbooks.tracing.context import carried, parent_in, parent_of

Commit = Callable[[], Awaitable[None]]
_ADDRESS = re.compile(r"[^\s<>()\"']+@[^\s<>()\"']+")


def _plain(words: object) -> str:
    """Words of a server or an error, without whatever could be somebody's address; at most 300 characters."""
    return _ADDRESS.sub("…", str(words))[:300]


class Tracing:
    """Makes the spans of one process, the role named, and hands them to a processor."""

    def __init__(self, role: str, version: str, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": f"yellowbooks-{role}", "service.version": version})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("yellowbooks", version)

    def close(self) -> None:
        """Hand over what is left; blocks."""
        self._provider.shutdown()

    @contextmanager
    def request(self, kind: str, headers: Mapping[str, str]) -> Iterator[tuple[bytes, Callable[[int, str], None]]]:
        """The span of `POST /api/jobs/<kind>`: gives what its job carries, and what hears of the answer."""
        attributes = {"http.request.method": "POST", "http.route": f"/api/jobs/{kind}", "yb.kind": kind}
        with self._tracer.start_as_current_span(
            f"POST /api/jobs/{kind}", parent_in(headers), SpanKind.SERVER, attributes, record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip

            def answered(status: int, location: str) -> None:
                span.set_attribute("http.response.status_code", status)
                span.set_attribute("yb.job", location.rpartition("/")[2])

            try:
                yield carried(span.get_span_context()), answered
            except Exception as error:
                _failed(span, error, lambda _words: "")  # of a wrong request they name what its caller wrote
                raise

    def kind(self, kind: Kind[Any]) -> Kind[Any]:
        """The same kind, each attempt of which is a span."""
        called = kind.handler if inspect.isroutine(kind.handler) else type(kind.handler).__call__

        async def attempt(lease: Any, payload: Any) -> None:
            with self._attempt(lease, Hiding(payload.private())):
                await kind.handler(lease, payload)

        def attempt_in_thread(lease: Any, payload: Any) -> None:
            with self._attempt(lease, Hiding(payload.private())):
                kind.handler(lease, payload)

        return replace(kind, handler=attempt if inspect.iscoroutinefunction(called) else attempt_in_thread)

    @contextmanager
    def _attempt(self, lease: Any, hide: Hiding) -> Iterator[None]:
        attributes = {
            "messaging.operation.type": "process", "yb.job": lease.job_id, "yb.kind": lease.kind,
            "yb.attempt": lease.attempt, "yb.waited_ms": lease.started - lease.created,
        }  # fmt: skip
        with self._tracer.start_as_current_span(
            f"process {lease.kind}", parent_of(lease.trace), SpanKind.CONSUMER, attributes, record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield
            except BaseException as error:
                _failed(span, error, hide)
                raise
            span.set_attribute("yb.outcome", "completed")

    def mailer(self, mailer: Mailer) -> Mailer:
        """The same mailer, each mail of which is a span."""
        return _TracedMailer(mailer, self._tracer)


class _TracedMailer:
    def __init__(self, mailer: Mailer, tracer: Any) -> None:
        self._mailer = mailer
        self._tracer = tracer

    async def send(self, message: Message, commit: Commit) -> str:
        with self._tracer.start_as_current_span(
            "send mail", kind=SpanKind.CLIENT, attributes={"yb.message_id": message.message_id},
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip

            async def committed() -> None:
                await commit()
                span.add_event("committed")

            try:
                words = await self._mailer.send(message, committed)
            except BaseException as error:
                _failed(span, error)
                raise
            span.add_event("reply", {"smtp.reply": _plain(words)})
            return words

    async def aclose(self) -> None:
        await self._mailer.aclose()


def _failed(span: Span, error: BaseException, hide: Callable[[str], str] = str) -> None:
    """The kind of failure and its words; no trace of the code, which may show what was handled."""
    outcomes = {Permanent: "dead", RetryAfter: "deferred", Paused: "held", LeaseLost: "lost"}
    span.set_attribute(
        "yb.outcome", next((word for kind, word in outcomes.items() if isinstance(error, kind)), "failed")
    )
    span.set_attribute("error.type", type(error).__name__)
    cause = getattr(error, "cause", None)
    if isinstance(cause, str):
        span.set_attribute("yb.cause", _plain(hide(cause)))
    span.set_status(Status(StatusCode.ERROR, _plain(hide(str(error)))))
