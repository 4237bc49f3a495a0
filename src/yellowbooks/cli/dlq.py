"""Commands about dead jobs: see them, see what they died of, run them again, edit, discard."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import click
import msgspec

from yellowbooks.cli.base import NO_SUCH_JOB, REFUSED, main
from yellowbooks.cli.operate import (
    Moment,
    clock,
    confirmed,
    in_steps,
    json_option,
    on_queue,
    operator,
    say,
    sentence,
    stop,
    table,
)
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.jobs import Job, Kind, Payload, Queue, Wanted

Command = Callable[..., Any]
MANY = 10**9


@main.group()
def dlq() -> None:
    """See dead jobs, and run them again, edit or discard them."""


def _filters(command: Command) -> Command:
    """The options that say which dead jobs: all of what is given."""
    for option in (
        click.option("--until", "before", type=Moment(), help="Died before this time, or so long ago (2h)."),
        click.option("--since", "after", type=Moment(), help="Died at this time or later, or within so long (2h)."),
        click.option("--release", help="The version of the code that failed."),
        click.option("--kind", help="Jobs of this kind."),
        click.option("--cause", help="The beginning of the cause, as `causes` shows it."),
        click.option("--error", help="A part of the error, in any case."),
    ):
        command = option(command)
    return command


def _bulk(command: Command) -> Command:
    for option in (
        click.option("--all", "everything", is_flag=True, help="Every dead job."),
        click.option("--limit", type=click.IntRange(1), help="At most so many, the newest first."),
        click.option("--preview", is_flag=True, help="Count them and change nothing."),
        click.option("--yes", is_flag=True, help="Do not ask."),
    ):
        command = option(command)
    return _filters(command)


def _wanted(error: str | None, cause: str | None, kind: str | None, release: str | None, after: int | None,
            before: int | None) -> "Wanted":  # fmt: skip
    from yellowbooks.jobs import Wanted

    return Wanted(kind, cause, error, release, after, before)


@dlq.command("list")
@_filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--cursor", help="Of the next page, as `--json` gives it.")
@json_option
def list_dead(limit: int, cursor: str | None, as_json: bool, **filters: Any) -> None:
    """Dead jobs, the newest first."""
    from yellowbooks.jobs import page_of
    from yellowbooks.views import dead_view

    wanted = _wanted(**filters)

    async def work(queue: "Queue", _settings: Settings) -> tuple[list["Job"], str | None, int]:
        try:
            return await page_of(queue, limit, cursor, wanted)
        except ValueError:
            raise click.BadParameter("is none that an earlier page gave", param_hint="--cursor") from None

    jobs, following, total = on_queue(work)
    if as_json:
        say({"count": total, "jobs": [dead_view(job) for job in jobs], "nextCursor": following})
        return
    rows = [(job.id, job.kind, clock(job.ended), job.attempts, job.cause, job.error) for job in jobs]
    table(["job", "kind", "died (UTC)", "attempts", "cause", "error"], rows, empty="no dead job is like that")
    if len(jobs) < total:
        click.echo(f"{len(jobs)} of {total}; see more with --limit")


@dlq.command()
@click.argument("job_id")
@json_option
def show(job_id: str, as_json: bool) -> None:
    """One dead job: its history, and where in the code each attempt failed."""
    from yellowbooks.views import dead_view

    job = on_queue(lambda queue, _: _dead(queue, job_id))
    if as_json:
        say(dead_view(job))
        return
    release = job.failed.release if job.failed else ""
    facts = {"job": job.id, "kind": job.kind, "died": clock(job.ended), "attempts": f"{job.attempts} of "
             f"{job.max_attempts}", "cause": job.cause, "error": job.error, "release": release}  # fmt: skip
    table(["", ""], [(name, value) for name, value in facts.items() if value], empty="")
    for event in job.history:
        click.echo(f"\n{clock(event.at)}  {event.name}" + (f"  {event.error}" if event.error else ""))
        if event.trace:
            click.echo("  " + event.trace.replace("\n", "\n  "))


@dlq.command("causes")
@_filters
@json_option
def show_causes(as_json: bool, **filters: Any) -> None:
    """What jobs died of and how many of it, the most frequent first."""
    from yellowbooks.jobs import causes

    wanted = _wanted(**filters)
    found = on_queue(lambda queue, _: causes(queue, wanted))
    if as_json:
        say({"causes": [one.fingerprint._asdict() | {"count": one.count} for one in found]})
        return
    rows = [(one.count, *one.fingerprint) for one in found]
    table(["jobs", "kind", "cause", "release"], rows, empty="no job is dead")


@dlq.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB_ID...]")
@_bulk
@click.option("--pace", type=click.FloatRange(0, min_open=True), help="So many a second, not all at once.")
@json_option
def requeue(job_ids: tuple[str, ...], pace: float | None, as_json: bool, **chosen: Any) -> None:
    """Run dead jobs again, with all their attempts: those named, those that the options say, or --all."""

    async def act(queue: "Queue", ids: list[str]) -> list[str]:
        return await queue.requeue(ids, pace=pace, by=operator())

    _move("requeued", job_ids, act, as_json, paced=pace is not None, **chosen)


@dlq.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB_ID...]")
@_bulk
@json_option
def discard(job_ids: tuple[str, ...], as_json: bool, **chosen: Any) -> None:
    """Give dead jobs up: those named, those that the options say, or --all. Their payloads are dropped."""

    async def act(queue: "Queue", ids: list[str]) -> list[str]:
        return await queue.discard(ids)

    _move("discarded", job_ids, act, as_json, **chosen)


def _move(
    word: str, job_ids: tuple[str, ...], act: Callable[["Queue", list[str]], Any], as_json: bool, *, everything: bool,
    limit: int | None, preview: bool, yes: bool, paced: bool = False, **filters: Any,
) -> None:  # fmt: skip
    """Requeue or discard, and say what came of it."""
    given = any(value is not None for value in filters.values())
    if bool(job_ids) + given + everything != 1:
        raise click.UsageError(
            "name the jobs, or say which by options such as --cause, or give --all: one of the three"
        )

    async def choose(queue: "Queue", _settings: Settings) -> list[str]:
        from yellowbooks.jobs import find

        ids = list(job_ids)
        if not ids:
            async for job in find(queue, _wanted(**filters)):
                ids.append(job.id)
                if len(ids) >= (limit or MANY):
                    break
        return ids

    async def work(queue: "Queue", _settings: Settings) -> list[str]:
        # At a pace the delays of all are reckoned together, so they go in one call.
        return await (act(queue, ids) if paced else in_steps(ids, lambda some: act(queue, some), word))

    ids = on_queue(choose)
    if preview:
        say({"count": len(ids), "jobs": ids}) if as_json else click.echo(f"{len(ids)} dead jobs would be {word}")
        return
    if not job_ids and ids:
        confirmed(f"{len(ids)} dead jobs will be {word}.", yes)
    answers = on_queue(work)
    _report(word, ids, answers, as_json)


def _report(word: str, ids: list[str], answers: list[str], as_json: bool) -> None:
    others = [(job_id, answer) for job_id, answer in zip(ids, answers, strict=True) if answer != word]
    if as_json:
        left = [{"jobId": job_id, "answer": answer} for job_id, answer in others]
        say({word: answers.count(word), "others": left})
    else:
        click.echo(f"{answers.count(word)} {word}")
        why = {"not_dead": "is not dead; see `yellowbooks jobs show`", "unknown": "is no job of the queue"}
        for job_id, answer in others:
            click.echo(f"{job_id} {why[answer]}", err=True)
    if "not_dead" in answers:
        raise SystemExit(REFUSED)
    if "unknown" in answers:
        raise SystemExit(NO_SUCH_JOB)


@dlq.command()
@click.argument("job_id")
@click.option("--set", "changes", multiple=True, metavar="FIELD=VALUE", help="A field's new value; JSON, or a text.")
@click.option("--payload", type=click.File("rb"), help="The whole payload as JSON, from a file or from - .")
@click.option("--requeue", "again", is_flag=True, help="Run it again with this payload.")
@json_option
def edit(job_id: str, changes: tuple[str, ...], payload: BinaryIO | None, again: bool, as_json: bool) -> None:
    """Give a dead job another payload; without options, in $EDITOR. What its kind refuses changes nothing."""
    given = payload.read() if payload else None

    async def work(queue: "Queue", settings: Settings) -> tuple[str, list[str]]:
        from yellowbooks.jobs import Invalid, Unknown, payload_of
        from yellowbooks.wiring import kinds

        await _dead(queue, job_id)
        try:
            found = await payload_of(queue, kinds(settings), job_id)
            if found is None:
                raise stop(f"job {job_id} has no payload", REFUSED)
            kind, before = found
            after = kind.parse(_edited(before, changes, given))
        except (Invalid, Unknown) as error:
            raise stop(f"nothing was changed: {error}") from None
        changed = _changed(kind, before, after)
        if not changed:
            return "unchanged", []
        answer = await queue.edit(kind, job_id, after, by=operator())
        if answer == "edited" and again:
            [answer] = await queue.requeue([job_id], by=operator())
        return answer, changed

    answer, changed = on_queue(work)
    if as_json:
        say({"jobId": job_id, "answer": answer, "changed": changed})
    else:
        sentence(f"{answer}: {', '.join(changed)}" if changed else "nothing was changed")
    if answer in ("not_dead", "unknown"):
        raise SystemExit(REFUSED if answer == "not_dead" else NO_SUCH_JOB)
    if answer == "edited" and not as_json:
        click.echo(f"run it again with `yellowbooks dlq requeue {job_id}`")


def _edited(before: "Payload", changes: tuple[str, ...], given: bytes | None) -> bytes:
    """The new payload as JSON. Raises `click.UsageError`."""
    if given is not None:
        return given
    fields = msgspec.to_builtins(before)
    if not changes:
        if not sys.stdin.isatty():
            raise click.UsageError("say what to change with --set FIELD=VALUE, or give the whole with --payload")
        text = click.edit(json.dumps(fields, ensure_ascii=False, indent=2) + "\n", extension=".json")
        return (text or json.dumps(fields)).encode()
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise click.UsageError(f"--set {change} has no «=»; for example --set email=bat@example.com")
        try:
            fields[name] = json.loads(text)
        except ValueError:
            fields[name] = text
    return json.dumps(fields).encode()


def _changed(kind: "Kind[Any]", before: "Payload", after: "Payload") -> list[str]:
    """The fields that differ; the id is not one of them."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(kind.payload)
        if field.name != "job_id" and getattr(before, field.name) != getattr(after, field.name)
    ]


async def _dead(queue: "Queue", job_id: str) -> "Job":
    """The job. Raises `SystemExit` where it is none, or is not dead."""
    from yellowbooks.jobs import State

    job = await queue.show(job_id)
    if job is None:
        raise stop(f"no job in the queue has the id {job_id[:128]}", NO_SUCH_JOB)
    if job.state is not State.DEAD:
        raise stop(f"job {job_id} is {job.state}, not dead; see `yellowbooks jobs show {job_id}`", REFUSED)
    return job
