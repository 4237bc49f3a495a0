"""A page that shows every letter side by side: light, dark, without styles, 320 pixels wide, and as text."""

import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as MODERN
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from yellowbooks.mail import Mailbox, Message, lint
from yellowbooks.signin.letter import Letters
from yellowbooks.signin.samples import sample_mails

_DARK = re.compile(r"@media[^{]*prefers-color-scheme:\s*dark[^{]*\{")
_STYLE = re.compile(r"<style\b.*?</style>|\sstyle=(?:\"[^\"]*\"|'[^']*')", re.DOTALL | re.IGNORECASE)


def preview_page(letters: Letters, sender: Mailbox) -> str:
    """The page, one file that needs nothing else. What it shows is parsed from the mails' bytes."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    shown = [
        {"language": language, "sample": sample.name, **_shown(mail)}
        for language, sample, mail in sample_mails(letters, sender)
    ]
    template = (files("yellowbooks.signin") / "preview.html").read_text("utf-8")
    return page.from_string(template).render(mails=shown)


def _shown(mail: Message) -> dict[str, object]:
    parsed = BytesParser(_class=EmailMessage, policy=MODERN).parsebytes(mail.data)
    text, html = (str(part.get_content()).replace("\r\n", "\n") for part in parsed.iter_parts())
    return {
        "subject": mail.subject,
        "text": text,
        # The dark rules are made to hold, or not to, whatever the mode of who looks.
        "light": _DARK.sub("@media not all {", html),
        "dark": _DARK.sub("@media all {", html),
        "plain": _STYLE.sub("", html),
        "octets": len(mail.data),
        "findings": lint(mail.data),
    }
