"""Calls made in one turn of the event loop leave together, as one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

I = TypeVar("I")  # noqa: E741  an item
A = TypeVar("A")

MOST_ITEMS = 100  # a script call holds up the server for at most this many items
MOST_BYTES = 1_000_000


def chunks(items: Iterable[I], size: int) -> Iterator[list[I]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def weighed(items: Iterable[I], weigh: Callable[[I], int]) -> Iterator[list[I]]:
    """The items in lists that one script call may have: at most 100, of at most 1 MB together, or one."""
    some: list[I] = []
    total = 0
    for item in items:
        weight = weigh(item)
        if some and (len(some) == MOST_ITEMS or total + weight > MOST_BYTES):
            yield some
            some, total = [], 0
        some.append(item)
        total += weight
    if some:
        yield some


class Batch(Generic[I, A]):
    """Collects items while a call is under way and sends them as the next one: a group commit.

    `send` gets 1 to 100 items of at most 1 MB together and gives one answer an item, in order. It runs in a task
    of its own, so that a caller who is cancelled does not cancel a command that others wait for.
    """

    def __init__(
        self, send: Callable[[list[I]], Awaitable[list[A]]], weigh: Callable[[I], int] = lambda _item: 0
    ) -> None:
        self._send = send
        self._weigh = weigh
        self._waiting: list[tuple[I, asyncio.Future[A]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def __call__(self, item: I) -> A:
        """Put the item in the next call and wait for its answer. Raises what `send` raised."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._drain())
        return await answer

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._call(self._take())
        finally:
            self._sender = None

    def _take(self) -> list[tuple[I, asyncio.Future[A]]]:
        count, weight = 0, 0
        for item, _ in self._waiting[:MOST_ITEMS]:
            weight += self._weigh(item)
            if count and weight > MOST_BYTES:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    async def _call(self, taken: list[tuple[I, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._send([item for item, _ in taken])
        except Exception as error:  # handed to every caller in the batch
            for _, answer in taken:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), value in zip(taken, answers, strict=True):
            if not answer.done():
                answer.set_result(value)
