"""The whole system in processes, with marked keys, under load and faults; and servers that repeat what they hear."""

import asyncio
import contextlib
import gzip
import os
import quopri
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from aiosmtpd.controller import Controller
from valkey import Valkey

from tests.canary.marks import Marked, key
from tests.conftest import ValkeyServer
from tests.parts import records
from tests.test_up import PATH, ROOT, environment, free_port

READY_SECONDS = 60
SETTLED_SECONDS = 60
READABLE = ("--rdbcompression", "no", "--save", "")  # what is packed small cannot be searched


class Echo:
    """An SMTP server that repeats what it was told: in a yes, in refusals, in the words of a filter."""

    def __init__(self, people: list[Marked]) -> None:
        self._people = {one.email.rpartition("@")[0]: one for one in people}
        self.taken = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        one = self._people[address.rpartition("@")[0]]
        if one.number % 4 == 1:
            return f"550 5.1.1 <{address}>: {address.rpartition('@')[0]} of {one.user_id} is unknown here"
        envelope.rcpt_tos.append(address)
        return f"250 2.1.5 {address} ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        one = self._people[envelope.rcpt_tos[0].rpartition("@")[0]]
        # A server repeats what it was told: where the mail says no IP address, it knows none.
        at = f" from {one.ip_address}" if one.ip_address in quopri.decodestring(envelope.content).decode() else ""
        if one.number % 4 == 2:
            return f"554 5.7.1 «{one.name}»{at} looks like spam"
        if one.number % 8 == 3 and self.taken % 2:
            self.taken += 1
            return f"451 4.3.0 {one.name.upper()} tries too often{at}"
        self.taken += 1
        return f"250 2.0.0 taken for {one.name} <{envelope.rcpt_tos[0]}>{at}"


@contextmanager
def smtp(people: list[Marked]) -> Iterator[int]:
    """The server's port."""
    controller = Controller(
        Echo(people), hostname="127.0.0.1", port=free_port(), decode_data=False, enable_SMTPUTF8=True
    )
    controller.start()
    yield controller.port
    controller.stop()


@contextmanager
def collector(folder: Path) -> Iterator[str]:
    """Takes traces and alerts, and keeps what it was sent in a file."""
    file = (folder / "collected").open("ab", buffering=0)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                file.write(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing: it would be our own words."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    file.close()


class Role:
    """One process; what it writes goes to a file that its successors go on with."""

    def __init__(self, stage: "Stage", name: str, *words: str) -> None:
        self._stage, self._words = stage, words
        self._log = stage.out / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it is ready."""
        before = self._log.read_bytes().count(b'"ready"') if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "yellowbooks", *self._words], env=environment(**self._stage.settings), cwd=ROOT,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while self._log.read_bytes().count(b'"ready"') <= before:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            await asyncio.sleep(0.03)

    def end(self, number: int) -> None:
        """By a signal, and wait."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, number)
            self.process.wait(60)


class Stage:
    """The processes, and what they were asked. `out` is a folder for all that comes out of them."""

    def __init__(
        self, folder: Path, valkey: ValkeyServer, people: list[Marked], workers: int, given: dict[str, str]
    ) -> None:
        self.folder, self.valkey, self.people = folder, valkey, people
        self.out, self.data = folder / "out", folder / "data"
        self.out.mkdir()
        self.data.mkdir()
        self.url = f"http://127.0.0.1:{given['YB_PORT']}"
        self.settings = given | {"YB_DATA_DIR": str(self.data)}
        self.api, self.workers = Role(self, "api", "api"), [Role(self, f"worker-{n}", "worker") for n in range(workers)]
        self.answers: list[bytes] = []
        self.job_ids: list[str] = []
        self.statuses: dict[int, int] = {}
        self.most_commands = 12
        self.issued = ""

    async def start(self) -> None:
        """Everything, and every role is ready."""
        await asyncio.gather(self._issue(), self.api.start(), *(worker.start() for worker in self.workers))

    async def _issue(self) -> None:
        """A key as an operator issues it: it bears no mark of ours, and is looked for whole."""
        words = ("keys", "issue", "--role", "api", "--name", "canary")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "yellowbooks", *words, cwd=ROOT, env=environment(**self.settings),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.issued = (await process.communicate())[0].decode().split()[0]
        assert self.issued.startswith("yb_api_")

    def stop(self) -> None:
        """In order, with what each then has to say."""
        for role in (*self.workers, self.api):
            role.end(signal.SIGTERM)

    async def load(self) -> None:
        """Everybody signs in some times, a handler leaks, wrong requests come; a worker, Valkey and the API die."""
        faults, listening = asyncio.create_task(self._faults()), asyncio.create_task(self._listen())
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            for some in (self.people[n : n + 20] for n in range(0, len(self.people), 20)):
                await asyncio.gather(*(self._one(client, one) for one in some))
            await faults
            await asyncio.gather(*(self._one(client, one) for one in self.people[:20]))
        await self._settled()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    async def _one(self, client: httpx.AsyncClient, one: Marked) -> None:
        event = one.event(jobId=f"job-{one.number}-{len(self.job_ids)}")
        for body in (event, event, one.event(), one.event(ipAddress=None), one.event(timestamp="2026-11-25T10:00:00Z")):
            await self._post(client, PATH, body)
        await self._post(client, "/api/jobs/leaky", one.event(), {"Authorization": f"Bearer {self.issued}"})
        for wrong in (
            {"email": f"{one.email} {one.name}"},
            {"ipAddress": one.user_agent},
            {"locale": one.name},
            {one.name: one.email},
        ):
            await self._post(client, PATH, one.event(**wrong))
        await self._post(client, PATH, one.event(), headers={"Authorization": f"Bearer {key('wrong')}"})
        await self._operate(client, one, event["jobId"])

    async def _operate(self, client: httpx.AsyncClient, one: Marked, job_id: str) -> None:
        """An operator searches for him and looks at what he sent: the answers are for the operator."""
        admin = {"Authorization": f"Bearer {key('admin')}"}
        for sought in (one.email, one.user_id, one.name):
            with contextlib.suppress(httpx.TransportError):
                await client.get("/api/admin/search", params={"q": sought}, headers=admin)
        with contextlib.suppress(httpx.TransportError):
            await client.post(f"/api/admin/jobs/{job_id}/reveal", json={"reason": "he asked"}, headers=admin)

    async def _listen(self) -> None:
        """The live events, as an operator's page has them, until it is cancelled."""
        admin = {"Authorization": f"Bearer {key('admin')}"}
        with (self.out / "events").open("ab", buffering=0) as file:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    client = httpx.AsyncClient(base_url=self.url, timeout=60)
                    async with client, client.stream("GET", "/api/events", headers=admin) as reply:
                        async for data in reply.aiter_raw():
                            file.write(data)
                await asyncio.sleep(0.2)

    async def _post(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        headers = headers or {"Authorization": f"Bearer {key('api')}"}
        body = {name: value for name, value in body.items() if value is not None}
        for _ in range(100):
            try:
                reply = await client.post(path, json=body, headers=headers)
            except httpx.TransportError:  # the API is dead for a moment
                await asyncio.sleep(0.2)
                continue
            if reply.status_code != 400 or b"is not a field" not in reply.content:  # it names what he wrote himself
                self.answers.append(reply.content)
            self.statuses[reply.status_code] = self.statuses.get(reply.status_code, 0) + 1
            if reply.status_code == 202:
                self.job_ids.append(reply.json()["jobId"])
            if reply.status_code != 503:
                return
            await asyncio.sleep(0.2)

    async def _faults(self) -> None:
        await asyncio.sleep(0.3)
        self.workers[0].end(signal.SIGKILL)
        self.valkey.kill()
        await asyncio.sleep(1.5)  # jobs go to the API's disk meanwhile
        for path in (self.data / "spool").glob("*.spool"):
            (self.out / path.name).write_bytes(path.read_bytes())
        self.api.end(signal.SIGKILL)
        await asyncio.to_thread(self.valkey.start, *READABLE)
        await asyncio.gather(self.api.start(), self.workers[0].start())

    async def _settled(self) -> None:
        """Nothing runs or is due at once any more, and nothing lies on the API's disk."""
        client, deadline = Valkey.from_url(self.valkey.url), time.monotonic() + SETTLED_SECONDS
        tags = [f"{{yb:jobs:{number}}}" for number in range(int(self.settings.get("YB_PARTITIONS", "1")))]
        while True:
            states = {job.state.value for tag in tags for job in records(client, tag).values()}
            if not states & {"enqueued", "processing", "retrying"} and not list((self.data / "spool").glob("*.spool")):
                return client.close()
            assert time.monotonic() < deadline, f"it does not come to rest: {states}"
            await asyncio.sleep(0.2)


@asynccontextmanager
async def stage(folder: Path, people: list[Marked], workers: int, **more: str) -> AsyncIterator[Stage]:
    """A system that has started, over a folder; `more` are its settings."""
    valkey = ValkeyServer(folder)
    valkey.start(*READABLE)
    with smtp(people) as port, collector(folder) as url:
        given = {
            "YB_VALKEY_URL": valkey.url, "YB_PORT": str(free_port()), "YB_LOG_FORMAT": "json",
            "YB_SMTP_URL": f"smtp://marked:{key('smtp')}@127.0.0.1:{free_port()}?starttls=never,"
            f"smtp://127.0.0.1:{port}?starttls=never",
            "YB_MAIL_FROM": "Yellow Books <no-reply@yellowbooks.example>", "YB_MAIL_SECRET": key("mail"),
            "YB_API_KEYS": key("api"), "YB_ADMIN_KEYS": key("admin"), "YB_SECRET_KEYS": key("secret"),
            "YB_NOTIFY": "new_device", "YB_PUBLIC_URL": "http://127.0.0.1:9", "YB_LINK_KEYS": key("link"),
            "YB_REVOKE_URL": "http://127.0.0.1:9/revoke", "YB_REVOKE_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "YB_KINDS": "tests.canary.leaky", "YB_TRACES": f"{url}/v1/traces", "YB_ALERT_WEBHOOK": f"{url}/alerts",
            "YB_ALERT_WHEN": "dead>1,failures>1%,depth>1", "YB_LEASE_SECONDS": "2", "YB_RETRY": "attempts=3,base=0.1s",
            "YB_RATE_LIMIT": "1000/hour",
        }  # fmt: skip
        system = Stage(folder, valkey, people, workers, given | more)
        try:
            await system.start()
            yield system
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                system.stop()
            valkey.stop()
