"""One trace a job: from the caller's traceparent over the POST and each attempt to the SMTP server's words."""

import asyncio
import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.api.conftest import Api, api  # noqa: F401  a fixture
from tests.conftest import ValkeyServer
from tests.mail.test_smtp import Server
from tests.parts import Ping, Told, eventually, put, take
from tests.signin.cases import LETTERS
from tests.test_up import EVENT, PATH, ROOT, environment, free_port, start  # noqa: F401  a fixture
from yellowbooks import signin, wiring
from yellowbooks.api import ApiParts, create_app
from yellowbooks.jobs import Backoff, Kind, Partitions, Queue, Rate, State, Worker, record
from yellowbooks.jobs.outcome import Completed
from yellowbooks.mail import SmtpMailer, SmtpServer, mailbox
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.tracing import Tracing, parent_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
CANARY = "canary-address@example.com"


@pytest.fixture
def spans() -> Iterator[tuple[Tracing, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    tracing = Tracing("test", "1.0", SimpleSpanProcessor(exporter))
    yield tracing, exporter
    tracing.close()


@pytest.fixture
def smtp() -> Iterator[tuple[Server, int]]:
    server = Server()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield server, controller.port
    controller.stop()


def parent(span: ReadableSpan) -> str:
    return f"{span.parent.span_id:016x}" if span.parent else ""


def own(span: ReadableSpan) -> str:
    assert span.context
    return f"{span.context.span_id:016x}"


async def run_worker(queue: Queue, kinds: list[Kind[Any]], job_id: str) -> None:
    """A worker until this job has completed."""
    stop = asyncio.Event()
    worker = Worker(
        lambda: Queue(queue._url, name=queue.tag[4:-3], lease=5), kinds, concurrency=2, grace=1, tell=Told()
    )
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))

    async def completed() -> bool:
        job = await queue.show(job_id)
        return job is not None and job.state is State.COMPLETED

    await eventually(completed, 20)
    stop.set()
    await running


async def test_one_trace_from_the_caller_to_the_servers_words(
    api: Api,  # noqa: F811  the fixture
    queue: Queue,
    spans: tuple[Tracing, InMemorySpanExporter],
    smtp: tuple[Server, int],
) -> None:
    tracing, exporter = spans
    server, port = smtp
    server.answers["DATA"] = f"451 4.3.0 {CANARY} later"
    mailer = SmtpMailer((SmtpServer.parse(f"smtp://127.0.0.1:{port}?starttls=never"),), "books.example")
    handler = signin.SignInHandler(LETTERS, tracing.mailer(mailer), mailbox("a@books.example"))
    kind = tracing.kind(signin.kind(handler, rate=Rate(10, 3600), backoff=Backoff(5, 0.3)))
    app = create_app(ApiParts(**api.parts | {"kinds": [kind], "trace": tracing.request}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        answer = await client.post(PATH, json=EVENT | {"jobId": "a", "email": CANARY}, headers=header)
        assert answer.status_code == 202
        assert (await client.post(PATH, json=EVENT | {"email": "no"})).status_code == 400
    running = asyncio.create_task(run_worker(queue, [kind], "a"))
    await eventually(
        lambda: any(span.name == "process signin-notification" for span in exporter.get_finished_spans()), 20
    )
    server.answers.clear()
    await running
    await mailer.aclose()
    found = exporter.get_finished_spans()
    refused = [span for span in found if span.context and f"{span.context.trace_id:032x}" != TRACE]
    assert [(span.name, (span.attributes or {})["yb.outcome"]) for span in refused] == [(f"POST {PATH}", "failed")]
    ours = [span for span in found if span not in refused]
    [post] = [span for span in ours if span.name == f"POST {PATH}"]
    attempts = [span for span in ours if span.name == "process signin-notification"]
    mails = [span for span in ours if span.name == "send mail"]
    assert parent(post) == CALLER
    assert (post.attributes or {})["http.response.status_code"] == 202
    assert (post.attributes or {})["yb.job"] == "a"
    assert [parent(span) for span in attempts] == [own(post)] * 2
    assert [parent(span) for span in mails] == [own(span) for span in attempts]
    assert [(span.attributes or {})["yb.outcome"] for span in attempts] == ["failed", "completed"]
    assert [(span.attributes or {})["yb.attempt"] for span in attempts] == [1, 2]
    assert [event.name for event in mails[-1].events] == ["committed", "reply"]
    assert "250" in str((mails[-1].events[-1].attributes or {})["smtp.reply"])
    assert "451" in str(attempts[0].status.description)
    text = "".join(span.to_json() for span in found)
    assert "canary" not in text
    assert all(str(EVENT[field]) not in text for field in ("name", "ipAddress", "userAgent"))


async def test_a_record_carries_its_context_and_older_code_passes_it_over(queue: Queue, ping: Kind[Ping]) -> None:
    trace = bytes.fromhex(TRACE + CALLER + "01")
    for job_id in (None, "given"):
        await queue.admit(ping, Ping(job_id=job_id, user=str(job_id)), trace=trace)
    await put(queue, ping, 1, user="untraced")
    leases = await take(queue)
    assert [lease.trace for lease in leases] == [trace, trace, b""]
    assert [ping.decode(lease.payload).user for lease in leases] == ["None", "given", "untraced"]
    raw = await queue.link.client.get(f"{queue.tag}:job:given")
    parsed = record.parse(raw)
    assert parsed
    assert ping.decode(parsed.payload).user == "given"
    _, again = await queue.admit(ping, Ping(job_id="given", user="given"), trace=trace)
    assert (again.word, again.same) == ("seen", True)
    await queue.settle_many([(lease, Completed()) for lease in leases])
    assert parent_of(b"") is parent_of(bytes(25)) is None


async def test_partitions_carry_it_too(valkey: ValkeyServer, queue_name: str, ping: Kind[Ping]) -> None:
    queue, trace = Partitions(valkey.url, 2, name=queue_name), bytes(range(25))
    await queue.admit(ping, Ping(user="a", job_id="x"), trace=trace)
    [lease], _ = await queue.claim([ping], 5)
    assert lease.trace == trace
    await queue.close()


async def test_a_handler_in_a_thread_is_a_span_of_its_jobs_trace(
    queue: Queue, spans: tuple[Tracing, InMemorySpanExporter]
) -> None:
    tracing, exporter = spans
    kind = tracing.kind(Kind("ping", Ping, lambda lease, payload: None))
    await queue.admit(kind, Ping(job_id="t"), trace=bytes.fromhex(TRACE + CALLER + "01"))
    await run_worker(queue, [kind], "t")
    [span] = exporter.get_finished_spans()
    assert (parent(span), (span.attributes or {})["yb.outcome"]) == (CALLER, "completed")


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str]] = []  # service, name, trace
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    [service] = [
                        one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                    ]
                    for scope in resource.scope_spans:
                        collector.spans += [(service, span.name, span.trace_id.hex()) for span in scope.spans]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_real_processes_send_one_trace_to_a_collector(start: Any) -> None:  # noqa: F811  the fixture
    collector = Collector()
    up = start(
        YB_TRACES=f"http://127.0.0.1:{collector.server.server_port}/v1/traces", OTEL_BSP_SCHEDULE_DELAY="200",
    )  # fmt: skip
    assert up.ask("POST", PATH, EVENT | {"jobId": "a"})[0] == 202
    up.follow("a", "completed")
    deadline = time.monotonic() + 20
    while len(collector.spans) < 3:
        assert time.monotonic() < deadline, collector.spans
        time.sleep(0.05)
    assert {(service, name) for service, name, _ in collector.spans} == {
        ("yellowbooks-api", f"POST {PATH}"), ("yellowbooks-worker", "process signin-notification"),
        ("yellowbooks-worker", "send mail"),
    }  # fmt: skip
    assert len({trace for _, _, trace in collector.spans}) == 1
    collector.server.shutdown()
    collector.server.server_close()


def test_without_the_setting_nothing_is_imported_and_without_the_extra_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; sys.modules['opentelemetry.exporter'] = None\n"
        "import yellowbooks.cli, yellowbooks.wiring as w; from yellowbooks.settings import Settings\n"
        "import yellowbooks.wiring.tracing as t; from yellowbooks.jobs import Queue\n"
        "s = Settings(valkey_url='unix:///tmp/none'); w.check(s); assert t.make_tracing(s, 'api') is None\n"
        "assert 'yellowbooks.tracing' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    with pytest.raises(SettingsError, match=r"pip install 'yellowbooks\[otel\]'"):
        wiring.check(Settings(traces="http://127.0.0.1:4318/v1/traces"))
