"""The short form of `python -m tests.edge`: all attacks at once, 10 sockets each, and sign-ins by the hundred."""

from tests.edge.__main__ import broken
from tests.edge.stage import stage


async def test_good_clients_are_unharmed_and_every_202_sends_its_mail() -> None:
    async with stage(25, YB_RECEIVE="1s", YB_IDLE="1s") as it:
        row = await it.attack([("at once", 200), ("all", 10)], 2.5)
        lost, twice = await it.mails()
        assert broken(it, lost, twice) == []
        assert len(row.good.taken) > 20
        assert len(it.taken) == len(row.good.taken) + 200
        assert row.memory < 200
        seen = {status for one in row.told for status in one.statuses}
        assert {"400", "401", "408", "415", "431"} <= seen
