"""The demo site as a role of its own; `up --demo` starts it."""

import click

from yellowbooks.cli.base import clear_errors, load_settings, main
from yellowbooks.settings import load


@main.command()
@click.option("--child", is_flag=True, hidden=True)
def demo(child: bool) -> None:
    """Serve the demo site against a running API; `up --demo` starts both."""
    from yellowbooks.embedded import listen
    from yellowbooks.observe import observer
    from yellowbooks.processes import end_with_parent
    from yellowbooks.wiring import check_demo, demo_address, demo_port, serve_demo

    if child:
        end_with_parent()
    with clear_errors():
        settings = load().settings if child else load_settings().settings
        check_demo(settings)
        listener = listen(settings.host, demo_port(settings), "YB_DEMO_PORT")
    tell = observer("demo", settings.log_format)
    if not child:
        tell("ready", url=demo_address(settings))
    serve_demo(settings, listener, tell)
