"""Alerts fire once and resolve once, from one of many processes, whichever of them is killed, and while the queue is away."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_jobs import Desk
from tests.conftest import ValkeyServer
from tests.parts import Ping, Told, eventually, put, take
from tests.test_up import ROOT, System
from yellowbooks import wiring
from yellowbooks.alerts import AlertWatch, AwayNote, Pace, Reading, State, read, troubles, webhook
from yellowbooks.alerts.rules import failure_rate
from yellowbooks.alerts.state import KEY, Alert, Fenced
from yellowbooks.jobs import Kind, Queue
from yellowbooks.jobs.outcome import Completed, Dead
from yellowbooks.mail import Inbox
from yellowbooks.metrics import Tally, Teller
from yellowbooks.settings import Settings, SettingsError, load

WELL = Reading(dead=10, depth=1000, oldest=60.0, workers=1, failures=0.05, processing=10.0, log=60.0)
LIMITS = dict(Settings().alert_when)


class Hook:
    """A chat's webhook; `status` is what it answers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.status = 200
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if hook.status == 200:
                    assert list(body) == ["text"]
                    hook.texts.append(body["text"])
                self.send_response(hook.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, *texts: str, seconds: float = 20) -> None:
        """Until these were said, and nothing else."""
        deadline = time.monotonic() + seconds
        while len(self.texts) < len(texts):
            assert time.monotonic() < deadline, self.texts
            time.sleep(0.02)
        assert all(wanted in text for wanted, text in zip(texts, self.texts, strict=True)), self.texts


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


class Watcher:
    """A watch in a process of its own."""

    def __init__(self, url: str, hook: str, folder: Path) -> None:
        words = [sys.executable, "-m", "tests.alerts.process", url, hook, str(folder)]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            self.lines.extend(self.process.stdout)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join(5)


@pytest.fixture
def watchers(own_valkey: ValkeyServer, hook: Hook, tmp_path: Path) -> Iterator[list[Watcher]]:
    """Two of them, on one machine."""
    found = [Watcher(own_valkey.url, hook.url, tmp_path) for _ in range(2)]
    yield found
    for one in found:
        one.end()


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def kill_the_sender(watchers: list[Watcher]) -> None:
    until(lambda: any(line.startswith("alert {") for one in watchers for line in one.lines))
    senders = [one for one in watchers if any(line.startswith("alert {") for line in one.lines)]
    assert len(senders) == 1
    senders[0].end()


def test_one_of_two_processes_tells_and_the_other_goes_on_when_it_is_killed(
    own_valkey: ValkeyServer, watchers: list[Watcher], hook: Hook, tmp_path: Path
) -> None:
    desk = Desk(own_valkey, tmp_path)
    desk.bury(range(11))
    hook.wait_for("🔥 Yellow Books Jobs: dead alert: 11 jobs are dead")
    client = own_valkey.client()
    until(lambda: b'"told":true' in (client.hget(KEY, "alerts") or b""))
    kill_the_sender(watchers)
    time.sleep(2.5)  # the seat of the killed one ends, and the other looks again and again
    assert len(hook.texts) == 1
    desk.run("dlq", "requeue", "--all", "--yes")
    hook.wait_for("dead alert", "✅ Yellow Books Jobs: dead is well again: it lasted")
    time.sleep(0.5)
    assert len(hook.texts) == 2
    client.close()


def test_a_queue_that_is_away_is_told_once_and_its_return_too(
    own_valkey: ValkeyServer, watchers: list[Watcher], hook: Hook, tmp_path: Path
) -> None:
    until(lambda: all(one.lines for one in watchers))
    client = own_valkey.client()
    until(lambda: client.hget(KEY, "alerts"))  # one of them has the seat
    client.close()
    own_valkey.kill()
    hook.wait_for("away alert: the queue does not answer")
    until((tmp_path / "away.json").exists)
    kill_the_sender(watchers)
    time.sleep(3.0)  # longer than the other would wait before it tells so
    assert len(hook.texts) == 1
    own_valkey.start()
    hook.wait_for("away alert", "away is well again")


def watch(queue: Queue, hook: Hook, told: Told, folder: Path) -> tuple[AlertWatch, State]:
    execute = queue.beside("{yb:alerts}").execute
    pace = Pace(look=0.1, seat=1.0, calm=0.3, lasts={"workers": 1.0}, others=1.0)
    limits = {"depth": 2.0, "workers": 1.0}
    return AlertWatch(
        queue, State(execute), AwayNote(folder / "a.json"), [webhook(hook.url)], limits, told, pace
    ), State(execute)


async def test_a_hook_that_refuses_is_told_later_and_troubles_that_pass_are_not(
    own_valkey: ValkeyServer, ping: Kind[Ping], hook: Hook, tmp_path: Path
) -> None:
    queue, told, stop = Queue(own_valkey.url), Told(), asyncio.Event()
    alerts, _ = watch(queue, hook, told, tmp_path)
    hook.status = 302  # nobody is sent elsewhere
    await put(queue, ping, 3)
    running = asyncio.create_task(alerts.run(stop))
    await eventually(lambda: "alert_unsent" in told.words())
    await queue.renew([], worker="w", kinds=[ping], about="here")  # the worker came within its second
    await asyncio.sleep(0.5)
    assert told.words().count("alert_unsent") == 1
    hook.status = 200
    await eventually(lambda: hook.texts)
    await queue.settle_many([(lease, Completed()) for lease in await take(queue)])
    await eventually(lambda: len(hook.texts) == 2)
    assert [told.words().count(word) for word in ("alert", "alert_over")] == [1, 1]
    assert "3 jobs wait" in hook.texts[0]
    stop.set()
    await running
    await queue.close()


async def test_who_lost_the_seat_writes_nothing_and_sends_nothing(
    own_valkey: ValkeyServer, ping: Kind[Ping], hook: Hook, tmp_path: Path
) -> None:
    queue, told = Queue(own_valkey.url), Told()
    alerts, state = watch(queue, hook, told, tmp_path)
    await state.save(7, {"depth": Alert(1.0, "3 jobs wait", told=True)})
    with pytest.raises(Fenced):
        await state.save(6, {})
    assert (await state.load())["depth"].told
    await put(queue, ping, 3)
    await state.save(await queue.lock("alerts", "another", 0.001) + 10, {})  # as somebody with a newer token
    await alerts._look()
    assert hook.texts == []
    assert await state.load() == {}
    await queue.close()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"dead": 11}, "dead"), ({"depth": 1001}, "depth"), ({"oldest": 60.1}, "oldest"), ({"workers": 0}, "workers"),
        ({"failures": 0.051}, "failures"), ({"processing": 10.1}, "processing"),
        ({"log": 60.1}, "log"),
    ],
)  # fmt: skip
def test_each_limit_is_passed_and_not_met(change: dict[str, Any], name: str) -> None:
    fields = {field: getattr(WELL, field) for field in Reading.__slots__}
    assert troubles(WELL, LIMITS) == {}
    assert list(troubles(Reading(**(fields | change)), LIMITS)) == [name]
    assert troubles(Reading(**(fields | change)), {}) == {}
    assert troubles(Reading(**(fields | {"failures": None, "processing": None})), LIMITS) == {}


async def test_the_numbers_that_alerts_read(queue: Queue, ping: Kind[Ping]) -> None:
    assert (await read(queue)).processing is None
    await put(queue, ping, 24)
    leases = await take(queue, room=22)
    done = [(lease, Completed() if n % 10 else Dead("no", "no")) for n, lease in enumerate(leases[:21])]
    await queue.settle_many(done)
    await queue.renew([], worker="w", kinds=[ping], about="here")
    await Teller(queue, lambda _: False, str).count(await queue.read(0.1, entries=1000))
    reading = await read(queue)
    assert (reading.dead, reading.depth, reading.workers) == (3, 2, 1)
    assert reading.failures == pytest.approx(3 / 21)
    assert 0 < (reading.processing or 0) < 5
    assert 0 < reading.oldest < 10
    assert failure_rate(Tally({"e|k|completed": 18, "e|k|died": 1})) is None


def test_the_form_of_limits() -> None:
    def settings(text: str) -> Settings:
        return load({"YB_ALERT_WHEN": text}, Path("none")).settings

    assert dict(settings("dead>0, failures>2.5%").alert_when) == {"dead": 0.0, "failures": 0.025}
    assert LIMITS == {
        "dead": 10,
        "failures": 0.05,
        "processing": 10,
        "depth": 1000,
        "oldest": 60,
        "workers": 1,
        "away": 30,
        "log": 60,
    }
    for wrong in ("dead", "dead>x", "dead<1", "failures>5", "oldest>60", "workers>1", "dlq>10", "dead>1,,"):
        with pytest.raises(SettingsError, match="which is none of"):
            settings(wrong)
    with pytest.raises(SettingsError, match="YB_ALERT_MAIL"):
        wiring.check(Settings(alert_mail="nobody"))


def test_a_recorder_mails_and_posts_what_its_settings_say(own_valkey: ValkeyServer, hook: Hook, tmp_path: Path) -> None:
    desk = Desk(own_valkey, tmp_path)
    desk.bury(range(2))
    recorder = System(
        "recorder", YB_VALKEY_URL=own_valkey.url, YB_DATA_DIR=str(tmp_path / "data"), YB_ALERT_WEBHOOK=hook.url,
        YB_ALERT_MAIL="operator@example.com", YB_ALERT_WHEN="dead>1",
    )  # fmt: skip
    hook.wait_for("dead alert: 2 jobs are dead; see `yellowbooks dlq causes`")
    inbox = Inbox(tmp_path / "data/inbox")
    until(lambda: inbox.entries(10))
    [entry] = inbox.entries(10)
    assert (entry.subject, entry.recipient) == ("Yellow Books Jobs: dead alert", "operator@example.com")
    assert recorder.stop() == 0
    assert os.path.basename(hook.url) not in "".join(recorder.lines)
