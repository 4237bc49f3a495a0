"""The mails' campaign, short: one death at each point, all at once."""

from tests.faults.mailer import POINTS
from tests.faults.mails import check, stage


async def test_one_mail_through_any_crash() -> None:
    async with stage() as it:
        count = await it.round(POINTS, 300, 5)
        check(count, POINTS)
        assert count.kills == len(POINTS)
        assert count.crashed >= 5
        assert count.copies >= 2  # the two points in the window make one each
