"""Mail servers that misbehave and that come back, short: two faults, and beside them the ramp of a few hundred mails."""

import asyncio

from tests.faults.ramp import ramp
from tests.faults.smtp import campaign

FAULTS = ["26 the mail is taken, the connection dropped", "27 more than yes to STARTTLS"]


async def test_a_server_that_returns_is_met_by_few_then_more() -> None:
    outcome, broken = await asyncio.gather(ramp(450, away=1.5, again=0.5, pace=60.0), campaign(FAULTS, 1))
    assert broken == []
    assert outcome.broken() == [], str(outcome)
    assert outcome.accepted == 450
    assert outcome.probes >= 3  # it was tried, or being away would prove nothing
