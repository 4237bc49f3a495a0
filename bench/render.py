"""What a mail costs to write: a sign-in event to the bytes for the wire. `python -m bench.render`

Processor time of one process, over mails to different people. The peer, in the same run and over the same events, does
what most do: it renders the same templates with Jinja for each mail and has the standard library make the MIME.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from jinja2 import Environment, StrictUndefined

from yellowbooks.mail import Message, compose, mailbox
from yellowbooks.mail.message import check
from yellowbooks.signin import Letters, SignIn
from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.event import wire_address
from yellowbooks.signin.forms import HTML, OURS, PROVIDERS, TEXT, Templates
from yellowbooks.signin.letter import mask, show_ip, show_name, show_provider, show_time

MAILS = 20_000
PEER_MAILS = 2_000
GOAL = 60.0  # microseconds
SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")
CREATED = datetime(2025, 12, 18, 23, 0, 5, tzinfo=UTC)
NAMES = ("Бат", "Б.Бат-Эрдэнэ", "Өлзий", "Dorj", "Мөнхбаяр Ганболд", None, "Sarnai B", "evil.mn")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{} Safari/604.1",
)


def events(count: int) -> list[SignIn]:
    """Sign-ins of different people, the same in every run."""
    dice = random.Random(1)
    return [
        SignIn(
            user_id=f"u{n}", email=f"user{n}@mail{n % 500}.example.com", name=dice.choice(NAMES),
            provider=dice.choice((*PROVIDERS, "keycloak")), locale=dice.choice(("mn", "en", None)),
            ip_address=f"10.{n % 250}.{n // 250 % 250}.7" if n % 5 else f"2001:db8::{n:x}"[:39],
            user_agent=dice.choice(AGENTS).format(dice.randint(120, 145)),
            timestamp=CREATED + timedelta(seconds=n),
        )
        for n in range(count)
    ]  # fmt: skip


def ours() -> Callable[[SignIn], Message]:
    """The system's own way."""
    letters = Letters()

    def write(event: SignIn) -> Message:
        letter = letters.write(event, CREATED)
        return compose(
            sender=SENDER, recipient=wire_address(event.email), subject=letter.subject, text=letter.text,
            html=letter.html, language=letter.language, key=f"job-{event.user_id}", date=CREATED,
        )  # fmt: skip

    return write


def peer() -> Callable[[SignIn], bytes]:
    """Jinja for each mail, `EmailMessage` for the MIME; the facts are made by the same functions."""
    languages = {language: Templates(language) for language in ("mn", "en")}
    options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    text = Environment(autoescape=False, **options).from_string((OURS / TEXT).read_text("utf-8"))  # type: ignore[arg-type]
    html = Environment(autoescape=True, **options).from_string((OURS / HTML).read_text("utf-8"))  # type: ignore[arg-type]

    def write(event: SignIn) -> bytes:
        language = event.locale or "mn"
        words = languages[language].words
        provider = PROVIDERS.get(event.provider, "")
        facts = {
            "words": words, "language": language, "name": show_name(event.name), "email": mask(event.email),
            "advice": words.advice.replace("{provider}", provider) if provider else "",
            "reason": "", "link": "", "provider": show_provider(event.provider), "ip": show_ip(event.ip_address),
            "browser": name_browser(event.user_agent), "time": show_time(event.timestamp, "Asia/Ulaanbaatar", words),
        }  # fmt: skip
        mail = EmailMessage(policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = (
            "Yellow Books <no-reply@yellowbooks.example>",
            event.email,
            words.subject,
        )
        mail["Date"], mail["Message-ID"] = format_datetime(CREATED), f"<{event.user_id}@yellowbooks.example>"
        mail["Auto-Submitted"], mail["Content-Language"] = "auto-generated", language
        mail.set_content(text.render(facts), cte="base64")
        mail.add_alternative(html.render(facts), subtype="html", cte="base64")
        return mail.as_bytes()

    return write


def measure(write: Callable[[SignIn], bytes | Message | None], signins: list[SignIn]) -> tuple[float, float]:
    """Microseconds of processor time a mail, and its octets."""
    made = [write(event) for event in signins[:200]]
    octets = sum(len(mail.data if isinstance(mail, Message) else mail or b"") for mail in made)
    begun = time.process_time()
    for event in signins:
        write(event)
    return (time.process_time() - begun) / len(signins) * 1e6, octets / 200


def main() -> None:
    """Print both, and how they compare."""
    signins = events(MAILS)
    us, octets = measure(ours(), signins)
    write = ours()
    mails = {event.user_id: write(event) for event in signins[:PEER_MAILS]}
    gate, _ = measure(lambda event: check(mails[event.user_id]), signins[:PEER_MAILS])
    them, their_octets = measure(peer(), signins[:PEER_MAILS])
    print(f"ours                  {us:8.1f} us CPU a mail, {octets:,.0f} octets, {MAILS:,} mails (goal: {GOAL:.0f} us)")
    print(f"  and the last gate   {gate:8.1f} us, which the mailer runs before the wire")
    print(f"Jinja + EmailMessage  {them:8.1f} us CPU a mail, {their_octets:,.0f} octets, {PEER_MAILS:,} mails")
    print(f"ratio                 {them / us:8.1f}x")


if __name__ == "__main__":
    main()
