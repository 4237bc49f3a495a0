"""The command line: each command a few lines."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yellowbooks import __version__
from yellowbooks.settings import Loaded, Settings, SettingsError, inherited, load, shown

if TYPE_CHECKING:
    from yellowbooks.wiring import Roles

WRONG_SETTING = 2

app = typer.Typer(
    help="Background jobs that tell people what happened to their account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Reload = Annotated[bool, typer.Option("--reload", help="Start again when code or templates change (development).")]
AsChild = Annotated[bool, typer.Option("--child", hidden=True)]


@contextmanager
def _clear_errors() -> Iterator[None]:
    """A wrong setting is one line a mistake and exit status 2."""
    try:
        yield
    except SettingsError as error:
        typer.echo(f"yellowbooks: {error}", err=True)
        raise typer.Exit(WRONG_SETTING) from None


def _load() -> Loaded:
    loaded = load()
    for warning in loaded.warnings:
        typer.echo(f"yellowbooks: {warning}", err=True)
    return loaded


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes; 0: start your own.")] = 1,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="The API's port (default: YB_PORT).")] = None,
) -> None:
    """Start everything: Valkey, the job log, the API and the workers."""
    from yellowbooks.embedded import Embedded, own, run_until_signalled
    from yellowbooks.observe import observer
    from yellowbooks.processes import Misconfigured
    from yellowbooks.wiring import check, make_data_dir

    with _clear_errors():
        settings = _load().settings
        settings = replace(settings, port=port) if port else settings
        check(settings)
        make_data_dir(settings.data_dir)
        embedded = Embedded(settings, workers, observer("up", settings.log_format))
        with own(settings.data_dir, embedded.address):
            try:
                embedded.start()
                _first_screen(embedded.address, settings, workers, [f"{c.name} {c.pid}" for c in embedded.children])
                run_until_signalled(embedded)
            except Misconfigured:
                raise typer.Exit(WRONG_SETTING) from None
            finally:
                embedded.end()


def _first_screen(address: str, settings: Settings, workers: int, processes: list[str]) -> None:
    inbox = "; ".join(url.rpartition("@")[2] for url in settings.smtp_url) or f"kept in the inbox: {address}/inbox"
    header = ' -H "Authorization: Bearer $YB_API_KEY"' if settings.api_keys else ""
    body = '{"userId":"u1","email":"bat@example.com","name":"Бат","provider":"github","ipAddress":"192.168.1.100"}'
    log = "YB_DATABASE_URL" if settings.database_url else settings.data_dir / "joblog.sqlite3"
    lines = [
        f"Yellow Books Jobs {__version__} runs on {address}",
        "",
        f"  processes  {', '.join(processes)}",
        f"  data       {settings.data_dir}",
        f"  job log    {log}",
        f"  mails      {inbox}",
        f"  schema     {address}/schema",
        *([] if workers else ["  workers    none: start your own with `yellowbooks worker` and the YB_VALKEY_URL below",
                              f"             YB_VALKEY_URL={settings.valkey_url or f'unix://{settings.data_dir}/valkey.sock'}"]),
        "",
        "Try it:",
        "",
        f"  curl -i {address}/api/jobs/signin-notification -H 'Content-Type: application/json'{header} \\",
        f"    -d '{body}'",
        "",
        "Ctrl-C stops everything; the next start finds every job where it was.",
    ]  # fmt: skip
    typer.echo("\n".join(lines))


@app.command()
def api(
    reload: Reload = False,
    child: AsChild = False,
    alone: Annotated[bool, typer.Option("--alone", hidden=True)] = False,
) -> None:
    """Serve the API; a recorder process beside it writes the job log."""
    if reload:
        _reload("api")
        return
    from yellowbooks.embedded import listen
    from yellowbooks.observe import observer
    from yellowbooks.processes import Child, role, watch
    from yellowbooks.wiring import Roles, check, make_data_dir, open_queue

    with _clear_errors():
        settings = _role_settings(child)
        check(settings)
        open_queue(settings)
        make_data_dir(settings.data_dir)
        listener = listen(settings.host, settings.port)
    tell = observer("api", settings.log_format)
    recorder, stop = Child("recorder", role("recorder"), inherited()), threading.Event()
    if not alone:
        recorder.start()
        threading.Thread(target=watch, args=([recorder], stop, tell), daemon=True).start()
    try:
        Roles(settings, tell).api(listener)
    finally:
        stop.set()
        recorder.end(2)


@app.command()
def worker(
    reload: Reload = False,
    child: AsChild = False,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that running jobs get to finish at the end.")] = 25.0,
) -> None:
    """Run jobs; start as many as you like."""
    if reload:
        _reload("worker")
        return
    _run_role("worker", child, lambda roles: roles.worker(grace))


@app.command(hidden=True)
def recorder(child: AsChild = False) -> None:
    """Write the job log; `api` starts one by itself."""
    _run_role("recorder", child, lambda roles: roles.recorder())


@app.command()
def check(
    url: Annotated[str, typer.Option(help="The API to check.")] = "",
    email: Annotated[str, typer.Option(help="Who gets the mails of the check.")] = "check@example.com",
) -> None:
    """Run the acceptance cases against a running system: a line each, exit status 0 where all pass."""
    from yellowbooks.acceptance import Case, Check

    def show(case: Case) -> None:
        typer.echo(f"{'ok  ' if case.passed else 'FAIL'}  {case.name}: {case.detail}")

    with _clear_errors():
        settings = _load().settings
    keys = ("".join(settings.api_keys[:1]), "".join(settings.admin_keys[:1]))
    address = url or f"http://{settings.host}:{settings.port}"
    if not Check(address, email, *keys, limit=settings.rate_limit[0]).run(show):
        raise typer.Exit(1)


@app.command()
def settings() -> None:
    """Print every setting, its value, where it came from and what it means; secrets stay hidden."""
    from rich.console import Console
    from rich.table import Table

    with _clear_errors():
        rows = shown(_load())
    table = Table("setting", "value", "from", "meaning", box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _run_role(name: str, child: bool, run: Callable[["Roles"], None]) -> None:
    from yellowbooks.observe import observer
    from yellowbooks.wiring import Roles, check, make_data_dir, open_queue

    with _clear_errors():
        settings = _role_settings(child)
        check(settings)
        open_queue(settings)
        make_data_dir(settings.data_dir)
        run(Roles(settings, observer(name, settings.log_format)))


def _role_settings(child: bool) -> Settings:
    from yellowbooks.processes import end_with_parent

    if child:
        end_with_parent()
        return load().settings
    return _load().settings


def _reload(name: str) -> None:
    from watchfiles import run_process

    watched = [Path(__file__).parent, Path.cwd()]
    run_process(*watched, target=f"{sys.executable} -m yellowbooks {name}", target_type="command")


def main() -> None:
    """The console script."""
    app()
