"""What the recorder of the job log asks of a queue, and who compares the two."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from yellowbooks.jobs import record
from yellowbooks.jobs.batch import MOST_ITEMS, chunks, weighed
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.link import Link
from yellowbooks.jobs.verbs import Restored, Shed

LONGEST_BLOCK = 5.0  # seconds; well under what a reply may take
ENTRIES = 20  # of the event stream in one read; each has the events of a whole call


class Recording:
    """The part of `Queue` that its recorder uses. Every method raises `QueueUnavailable` where the server is away."""

    tag: str
    link: Link
    _retention_ms: int
    _dead_retention_ms: int
    _log_backlog: int

    async def read(self, block_seconds: float, *, after: str = "0-0", entries: int = ENTRIES) -> list[Event]:
        """The oldest events after a position that are still kept; waits for one at most `block_seconds`."""
        block = round(min(max(block_seconds, 0.01), LONGEST_BLOCK) * 1000)
        stream = {f"{self.tag}:events": after}
        reply = await self.link.reach(lambda: self.link.client.xread(stream, count=entries, block=block))
        return [
            event
            for position, entry in (reply[0][1] if reply else [])
            for event in record.events_of(position, entry.get(b"e", b""), entry.get(b"w", b""))
        ]

    async def follow(self) -> AsyncIterator[Event]:
        """Every event from now on, as it happens; one that is trimmed before it was read is missed."""
        key = f"{self.tag}:events"
        newest = await self.link.reach(lambda: self.link.client.xrevrange(key, count=1))
        position = newest[0][0].decode() if newest else "0-0"
        while True:
            for event in await self.read(LONGEST_BLOCK, after=position):
                yield event
                position = event.position

    async def recorded(self, position: str) -> int:
        """The job log has every event up to this one. Gives how many jobs left, their retention being over."""
        ages = {"retention": self._retention_ms, "dead_retention": self._dead_retention_ms}
        return int(await self.link.call("recorded", position=position, **ages))

    async def shed(self) -> Shed:
        """Let go what waits for the job log beyond `log_backlog`; gives what went."""
        ages = {"retention": self._retention_ms, "dead_retention": self._dead_retention_ms}
        shed: Shed = await self.link.call("shed", bytes=self._log_backlog, **ages)
        return shed

    async def restore(self, lost: Sequence[tuple[Restored, bytes, bytes]], *, after: int) -> list[str]:
        """Make jobs again that the queue lost, from what the log has of each: its state, its story and its body.

        «restored», «held» (in doubt, and of a kind that waits for a person), «known» (no body: its id is known from now
        on), «unreadable» (its body) or «there» (it was not lost) for each. `after` is the time (ms) of the newest event
        that the log has of them.
        """
        answers: list[str] = []
        for some in weighed(lost, lambda one: len(one[1]) + len(one[2])):
            beside = [part for _, *pair in some for part in pair]
            said, _ = await self.link.run("restore", beside, items=[item for item, _, _ in some], after=after)
            answers += said
        return answers

    async def bodies(self, job_ids: Sequence[str], *, sealed: bool) -> dict[str, bytes]:
        """What the callers of these jobs sent, as their records have it, payloads with it; of those that have one.

        With `sealed` only where the payload has a seal.
        """
        bodies: dict[str, bytes] = {}
        for some in chunks(job_ids, MOST_ITEMS):
            keys = [f"{self.tag}:job:{job_id}" for job_id in some]
            raws = await self.link.reach(partial(self.link.client.mget, keys))
            found = zip(some, (record.body_in(raw or b"", sealed=sealed) for raw in raws), strict=True)
            bodies.update({job_id: body for job_id, body in found if body})
        return bodies
