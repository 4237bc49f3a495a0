"""A queue keeps its number of partitions: under another one its jobs would be looked for where they are not."""

from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.queue import Queue


class WrongPartitions(QueueUnavailable):
    """The queue has another number of partitions than this process was told."""


async def agree(first: Queue, count: int) -> None:
    """Note how many partitions a queue has in its first one, or compare. Raises `WrongPartitions`.

    A queue of one notes nothing, so one that has a clock and no number is of one.
    """
    key, wire = f"{first.tag}:partitions", first.link.wire
    used = await wire.execute_command("EXISTS", f"{first.tag}:clock")  # before the number, which comes first
    noted = await wire.execute_command("GET", key)
    if noted is None and count > 1:
        noted = b"1" if used else await wire.execute_command("SET", key, count, "NX", "GET") or str(count).encode()
    if noted is not None and int(noted) != count:
        raise WrongPartitions(
            f"the queue has {int(noted)} partitions and this process was told {count}; set YB_PARTITIONS={int(noted)}, "
            "or let the queue run empty and take another database"
        )
