"""The command that looks at the set-up."""

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yellowbooks.cli.base import clear_errors, load_settings, main
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.doctor import Line, Resolver


def _addresses(_context: object, _option: object, given: tuple[str, ...]) -> tuple[str, ...]:
    for address in given:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise click.BadParameter(f"«{address}» is no IP address; for example 192.0.2.10") from None
    return given


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for a machine.")
@click.option(
    "--sends-from", multiple=True, metavar="IP", callback=_addresses, help="What mails leave from; as often as needed."
)
@click.option("--dns", metavar="IP[#PORT]", default="", help="The name server to ask (default: the machine's).")
def doctor(as_json: bool, sends_from: tuple[str, ...], dns: str) -> None:
    """Look at the set-up: a line each, what to do next, exit status 1 where something fails. No mail is sent."""
    from yellowbooks.doctor import SystemResolver

    host, _, port = dns.partition("#")
    _addresses(None, None, (host,) if host else ())
    resolver = SystemResolver([host] if host else [], int(port) if port.isdigit() else 53)
    with clear_errors():
        settings = load_settings().settings
        lines = []
        for line in examine(settings, resolver, sends_from):
            lines.append(line)
            if not as_json:
                click.echo(line)
    well = all(line.level != "FAIL" for line in lines)
    if as_json:
        click.echo(json.dumps({"ok": well, "checks": [asdict(line) for line in lines]}, ensure_ascii=False))
    if not well:
        raise SystemExit(1)


def examine(settings: Settings, resolver: "Resolver", sends_from: tuple[str, ...]) -> Iterator["Line"]:
    """Every line about these settings. Raises `SettingsError`."""
    from yellowbooks import doctor
    from yellowbooks.wiring import beside_up, check, database_url

    check(settings)
    yield doctor.examine_python()
    settings = beside_up(settings)
    if settings.valkey_url:
        yield from doctor.examine_valkey(settings.valkey_url)
    else:
        yield doctor.Line(
            "warn", "Valkey", "none is set and `up` does not run", "start `yellowbooks up`, or set YB_VALKEY_URL"
        )
    yield doctor.examine_database(database_url(settings))
    yield from _mail(settings, resolver, sends_from)


def _mail(settings: Settings, resolver: "Resolver", sends_from: tuple[str, ...]) -> Iterator["Line"]:
    from yellowbooks import doctor
    from yellowbooks.mail import SmtpServer, mailbox
    from yellowbooks.wiring import make_signer

    if not settings.smtp_url:
        yield doctor.Line("warn", "mail", "mails stay in the inbox", "set YB_SMTP_URL and YB_MAIL_FROM to send them")
        return
    if not settings.mail_secret:
        yield doctor.Line(
            "warn",
            "mail",
            "YB_MAIL_SECRET is not set: bounces are not taken in",
            "set it, the same for every role: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    sender = mailbox(settings.mail_from).address
    servers = [SmtpServer.parse(url) for url in settings.smtp_url]
    for server in servers:
        yield from doctor.examine_smtp(server, sender.rpartition("@")[2])
    for selector, path in settings.dkim:
        if path.stat().st_mode & 0o077:
            yield doctor.Line("warn", "DKIM", f"the key of {selector} can be read by others", f"chmod 600 {path}")
    relays = [server.host for server in servers]
    domain = doctor.MailDomain(sender, make_signer(settings).keys, relays, sends_from)
    yield from doctor.examine_domain(domain, resolver)
