"""What a caller sent stands in no error, cause, line of a history or word of a handler, however it is spelled."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import Told, eventually
from yellowbooks.jobs import Backoff, Failure, Hiding, Kind, Lease, Payload, Queue, Worker
from yellowbooks.signin import SignIn

EVENT = SignIn(
    user_id="canary-user", email="canary.bat@Example.com", name="Бат-Эрдэнэ Ким", provider="github",
    ip_address="203.0.113.77", user_agent="canary-agent/1.0",
)  # fmt: skip
SAID = {
    "no mailbox canary.bat@example.com": "no mailbox (hidden)",
    "550 CANARY.BAT: unknown user": "550 (hidden): unknown user",
    "{'name': 'Бат-Эрдэнэ Ким', 'ip': '203.0.113.77'}": "{'name': '(hidden)', 'ip': '(hidden)'}",
    "GET /users/canary-user?email=canary.bat%40Example.com": "GET /users/(hidden)?email=(hidden)",
    "\\u0411\\u0430\\u0442-\\u042d\\u0440\\u0434\\u044d\\u043d\\u044d": "(hidden)",
    "Ким said no to Кимчи": "(hidden) said no to Кимчи",
    "github is away": "github is away",
}


@pytest.mark.parametrize("text", SAID)
def test_in_any_spelling_and_no_more(text: str) -> None:
    assert Hiding(EVENT.private())(text) == SAID[text]


@given(st.lists(st.text(min_size=6, max_size=20), max_size=5), st.text(max_size=40))
def test_no_word_is_left_whole(words: list[str], around: str) -> None:
    words = [word for word in words if len(word.strip()) >= 6 and "hidden" not in word]
    hide = Hiding(words)
    for word in words:
        assert word.strip() not in hide(f"{around} {word} {around}").replace("(hidden)", " ")


class Whole(Payload):
    user: str
    more: dict[str, list[str]]


async def test_whatever_a_handler_says_is_kept_and_told_without_it(
    queue: Queue, open_queue: Callable[[], Queue]
) -> None:
    async def leaky(lease: Lease, whole: Whole) -> str:
        await lease.log(f"looking at {whole.user} and {whole.more['deep'][0]}")
        if lease.attempt == 1:
            raise ValueError(f"cannot do it for {whole.user}: {whole!r}")
        if lease.attempt == 2:
            raise Failure("again", cause=f"cause-{whole.user}")
        return f"done for {whole.user}"

    kind = Kind("whole", Whole, leaky, backoff=Backoff(5, 0.01))
    told, stop = Told(), asyncio.Event()
    running = asyncio.create_task(
        Worker(open_queue, [kind], concurrency=1, grace=1, tell=told).run(stop, asyncio.Event())
    )
    payload = Whole(user="canary-user", more={"deep": ["canary-deep"]})
    job_id, _ = await queue.admit(kind, payload)

    async def done() -> Any:
        job = await queue.show(job_id)
        return job if job and job.state == "completed" else None

    job = await eventually(done)
    stop.set()
    await running
    assert "canary" not in f"{job} {told.lines} {await queue.read(0.1, after='0-0')}"
    assert next(event.note for event in job.history if event.name == "noted") == "looking at (hidden) and (hidden)"
    assert any("cause-(hidden)" in (event.cause or "") for event in job.history)
