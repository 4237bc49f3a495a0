"""Waiting in the process's own time."""

import asyncio
import time

import pytest

from yellowbooks.patience import Patience


async def test_what_comes_in_time_is_had_and_what_does_not_is_not() -> None:
    async with Patience(10):
        await asyncio.sleep(0.01)
    with pytest.raises(TimeoutError):
        async with Patience(0.05):
            await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_a_loop_that_was_busy_reads_what_came_before_it_gives_up() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with Patience(0.3):
        writer.write(b"hello\n")
        asyncio.get_running_loop().call_soon(time.sleep, 1)
        assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def test_who_is_cancelled_from_outside_stays_cancelled() -> None:
    async def wait() -> None:
        async with Patience(30):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
