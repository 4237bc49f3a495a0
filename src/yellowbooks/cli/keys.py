"""Commands about keys: those that open the API, and those that seal what waits in the queue."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from yellowbooks.cli.base import NO_SUCH_JOB, NOT_DONE, REFUSED, TRY_AGAIN, clear_errors, load_settings, main
from yellowbooks.settings import Settings, SettingsError

if TYPE_CHECKING:
    from yellowbooks.access import KeyStore, Record, Secrets
    from yellowbooks.jobs import Queue

R = TypeVar("R")
NAME = r"[a-z0-9][a-z0-9._-]{0,39}"
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")


@main.group()
def keys() -> None:
    """Keys of the API: issue, list, rotate, revoke; and keys that seal payloads."""


@keys.command()
def new() -> None:
    """Print a key that nobody can guess, for YB_SECRET_KEYS, YB_API_KEYS, YB_ADMIN_KEYS or YB_MAIL_SECRET."""
    click.echo(secrets.token_urlsafe(32))


@keys.command()
@click.option("--role", type=click.Choice(["api", "admin"]), required=True, help="For an application, or an operator.")
@click.option("--name", default="", help="Whose it is: a-z, 0-9, dot, dash; at most two live keys have one name.")
@click.option("--kinds", default="", help="Comma-separated kinds that it may enqueue and follow (default: every kind).")
@click.option("--expires", default="", help="When it ends by itself, such as 90d (default: never).")
@click.option("--signing", is_flag=True, help="A secret that signs requests (Standard Webhooks), in place of a key.")
@json_option
def issue(role: str, name: str, kinds: str, expires: str, signing: bool, as_json: bool) -> None:
    """Make a key of the API and print it: this once, as it is kept nowhere."""
    with clear_errors():
        if signing and role == "admin":
            raise SettingsError("--signing: an operator sends his key; leave it out, or make an --role api")
        named, lifetime = _name(name), _lifetime(expires)
        wanted = _kinds(kinds, role)
    _issue(role, named, wanted, lifetime, as_json, signing=signing)


@keys.command()
@click.argument("key_id", metavar="ID")
@json_option
def rotate(key_id: str, as_json: bool) -> None:
    """Make a second key beside one, with its name, role and scope; the old one works until it is revoked."""

    async def work(store: "KeyStore", _secrets: "Secrets") -> "Record":
        listed = await store.all()
        record = listed.records.get(key_id)
        if record is None:
            _end(NO_SUCH_JOB, f"no key has the id {key_id}; see yellowbooks keys list")
        if not listed.live(record, time.time()):
            _end(REFUSED, f"the key {key_id} works no more; make another: yellowbooks keys issue --role {record.role}")
        return record

    old = _on_store(work)
    lifetime = old.expires - old.made if old.expires else 0
    _issue(old.role, old.name, old.kinds, lifetime, as_json, signing=old.signs)
    click.echo(f"yellowbooks: when nobody uses the old one any more: yellowbooks keys revoke {key_id}", err=True)


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """Show the keys that were issued, without the keys themselves; those that ended, for 30 days."""

    async def work(store: "KeyStore", known: "Secrets") -> list[dict[str, Any]]:
        listed, now = await store.all(), time.time()
        ordered = sorted(listed.records.values(), key=lambda one: (one.name, one.made))
        return [_row(one, listed.used.get(one.id), listed.revoked.get(one.id), known, now) for one in ordered]

    rows = _on_store(work)
    if as_json:
        click.echo(json.dumps(rows))
        return
    _table(rows)


@keys.command()
@click.argument("key_ids", metavar="ID...", nargs=-1, required=True)
def revoke(key_ids: tuple[str, ...]) -> None:
    """End keys: from the next request on they open nothing."""

    async def work(store: "KeyStore", _secrets: "Secrets") -> list[str]:
        return [await store.revoke(key_id) for key_id in key_ids]

    answers = _on_store(work)
    for key_id, answer in zip(key_ids, answers, strict=True):
        said = {"revoked": "is revoked", "already": "was revoked before", "unknown": "is not the id of a key"}[answer]
        click.echo(f"{key_id} {said}", err=answer == "unknown")
    if "unknown" in answers:
        _end(NO_SUCH_JOB, "the id is the part of a key between the second and the third «_»; see yellowbooks keys list")


@keys.command()
def reseal() -> None:
    """Seal what the queue holds with the first key of YB_SECRET_KEYS; then the older keys can go."""
    from yellowbooks.jobs import reseal as seal_anew
    from yellowbooks.wiring import every_kind

    async def run(queue: "Queue", settings: Settings) -> tuple[dict[str, int], list[str]]:
        if not settings.secret_keys:
            raise SettingsError("YB_SECRET_KEYS: is not set, so there is nothing to seal with; see `keys new`")
        counts = await seal_anew(queue, every_kind(settings))
        return counts, await _older(queue, settings)

    counts, older = _on_queue(run)
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    if counts["changed"] or counts["unreadable"]:
        _end(NOT_DONE, "not all are sealed with the first key yet; run it again with every key set")
    if older:
        still = f"{', '.join(older)} (those that sign: rotate them)"
        _end(NOT_DONE, f"API keys are hashed under an older one, until they are next used, or rotated: {still}")


async def _older(queue: "Queue", settings: Settings) -> list[str]:
    """Keys that would open nothing without the older secrets."""
    from yellowbooks.wiring import key_secrets, key_store

    first, listed = key_secrets(settings).first, await key_store(queue).all()
    live = [one for one in listed.records.values() if listed.live(one, time.time())]
    return sorted(one.id for one in live if one.under != first)


def _issue(role: str, name: str, kinds: tuple[str, ...], lifetime: int, as_json: bool, *, signing: bool) -> None:
    from yellowbooks.access import TooMany, issue_key, issue_signer

    async def work(store: "KeyStore", known: "Secrets") -> tuple[str, "Record"]:
        now = int(time.time())
        expires = now + lifetime if lifetime else 0
        if signing:
            text, record = issue_signer(known, name, kinds, now, expires)
        else:
            given, record = issue_key(known, role, name, kinds, now, expires)
            text = given.text
        await store.issue(record)
        return text, record

    try:
        text, record = _on_store(work)
    except TooMany as error:
        _end(REFUSED, str(error))
    if as_json:
        shown = {"key": text, "id": record.id, "role": role, "name": record.name, "kinds": list(kinds)}
        click.echo(json.dumps(shown | {"expires": _time(record.expires)}))
    else:
        click.echo(text)
    click.echo(
        f"yellowbooks: this is shown once. Its id is {record.id}; from now on the API asks whoever calls for a key",
        err=True,
    )


def _row(record: "Record", used: int | None, revoked: int | None, known: "Secrets", now: float) -> dict[str, Any]:
    state = "revoked" if revoked else "expired" if record.expired(now) else "live"
    return {
        "id": record.id, "name": record.name, "role": record.role, "signs": record.signs, "kinds": list(record.kinds),
        "state": state if record.under in known or state != "live" else "live, under a secret that is not here",
        "made": _time(record.made), "used": _time(used), "expires": _time(record.expires), "revoked": _time(revoked),
    }  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("no key was issued; yellowbooks keys issue --role api makes one")
        return
    table = Table(*rows[0], box=None)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return ", ".join(value) if isinstance(value, list) else value or ""


def _name(text: str) -> str:
    import re

    if text and not re.fullmatch(NAME, text):
        raise SettingsError("--name: is not 1 to 40 of a-z, 0-9, dot, dash and underscore; for example --name shop")
    return text


def _lifetime(text: str) -> int:
    from yellowbooks.parsers import duration

    try:
        return round(duration(text)) if text else 0
    except ValueError as error:
        raise SettingsError(f"--expires: «{text}» {error}; for example --expires 90d") from None


def _kinds(text: str, role: str) -> tuple[str, ...]:
    """The kinds of a scope. Raises `SettingsError` for one that this installation does not know."""
    from yellowbooks.wiring import kinds

    wanted = tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))
    if wanted and role == "admin":
        raise SettingsError("--kinds: an operator's key has every kind; leave it out, or make an --role api")
    known = [kind.name for kind in kinds(load_settings().settings)] if wanted else []
    if unknown := [one for one in wanted if one not in known]:
        raise SettingsError(f"--kinds: there is no kind {', '.join(unknown)}; there are {', '.join(known)} (YB_KINDS)")
    return wanted


def _on_store(work: "Callable[[KeyStore, Secrets], Awaitable[R]]") -> R:
    from yellowbooks.wiring import key_secrets, key_store, make_data_dir

    async def run(queue: "Queue", settings: Settings) -> R:
        make_data_dir(settings.data_dir)
        return await work(key_store(queue), key_secrets(settings))

    return _on_queue(run)


def _on_queue(work: "Callable[[Queue, Settings], Awaitable[R]]") -> R:
    """Work on the queue; ends with what to do where a setting is wrong or the queue is away."""
    from yellowbooks.wiring import beside_up, open_queue

    async def run() -> R:
        settings = beside_up(load_settings().settings)
        queue = open_queue(settings)
        try:
            return await work(queue, settings)
        finally:
            await queue.close()

    try:
        with clear_errors():
            return asyncio.run(run())
    except ConnectionError as error:
        _end(TRY_AGAIN, str(error))


def _end(status: int, why: str) -> NoReturn:
    click.echo(f"yellowbooks: {why}", err=True)
    raise SystemExit(status)


def _time(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
