"""The short form of `python -m tests.rolling`."""

from tests.rolling.__main__ import campaign


async def test_three_rolling_restarts_of_every_role_lose_nothing() -> None:
    tally = await campaign(3)
    assert tally.broken() == []
    assert tally.restarts == 6
    assert tally.requests > 20
    assert tally.mails == tally.requests
