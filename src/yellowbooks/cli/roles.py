"""The roles of the system: everything at once, or one by one."""

import asyncio
import contextlib
import importlib.util
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yellowbooks import __version__
from yellowbooks.cli.base import WRONG_SETTING, clear_errors, load_settings, main
from yellowbooks.settings import Settings, handed_over, inherited, load

if TYPE_CHECKING:
    from yellowbooks.embedded import Embedded
    from yellowbooks.wiring import Roles

reload_option = click.option("--reload", is_flag=True, help="Start again when code or templates change (development).")
child_option = click.option("--child", is_flag=True, hidden=True)


@main.command()
@click.option(
    "--workers", type=click.IntRange(0, 64), default=1, show_default=True, help="Processes; 0: start your own."
)
@click.option("--port", type=click.IntRange(1, 65_535), help="The API's port (default: YB_PORT).")
@click.option("--demo", is_flag=True, help="Also a small site to sign in to, which shows all that happens.")
def up(workers: int, port: int | None, demo: bool) -> None:
    """Start everything: Valkey, the job log, the API and the workers."""
    from yellowbooks.embedded import Embedded, own, stop_on_signals
    from yellowbooks.observe import observer
    from yellowbooks.processes import Misconfigured
    from yellowbooks.wiring import check, check_demo, demo_address, expect_keys, make_data_dir

    with clear_errors():
        settings = load_settings().settings
        settings = replace(settings, port=port) if port else settings
        check(settings)
        expect_keys(settings)
        if demo:
            check_demo(settings)
        make_data_dir(settings.data_dir)
        site = demo_address(settings) if demo else None
        embedded = Embedded(settings, workers, observer("up", settings.log_format), site)
        with own(settings.data_dir, embedded.address):
            try:
                stop_on_signals(embedded.stop)
                embedded.start()
                _first_screen(embedded, settings, workers)
                embedded.run()
            except Misconfigured:
                raise SystemExit(WRONG_SETTING) from None
            finally:
                embedded.end()


def _first_screen(embedded: "Embedded", settings: Settings, workers: int) -> None:
    address, processes = embedded.address, [f"{child.name} {child.pid}" for child in embedded.children]
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
        f"  dashboard  {address}/dashboard",
        f"  schema     {address}/schema",
        *([f"  demo site  {embedded.demo}"] if embedded.demo else []),
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
    click.echo("\n".join(lines))


@main.command()
@reload_option
@child_option
@click.option("--alone", is_flag=True, hidden=True)
def api(reload: bool, child: bool, alone: bool) -> None:
    """Serve the API; a recorder process beside it writes the job log."""
    if reload:
        _reload("api")
        return
    from yellowbooks.embedded import listen
    from yellowbooks.observe import observer
    from yellowbooks.processes import Child, beside, role
    from yellowbooks.wiring import Roles, check, look_at_server, look_for_keys, make_data_dir

    with clear_errors():
        settings = _role_settings(child)
        check(settings)
        make_data_dir(settings.data_dir)
        handed = handed_over()
        listener = listen(settings.host, settings.port) if handed is None else socket.socket(fileno=handed)
        if handed is not None and listener.family != socket.AF_UNIX:
            settings = replace(settings, host=listener.getsockname()[0])  # where it listens decides who reaches it
        tell = observer("api", settings.log_format)
        asyncio.run(look_at_server(settings, tell))
        asyncio.run(look_for_keys(settings, tell))
    recorder = Child("recorder", role("recorder"), inherited())
    with contextlib.ExitStack() as stack:
        if not alone:
            stack.enter_context(beside(recorder, tell))
        Roles(settings, tell, announced=not child).api(listener)
    if recorder.status() == WRONG_SETTING:
        raise SystemExit(WRONG_SETTING)


@main.command()
@reload_option
@child_option
@click.option(
    "--grace", type=click.FloatRange(0), default=25.0, show_default=True, help="Seconds to finish at the end."
)
@click.option("--health-port", type=click.IntRange(1, 65_535), help="Say on this port whether the worker is alive.")
@click.option("--health-host", help="The address of that port (default: YB_HOST).")
def worker(reload: bool, child: bool, grace: float, health_port: int | None, health_host: str | None) -> None:
    """Run jobs; start as many as you like."""
    if reload:
        _reload("worker")
        return
    _run_role("worker", child, lambda roles: roles.worker(grace, health_port, health_host))


@main.command()
@child_option
def recorder(child: bool) -> None:
    """Write the job log; `api` starts one by itself."""
    _run_role("recorder", child, lambda roles: roles.recorder())


def _run_role(name: str, child: bool, run: Callable[["Roles"], None]) -> None:
    from yellowbooks.observe import observer
    from yellowbooks.wiring import Roles, check, make_data_dir, open_queue

    with clear_errors():
        settings = _role_settings(child)
        check(settings)
        open_queue(settings)
        make_data_dir(settings.data_dir)
        run(Roles(settings, observer(name, settings.log_format), announced=not child))


def _role_settings(child: bool) -> Settings:
    from yellowbooks.processes import end_with_parent

    if child:
        end_with_parent()
        return load().settings
    return load_settings().settings


def _reload(name: str) -> None:
    from watchfiles import PythonFilter, run_process

    with clear_errors():
        settings = load_settings().settings
    sys.path.insert(0, str(Path.cwd()))
    origins = [str(settings.templates_dir)] if settings.templates_dir else []
    origins += [spec.origin for module in settings.kinds if (spec := importlib.util.find_spec(module)) and spec.origin]
    ours = PythonFilter(extra_extensions=(".lua", ".toml", ".txt", ".html", ".css"))
    command = f"{sys.executable} -m yellowbooks {name}"
    run_process(Path(__file__).parent.parent, *origins, target=command, target_type="command", watch_filter=ours)
