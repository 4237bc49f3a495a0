"""A letter of every sort, to look at and to check: each language, with and without each fact, each provider."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from yellowbooks.jobs import Invalid
from yellowbooks.mail import Finding, Mailbox, Message, compose, lint
from yellowbooks.signin.event import SignIn, wire_address
from yellowbooks.signin.forms import HTML, PROVIDERS, TEXT, Templates, languages, line_of
from yellowbooks.signin.letter import Letters

WHEN = datetime(2025, 12, 18, 23, 0, tzinfo=UTC)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
LONG = "Нэргүйцэцэг-Мөнхцэцэг-Энхжаргал-Оюунчимэг-Баярцэцэг-Цэндсүрэнгийн"
# Findings about words; where a template's line prints one word, it is the word's file that must be changed.
_WORDED = {"A8", "I2", "I4", "L3", "L6", "L7", "P1", "H11"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One letter to look at; `name` says what is special about it."""

    name: str
    sign_in: SignIn


@dataclass(frozen=True, slots=True)
class TemplateFinding:
    """A rule that a template breaks, and where to mend it."""

    file: Path
    line: int
    id: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.id} {self.why}"


def samples() -> list[Sample]:
    """What is special about each letter, whatever its language."""
    whole = SignIn(
        user_id="u1", email="bat@example.com", name="Бат", provider="github", ip_address="192.0.2.100",
        user_agent=CHROME, timestamp=WHEN,
    )  # fmt: skip
    long = {
        "name": LONG[:64], "ip_address": "2001:db8:1234:5678:9abc:def0:1234:5678", "time_zone": "America/St_Johns",
        "email": f"{'b' * 60}@{'long-domain-' * 4}name.{'sub-domain-' * 4}example.com",
        "provider": "company-" * 4 + "sso",
    }  # fmt: skip
    return [
        Sample("github", whole),
        Sample("google", _changed(whole, provider="google")),
        Sample("unknown provider", _changed(whole, provider="keycloak")),
        Sample("no name", _changed(whole, name=None)),
        Sample("no browser", _changed(whole, user_agent=None)),
        Sample("no IP address", _changed(whole, ip_address=None)),
        Sample("long values", _changed(whole, **long)),
    ]


def sample_mails(letters: Letters, sender: Mailbox) -> Iterator[tuple[str, Sample, Message]]:
    """Language, sample and mail, each with each."""
    for language in letters.languages:
        for sample in samples():
            yield language, sample, write_sample(letters, sender, _changed(sample.sign_in, locale=language))


def write_sample(letters: Letters, sender: Mailbox, sign_in: SignIn, key: str = "sample") -> Message:
    """The mail about a sign-in that never was."""
    letter = letters.write(sign_in, WHEN)
    return compose(
        sender=sender, recipient=wire_address(sign_in.email), subject=letter.subject, text=letter.text,
        html=letter.html, language=letter.language, key=key, date=sign_in.timestamp or WHEN,
    )  # fmt: skip


def write_trial(letters: Letters, sender: Mailbox, address: str, locale: str, now: datetime) -> Message:
    """A mail to see whether mails arrive. Raises `Invalid` where the address or the locale is none."""
    sign_in = _changed(samples()[0].sign_in, email=address, locale=locale, timestamp=now)
    if faults := list(sign_in.faults()):
        raise Invalid(faults)
    return write_sample(letters, sender, sign_in, f"trial-{now.isoformat()}")


def lint_templates(folder: Path | None, sender: Mailbox, site: str = "") -> list[TemplateFinding]:
    """The checklist over every letter that the templates make: each finding once. Raises `TemplateFault`.

    Links may lead to the domain `site`, or to that of `sender`.
    """
    letters = Letters(folder)
    sources = {language: Templates(language, folder) for language in languages(folder)}
    found: dict[TemplateFinding, None] = {}
    for language, sample, mail in sample_mails(letters, sender):
        provider = sample.sign_in.provider if sample.sign_in.provider in PROVIDERS else ""
        for finding in lint(mail.data, site):
            found[_place(sources[language], finding, provider, named=bool(sample.sign_in.name))] = None
    return sorted(found, key=lambda one: (str(one.file), one.line, one.id))


def _place(templates: Templates, finding: Finding, provider: str, *, named: bool) -> TemplateFinding:
    """The template's line that printed what is wrong, or the line of the words that it printed."""
    if finding.part == "headers":
        return _word_place(templates, finding, "subject")
    name = TEXT if finding.part == "text" else HTML
    lines = templates.lines(name, provider, named=named)
    line = lines[min(finding.line, len(lines)) - 1]
    file = templates.file(name)
    word = _only_word(file.read_text("utf-8").splitlines()[line - 1])
    if finding.id in _WORDED and word:
        return _word_place(templates, finding, word)
    return TemplateFinding(file, line, finding.id, finding.why)


def _word_place(templates: Templates, finding: Finding, word: str) -> TemplateFinding:
    line = line_of(templates.words_file.read_text("utf-8"), word)
    return TemplateFinding(templates.words_file, line, finding.id, finding.why)


def _only_word(line: str) -> str:
    """The one word that a template's line prints, where it has no text of its own; else ""."""
    words = re.findall(r"{{ *(?:words\.(\w+)|(advice)\b)", line)
    own = re.sub(r"{{.*?}}|{%.*?%}|<[^>]*>|&\w+;", "", line)
    return "".join(words[0]) if len(words) == 1 and not re.search(r"\w", own) else ""


def _changed(sign_in: SignIn, **fields: object) -> SignIn:
    return SignIn(**{name: getattr(sign_in, name) for name in sign_in.__struct_fields__} | fields)
