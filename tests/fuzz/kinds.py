"""A kind whose jobs come to every end, so that a fuzzed API has dead, waiting and finished ones."""

from typing import Literal

from yellowbooks.jobs import Kind, Lease, Payload, Permanent, RetryAfter


class Fuzzed(Payload):
    """How the job is to end."""

    end: Literal["done", "dead", "later"]


async def run(_lease: Lease, fuzzed: Fuzzed) -> str:
    """End so."""
    if fuzzed.end == "dead":
        raise Permanent("it was to die", cause="fuzzed")
    if fuzzed.end == "later":
        raise RetryAfter(600.0, "it was to wait")
    return "done"


KIND = Kind("fuzzed", Fuzzed, run)
