"""A kind whose jobs do what their payload says: work, take long, or fail in several ways."""

import asyncio

from yellowbooks.jobs import Backoff, Kind, Lease, Payload


class Report(Payload):
    user: str
    template: str = "daily"
    seconds: float = 0.0

    def key(self) -> str | None:
        return self.user


async def write(_lease: Lease, report: Report) -> None:
    await asyncio.sleep(report.seconds)
    if report.template == "evil":
        raise ValueError("<img src=x onerror=alert(1)> is no template")
    if report.template != "daily":
        raise LookupError(f"there is no template called {report.template}")


KIND = Kind("report", Report, write, backoff=Backoff(attempts=2, base=0.05))
