"""A kind whose jobs take time, and say in the data folder which process runs them."""

import asyncio
import os

from yellowbooks.jobs import Kind, Lease, Payload
from yellowbooks.settings import load


class Slow(Payload):
    seconds: float


async def wait(_lease: Lease, slow: Slow) -> None:
    with (load().settings.data_dir / "slow.txt").open("a") as file:
        file.write(f"pid={os.getpid()}\n")
    await asyncio.sleep(slow.seconds)


KIND = Kind("slow", Slow, wait)
