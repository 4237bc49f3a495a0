"""The command that holds the queue and the job log against each other."""

from typing import TYPE_CHECKING

import click

from yellowbooks.cli.base import NOT_DONE, main
from yellowbooks.cli.operate import has_log, json_option, on_queue, say, stop, table

if TYPE_CHECKING:
    from yellowbooks.joblog import Counts, Finding
    from yellowbooks.jobs import Queue
    from yellowbooks.settings import Settings

SHOWN = 50  # differences in the table; --json has all


@main.command()
@click.option("--mend", is_flag=True, help="Give the log what it lacks, and close what nobody can make again.")
@click.option("--rebuild", is_flag=True, help="Also make again what the queue lost, dead letters and known ids too.")
@json_option
def reconcile(*, mend: bool, rebuild: bool, as_json: bool) -> None:
    """Hold the queue and the job log against each other, and list what stands in one only.

    With no option nothing is changed. Jobs go on meanwhile, and what is told twice is done once. With --json each
    difference is a line, and the counts are the last one. Status 1: some differ still.
    """
    from yellowbooks.wiring import reconcile as compare

    found: list[Finding] = []

    def hear(finding: "Finding") -> None:
        if as_json:
            say(finding)
        elif len(found) < SHOWN:
            found.append(finding)

    async def run(queue: "Queue", settings: "Settings") -> "Counts":
        if not has_log(settings):
            raise stop(
                f"there is no job log in {settings.data_dir} yet; start `yellowbooks up`, or set YB_DATABASE_URL"
            )
        return await compare(settings, queue, mend=mend, rebuild=rebuild, hear=hear)

    counts = on_queue(run)
    if as_json:
        say(counts)
    else:
        _show(found, counts)
    if counts.left:
        raise SystemExit(NOT_DONE)


def _show(found: "list[Finding]", counts: "Counts") -> None:
    rows = [(one.job_id, one.what, one.queue or "-", one.log or "-", one.done) for one in found]
    if rows:
        table(("job", "what", "queue", "log", "done"), rows, empty="")
    if counts.found > len(found):
        click.echo(f"… and {counts.found - len(found)} more; see all with --json")
    known = f", {counts.known} ids known again" if counts.known else ""
    click.echo(
        f"{counts.in_queue} jobs in the queue, {counts.in_log} in the log that wait, run or are dead: "
        f"{counts.found} differ, {counts.left} of them still{known}"
    )
