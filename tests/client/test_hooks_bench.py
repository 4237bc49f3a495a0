"""The short form of `python -m bench.hooks`: its counts, not its times. Names examples/python, whose client it measures."""

from bench.hooks import STATES, campaign


def test_whatever_becomes_of_the_api_no_mail_is_lost_or_doubled() -> None:
    rows, counts = campaign(count=30, rate=200, threads=3, timeout=0.5)
    assert [(row.state, len(row.seconds)) for row in rows] == [(state, 30) for state in STATES]
    assert (counts.sign_ins, counts.lost, counts.doubled, counts.told_lost) == (150, 0, 0, 0)
