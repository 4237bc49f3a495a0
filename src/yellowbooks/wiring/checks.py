"""What only the parts can say of the settings, before anything starts."""

import tempfile
from pathlib import Path

from yellowbooks.mail import SmtpServer, mailbox
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.log import log_retention
from yellowbooks.wiring.mail import make_signer, open_letters
from yellowbooks.wiring.notme import links, revoke_keys
from yellowbooks.wiring.queue import kinds, open_queue
from yellowbooks.wiring.tracing import check_tracing
from yellowbooks.wiring.webhooks import webhook_keys


def check(settings: Settings) -> None:
    """Find the mistakes that only the parts can see, before anything starts. Raises `SettingsError`."""
    kinds(settings)
    log_retention(settings)
    check_tracing(settings)
    if settings.notify and not settings.mail_secret:
        raise SettingsError(
            "YB_NOTIFY: devices are remembered as keyed hashes, so YB_MAIL_SECRET must be set; "
            "a good one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    if links(settings):
        revoke_keys(settings)
    if settings.templates_dir:
        open_letters(settings)
    if settings.valkey_url:
        open_queue(settings)
    try:
        mailbox(settings.mail_from)
    except ValueError as error:
        raise SettingsError(f"YB_MAIL_FROM: {error}") from None
    if settings.alert_mail:
        try:
            mailbox(settings.alert_mail)
        except ValueError as error:
            raise SettingsError(f"YB_ALERT_MAIL: {error}") from None
    make_signer(settings)
    if settings.webhook_secrets:
        webhook_keys(settings)
    for url in settings.smtp_url:
        try:
            SmtpServer.parse(url)
        except ValueError as error:
            raise SettingsError(f"YB_SMTP_URL: {error}") from None


def make_data_dir(path: Path) -> None:
    """Make the data folder, for its owner alone. Raises `SettingsError` where it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise SettingsError(
            f"YB_DATA_DIR: {path} cannot be written ({error.strerror}); for example YB_DATA_DIR=./data"
        ) from None
