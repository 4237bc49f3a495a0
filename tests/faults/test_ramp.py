"""A mail server that comes back, short: the ramp of a few hundred mails."""

from tests.faults.ramp import ramp


async def test_a_server_that_returns_is_met_by_few_then_more() -> None:
    outcome = await ramp(450, away=1.5, again=0.5, pace=60.0)
    assert outcome.broken() == [], str(outcome)
    assert outcome.accepted == 450
    assert outcome.probes >= 3  # it was tried, or being away would prove nothing
