"""Every setting: one frozen object, the only reader of the environment, all mistakes reported at once."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from yellowbooks.parsers import alerts as _alerts
from yellowbooks.parsers import duration as _duration
from yellowbooks.parsers import endpoint as _endpoint
from yellowbooks.parsers import folder as _folder
from yellowbooks.parsers import integer as _integer
from yellowbooks.parsers import keys as _keys
from yellowbooks.parsers import modules as _modules
from yellowbooks.parsers import printable as _text
from yellowbooks.parsers import rate as _rate
from yellowbooks.parsers import retry as _retry
from yellowbooks.parsers import sealing_keys as _sealing_keys
from yellowbooks.parsers import secret as _secret
from yellowbooks.parsers import servers as _servers
from yellowbooks.parsers import signing_keys as _signing_keys
from yellowbooks.parsers import site as _site
from yellowbooks.parsers import source_secrets as _source_secrets
from yellowbooks.parsers import url as _url
from yellowbooks.parsers import word as _word

LOOPBACK = ("127.0.0.1", "::1", "localhost")
NOT_OURS = {"YB_CHROMIUM"}  # read by the tests alone


class SettingsError(Exception):
    """One line a mistake: the setting, what is wrong with its value, and a right example."""


def setting(text: str, parse: Callable[[str], Any], about: str, example: str = "", *, secret: bool = False) -> Any:
    """A field of `Settings` from its default as text ("" means not set), with what the documents say of it."""
    unset: Any = () if parse in (_keys, _sealing_keys, _modules, _servers, _signing_keys, _source_secrets) else None
    about_it = {"text": text, "parse": parse, "about": about, "example": example or text, "secret": secret}
    return field(default=parse(text) if text else unset, metadata=about_it)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set. Each field `x` is the environment's `YB_X`; durations are seconds."""

    # A default is made by the parser of its field, so that one text serves the code, the help and the documents.
    # ruff: noqa: RUF009
    port: int = setting("3333", _integer(1, 65_535), "the API's port")
    host: str = setting("127.0.0.1", _text, "the address the API listens on; beyond loopback keys are required")
    data_dir: Path = setting(
        "~/.local/share/yellowbooks", _folder, "where `up` keeps the queue, the job log and the inbox"
    )
    valkey_url: str | None = setting(
        "",
        _url(
            *("valkey", "valkeys", "redis", "rediss", "unix"),
            *(
                f"{scheme}+{form}"
                for form in ("sentinel", "cluster")
                for scheme in ("valkey", "valkeys", "redis", "rediss")
            ),
        ),
        "the queue's server (valkey+sentinel:// and valkey+cluster://: failover.md); not set: `up` brings its own",
        "valkey://127.0.0.1:6379/0",
        secret=True,
    )
    spool_megabytes: int = setting(
        "64",
        _integer(0, 100_000),
        "what an API may keep on disk while the queue is away; 0: nothing, and 503",
    )
    partitions: int = setting(
        "1", _integer(1, 64), "parts of the queue, for the nodes of a cluster to share; for the life of a queue", "8"
    )
    replicas: int = setting(
        "0", _integer(0, 9), "replicas of the queue's server that must have a job before its sender hears 202", "1"
    )
    database_url: str | None = setting(
        "",
        _url("postgresql", "sqlite"),
        "the job log's database; not set: SQLite in the data folder",
        "postgresql://user:password@127.0.0.1/yellowbooks",
        secret=True,
    )
    smtp_url: tuple[str, ...] = setting(
        "",
        _servers,
        "the SMTP servers, comma-separated, the first is tried first; not set: mails stay in the inbox",
        "smtp://user:password@smtp.example.com:587",
        secret=True,
    )
    smtp_rate: tuple[int, float] | None = setting(
        "", _rate, "mails that may leave, over all workers; not set: as fast as the server takes them", "14/second"
    )
    smtp_connections: int = setting("20", _integer(1, 1000), "connections that one worker process has with a server")
    mail_from: str = setting("Yellow Books <no-reply@localhost>", _text, "whom the mails come from")
    templates_dir: Path | None = setting(
        "", _folder, "a folder with templates of your own, which go before ours; see docs/mail.md", "./templates"
    )
    dkim: tuple[tuple[str, Path], ...] = setting(
        "",
        _signing_keys,
        "selectors and key files that sign the mails (DKIM), comma-separated; made by `yellowbooks mail dkim-key`",
        "mail2026:~/.local/share/yellowbooks/mail2026.pem",
    )
    mail_secret: str | None = setting(
        "",
        _secret,
        "keys Message-IDs and the hashes that suppressed addresses, devices and searches go by; bounces need it",
        "a-key-of-16-or-more",
        secret=True,
    )
    concurrency: int = setting("20", _integer(1, 1000), "jobs that one worker process runs at once")
    lease_seconds: int = setting("30", _integer(1, 3600), "how long a lost worker's job waits for another, in seconds")
    rate_limit: tuple[int, float] = setting("10/hour", _rate, "sign-in mails that one user may cause")
    notify: str | None = setting(
        "",
        _word("every", "new_device", "suspicious"),
        "which sign-ins are told at once, the rest in summaries (less-noise.md); not set: each in a mail of its own",
        "new_device",
    )
    notify_window: float | None = setting(
        "", _duration, "when a summary leaves; not set: 1h with YB_NOTIFY=every, else 7d", "24h"
    )
    recipient_limit: tuple[int, float] = setting(
        "20/hour", _rate, "with YB_NOTIFY: sign-in mails at once to one address, whoever signs in"
    )
    total_limit: tuple[int, float] = setting(
        "10000/hour", _rate, "with YB_NOTIFY: sign-in mails to everybody; what is over goes into summaries"
    )
    public_url: str | None = setting(
        "", _site, "where people reach this API, for the link «this was not me» in mails", "https://jobs.example.com"
    )
    link_keys: tuple[str, ...] = setting(
        "", _keys, "keys of that link, comma-separated: the first seals, all open", "a-key-of-16-or-more", secret=True
    )
    revoke_url: str | None = setting(
        "", _endpoint, "your application's webhook that ends a user's sessions", "https://example.com/hooks/not-me"
    )
    revoke_secrets: tuple[str, ...] = setting(
        "",
        _keys,
        "secrets that sign that webhook (Standard Webhooks), comma-separated: each signs",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        secret=True,
    )
    retry: tuple[int, float] = setting(
        "attempts=5,base=2s", _retry, "attempts, and the wait after the first failure; doubled after each further one"
    )
    api_keys: tuple[str, ...] = setting(
        "", _keys, "keys that may enqueue and follow jobs (Authorization: Bearer …)", "a-key-of-16-or-more", secret=True
    )
    admin_keys: tuple[str, ...] = setting(
        "", _keys, "keys that may also see and move dead jobs and read the inbox", "a-key-of-16-or-more", secret=True
    )
    webhook_secrets: tuple[tuple[str, str], ...] = setting(
        "",
        _source_secrets,
        "who may send webhooks, and the secret of each; two of one source while it changes: integrations/webhooks.md",
        "clerk:whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        secret=True,
    )
    drain: float = setting(
        "0s", _duration, "how long an API that was told to stop goes on answering, with /readyz at 503, for balancers"
    )
    receive: float = setting(
        "10s",
        _duration,
        "within what a request's head must come, and then its body; who is later gets 408: edge.md",
    )
    idle: float = setting("5s", _duration, "how long a connection is kept between two requests")
    most_connections: int = setting(
        "20000", _integer(1, 1_000_000), "connections that one API holds; beyond them the slowest is cut, or 503"
    )
    address_connections: int = setting(
        "1000", _integer(1, 1_000_000), "those of one public address (of IPv6: one /64); beyond them 429"
    )
    most_requests: int = setting(
        "20000", _integer(1, 1_000_000), "requests of one API at work and in line; beyond them 503"
    )
    most_streams: int = setting("100", _integer(0, 100_000), "readers of live events of one API; beyond them 503")
    address_rate: tuple[int, float] | None = setting(
        "6000/minute", _rate, "requests without a right key of one public address to one API; beyond them 429"
    )
    key_rate: tuple[int, float] | None = setting(
        "", _rate, "requests of one key to one API; not set: as many as it serves", "1000/second"
    )
    trusted_proxies: int = setting(
        "0", _integer(0, 9), "proxies of your own before the API, each adding to X-Forwarded-For", "1"
    )
    secret_keys: tuple[str, ...] = setting(
        "",
        _sealing_keys,
        "keys that seal the payloads in the queue: the first seals, all open; docs/security.md says how to change one",
        "a-random-key-of-32-or-more-characters",
        secret=True,
    )
    retention: float = setting("24h", _duration, "how long an ended job stays in the queue; the job log keeps it")
    log_backlog_megabytes: int = setting(
        "256",
        _integer(1, 1_000_000),
        "what may wait in the queue's memory for a job log that is away; beyond it the oldest events go first",
    )
    log_retention: float = setting(
        "365d", _duration, "how long the job log has a job that ended, at least 8d; 0d: for ever. Counts stay"
    )
    log_payloads: str = setting(
        "sealed",
        _word("sealed", "all", "none"),
        "payloads that the job log keeps until their jobs end, to make a lost queue again: reliability.md",
    )
    kinds: tuple[str, ...] = setting(
        "", _modules, "modules with further kinds of job, each with a `KIND`", "examples.hello"
    )
    traces: str | None = setting(
        "",
        _url("https", "http"),
        "where OpenTelemetry traces are sent, by OTLP over HTTP; needs the extra yellowbooks[otel]: traces.md",
        "http://127.0.0.1:4318/v1/traces",
    )
    alert_webhook: str | None = setting(
        "",
        _url("https", "http"),
        "where alerts are posted, in Slack's form",
        "https://hooks.slack.com/services/T/B/X",
        secret=True,
    )
    alert_mail: str | None = setting("", _text, "who gets alerts by mail", "operator@example.com")
    alert_when: tuple[tuple[str, float], ...] = setting(
        "dead>10,failures>5%,processing>10s,depth>1000,oldest>60s,workers<1,away>30s,log>60s",
        _alerts,
        "when to alert; what is left out is not watched: alerts.md",
    )
    demo_port: int | None = setting(
        "", _integer(1, 65_535), "the demo site's port (`up --demo`); not set: the one after the API's", "3334"
    )
    demo_github_client_id: str | None = setting(
        "", _text, "the demo's OAuth app at GitHub; not set: a local server stands in for it", "Iv1.8a61f9b3a7aba766"
    )
    demo_github_client_secret: str | None = setting(
        "", _secret, "the secret of that app", "a-secret-of-16-or-more", secret=True
    )
    log_format: str = setting("auto", _word("auto", "console", "json"), "auto is console on a terminal, else json")

    @property
    def exposed(self) -> bool:
        """Whether the API is reached from other machines: then it is never open without keys."""
        return self.host not in LOOPBACK


NAMES = {f"YB_{one.name.upper()}": one for one in fields(Settings)}
FILES = {f"{name}_FILE": name for name, one in NAMES.items() if one.metadata["secret"]}
"""A secret may stand in a file that its `YB_X_FILE` names: what containers and systemd hand to a process."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, where each value came from, and what looked odd."""

    settings: Settings
    texts: Mapping[str, str]
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def load(environment: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Loaded:
    """Read the environment, then `.env` for what it does not set. Raises `SettingsError` with every mistake."""
    environment = os.environ if environment is None else environment
    mistakes: list[str] = []
    from_file = _read_dotenv(dotenv, mistakes)
    from_secrets = _read_secrets(environment, mistakes)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    texts: dict[str, str] = {}
    for name, one in NAMES.items():
        source, text = next(
            ((source, found[name]) for source, found in (
                ("environment", environment), ("a file", from_secrets), (".env", from_file)) if name in found),
            ("default", ""),
        )  # fmt: skip
        if not text.strip():
            sources[name], texts[name] = "default", one.metadata["text"]
            continue
        sources[name], texts[name] = source, text.strip()
        try:
            values[one.name] = one.metadata["parse"](text.strip())
        except ValueError as error:
            shown = "its value" if one.metadata["secret"] else f"«{text}»"
            mistakes.append(f"{name}: {shown} {error}; for example {name}={one.metadata['example']}")
    settings = Settings(**values)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    known = NAMES.keys() | FILES.keys() | NOT_OURS
    unknown = sorted({n for n in (*environment, *from_file) if n.startswith("YB_")} - known)
    return Loaded(settings, texts, sources, tuple(_unknown(name) for name in unknown))


def _read_dotenv(path: Path, mistakes: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    if not path.is_file():
        return values
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            mistakes.append(f"{path}, line {number}: is not NAME=value; for example YB_PORT=3333")
            continue
        values[name.strip()] = value.strip().strip("\"'")
    return values


def _read_secrets(environment: Mapping[str, str], mistakes: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable, name in FILES.items():
        path = environment.get(variable, "").strip()
        if path and name in environment:
            mistakes.append(f"{variable}: {name} is set too; unset one of them")
        elif path:
            try:
                values[name] = Path(path).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                mistakes.append(f"{variable}: {path} cannot be read ({error}); for example /run/secrets/{name.lower()}")
    return values


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, NAMES, 1, 0.7)
    return f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else "; see `yellowbooks settings`")


def shown(loaded: Loaded) -> list[tuple[str, str, str, str]]:
    """Name, value (secrets hidden), source and meaning of every setting."""
    rows = []
    for name, one in NAMES.items():
        text = loaded.texts[name]
        rows.append(
            (name, "(hidden)" if one.metadata["secret"] and text else text, loaded.sources[name], one.metadata["about"])
        )
    return rows


def inherited(**changes: str) -> dict[str, str]:
    """The environment for a child process, with some settings changed."""
    return {name: text for name, text in os.environ.items() if FILES.get(name) not in changes} | changes


def handed_over() -> int | None:
    """The descriptor of the socket that a service manager has bound for this process, if one has. (sd_listen_fds(3).)

    Raises `SettingsError` where there are several.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise SettingsError("LISTEN_FDS: the service manager hands over several sockets; name one in ListenStream=")
    return 3
