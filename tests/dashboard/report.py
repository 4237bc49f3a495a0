"""A kind whose jobs work, take long, or fail in several ways, until somebody brings the template that they lack."""

import asyncio
from collections.abc import Iterable

from yellowbooks.jobs import Backoff, Kind, Lease, Payload, Permanent
from yellowbooks.settings import load


class Report(Payload):
    user: str
    template: str = "daily"
    seconds: float = 0.0

    def key(self) -> str | None:
        return self.user

    def private(self) -> Iterable[str]:
        return (self.user,)


async def write(_lease: Lease, report: Report) -> None:
    await asyncio.sleep(report.seconds)
    if report.template.startswith("hopeless"):
        raise Permanent(f"there is no {report.template}")
    if report.template == "evil":
        raise ValueError("<img src=x onerror=alert(1)> is no template")
    if report.template != "daily" and not (load().settings.data_dir / report.template).exists():
        raise LookupError(f"there is no template called {report.template}")


KIND = Kind("report", Report, write, backoff=Backoff(attempts=2, base=0.05))
