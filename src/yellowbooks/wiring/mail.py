"""What sends the mails: letters, mailer, signer, suppression and bounces."""

from yellowbooks import signin
from yellowbooks.jobs import Queue
from yellowbooks.mail import (
    BounceIntake,
    Bounds,
    Inbox,
    Key,
    Mailer,
    Signer,
    SmtpMailer,
    SmtpServer,
    SuppressionList,
    mailbox,
    quiet,
)
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings, SettingsError
from yellowbooks.wiring.notme import links

MAIL_TAG = "{yb:mail}"  # where the list of suppressed addresses is


def open_inbox(settings: Settings) -> Inbox:
    """The inbox in the data folder."""
    return Inbox(settings.data_dir / "inbox")


def open_letters(settings: Settings, *, plain: bool = False) -> signin.Letters:
    """The letters, with the templates of YB_TEMPLATES_DIR; `plain` without what YB_NOTIFY and YB_LINK_KEYS add.

    Raises `SettingsError`.
    """
    reasoned, linked = settings.notify is not None and not plain, links(settings) is not None and not plain
    try:
        return signin.Letters(settings.templates_dir, reasoned=reasoned, linked=linked)
    except signin.TemplateFault as error:
        raise SettingsError(f"YB_TEMPLATES_DIR: {error}") from None


def make_mailer(settings: Settings, tell: Tell = quiet) -> Mailer:
    """SMTP where YB_SMTP_URL is set, else the inbox. Raises `SettingsError`."""
    if not settings.smtp_url:
        return open_inbox(settings)
    try:
        servers = tuple(SmtpServer.parse(url) for url in settings.smtp_url)
        helo = mailbox(settings.mail_from).address.rpartition("@")[2]
    except ValueError as error:
        raise SettingsError(f"YB_SMTP_URL or YB_MAIL_FROM: {error}") from None
    return SmtpMailer(servers, helo, bounds=Bounds(sessions=settings.smtp_connections), tell=tell)


def make_signer(settings: Settings) -> Signer:
    """Signs by the keys of YB_DKIM; with none it leaves a mail as it is. Raises `SettingsError`."""
    try:
        keys = [Key.read(selector, path) for selector, path in settings.dkim]
    except ValueError as error:
        raise SettingsError(f"YB_DKIM: {error}") from None
    return Signer(mailbox(settings.mail_from).address.rpartition("@")[2], keys)


def sign_in_handler(
    settings: Settings, mailer: Mailer, queue: Queue, tell: Tell = quiet, telling: signin.Telling | None = None
) -> signin.SignInHandler:
    """What does the sign-in job; `queue` lends its connections to the list of suppressed addresses."""
    ours = links(settings)
    return signin.SignInHandler(
        open_letters(settings),
        mailer,
        mailbox(settings.mail_from),
        mail_secret(settings),
        suppressions=suppression_list(settings, queue),
        seal=make_signer(settings).sign,
        tell=tell,
        telling=telling,
        link=ours.make if ours else signin.no_link,
    )


def mail_secret(settings: Settings) -> bytes:
    """What keys Message-IDs and the hashes of addresses; empty where YB_MAIL_SECRET is not set."""
    return (settings.mail_secret or "").encode()


def suppression_list(settings: Settings, queue: Queue) -> SuppressionList:
    """The list of suppressed addresses, over the queue's connections."""
    return SuppressionList(queue.beside(MAIL_TAG).execute, mail_secret(settings))


def bounce_intake(settings: Settings, queue: Queue) -> BounceIntake | None:
    """Takes delivery reports in; None without YB_MAIL_SECRET, as anybody could then forge one."""
    secret = mail_secret(settings)
    return BounceIntake(suppression_list(settings, queue), secret) if secret else None
