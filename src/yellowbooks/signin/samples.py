"""A letter of every sort, to look at and to check: each language, with and without each fact, each provider."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from yellowbooks.jobs import Invalid
from yellowbooks.mail import Finding, Mailbox, Message, compose, lint
from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.event import SignIn, wire_address
from yellowbooks.signin.forms import (
    HTML,
    PROVIDERS,
    SUMMARY_HTML,
    SUMMARY_TEXT,
    TEXT,
    Templates,
    Variant,
    languages,
    line_of,
)
from yellowbooks.signin.letter import DEFAULT_ZONE, Letter, Letters
from yellowbooks.signin.notices import Group, Shown

WHEN = datetime(2025, 12, 18, 23, 0, tzinfo=UTC)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
LONG = "Нэргүйцэцэг-Мөнхцэцэг-Энхжаргал-Оюунчимэг-Баярцэцэг-Цэндсүрэнгийн"
# Findings about words; where a template's line prints one word, it is the word's file that must be changed.
_WORDED = {"A8", "I2", "I4", "L3", "L6", "L7", "P1", "H11"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One letter to look at; `name` says what is special about it.

    `groups` are those of a summary, which is about the user of `sign_in`; `reason` and `link` are not shown where
    letters have none.
    """

    name: str
    sign_in: SignIn
    reason: str = "known"
    groups: tuple[Group, ...] = ()
    link: str = ""

    def write(self, letters: Letters) -> Letter:
        """The letter about what never was."""
        if not self.groups:
            return letters.write(self.sign_in, WHEN, self.reason, self.link)
        zone, language = self.sign_in.time_zone or DEFAULT_ZONE, letters.language(self.sign_in.locale)
        return letters.summarize(self.groups, self.sign_in.email, language, zone, self.link)

    def variant(self, letters: Letters) -> Variant:
        """The form of its letter."""
        if self.groups:
            rows = sum(not group.others for group in self.groups)
            return Variant(linked=bool(self.link), rows=rows, others=rows < len(self.groups))
        provider = self.sign_in.provider if self.sign_in.provider in PROVIDERS else ""
        return Variant(provider, bool(self.sign_in.name), letters.reasoned, letters.linked)


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
        Sample("github", whole, "new_device"),
        Sample("google", _changed(whole, provider="google"), "new_network"),
        Sample("unknown provider", _changed(whole, provider="keycloak"), "known"),
        Sample("no name", _changed(whole, name=None), "first"),
        Sample("no browser", _changed(whole, user_agent=None), "dormant"),
        Sample("no IP address", _changed(whole, ip_address=None), "unknown"),
        Sample("long values", _changed(whole, **long), "new_both"),
    ]


def summary_samples() -> list[Sample]:
    """The summaries to look at: the shortest, and one with all that there is place for."""
    plain, *_, long = samples()
    return [
        Sample("summary", plain.sign_in, groups=(_group(plain.sign_in, 1), _group(plain.sign_in, 12, new=False))),
        Sample(
            "long summary",
            long.sign_in,
            groups=(
                *(_group(long.sign_in, 1, n) for n in range(10)),
                *(_group(long.sign_in, 12_345, n, new=False) for n in range(10)),
                _group(long.sign_in, 678, others=True),
            ),
        ),
    ]


def _group(sign_in: SignIn, count: int, minutes: int = 0, *, new: bool = True, others: bool = False) -> Group:
    shown = Shown(name_browser(sign_in.user_agent), sign_in.ip_address, sign_in.provider)
    at = round(WHEN.timestamp() * 1000) + minutes * 60_000
    return Group(count, at, at, msgspec.json.encode(shown).decode(), new, "u1", others)


def sample_mails(letters: Letters, sender: Mailbox, site: str = "") -> Iterator[tuple[str, Sample, Message]]:
    """Language, sample and mail, each with each; links lead to the domain `site`, or to that of `sender`."""
    link = f"https://{site or sender.address.rpartition('@')[2]}/not-me/{'x' * 96}" if letters.linked else ""
    every = [*samples(), *(summary_samples() if letters.reasoned else ())]
    for language in letters.languages:
        for sample in every:
            ours = replace(sample, sign_in=_changed(sample.sign_in, locale=language), link=link)
            yield language, ours, write_sample(letters, sender, ours)


def write_sample(letters: Letters, sender: Mailbox, sample: Sample, key: str = "sample") -> Message:
    """The mail about what never was."""
    letter, sign_in = sample.write(letters), sample.sign_in
    return compose(
        sender=sender, recipient=wire_address(sign_in.email), subject=letter.subject, text=letter.text,
        html=letter.html, language=letter.language, key=key, date=sign_in.timestamp or WHEN,
    )  # fmt: skip


def write_trial(letters: Letters, sender: Mailbox, address: str, locale: str, now: datetime) -> Message:
    """A mail to see whether mails arrive. Raises `Invalid` where the address or the locale is none."""
    sign_in = _changed(samples()[0].sign_in, email=address, locale=locale, timestamp=now)
    if faults := list(sign_in.faults()):
        raise Invalid(faults)
    link = f"https://{sender.address.rpartition('@')[2]}/not-me/trial" if letters.linked else ""
    return write_sample(letters, sender, Sample("trial", sign_in, link=link), f"trial-{now.isoformat()}")


def lint_templates(folder: Path | None, sender: Mailbox, site: str = "") -> list[TemplateFinding]:
    """The checklist over every letter that the templates make: each finding once. Raises `TemplateFault`.

    Links may lead to the domain `site`, or to that of `sender`.
    """
    sources = {language: Templates(language, folder) for language in languages(folder)}
    found: dict[TemplateFinding, None] = {}
    for letters in (Letters(folder), Letters(folder, reasoned=True, linked=True)):
        for language, sample, mail in sample_mails(letters, sender, site):
            for finding in lint(mail.data, site):
                found[_place(sources[language], finding, sample.variant(letters))] = None
    return sorted(found, key=lambda one: (str(one.file), one.line, one.id))


def _place(templates: Templates, finding: Finding, variant: Variant) -> TemplateFinding:
    """The template's line that printed what is wrong, or the line of the words that it printed."""
    if finding.part == "headers":
        return _word_place(templates, finding, "subject")
    text, html = (TEXT, HTML) if variant.rows is None else (SUMMARY_TEXT, SUMMARY_HTML)
    name = text if finding.part == "text" else html
    lines = templates.lines(name, variant)
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
    words = re.findall(r"{{ *(?:words\.(?:summary\.)?(\w+)|(advice)\b)", line)
    own = re.sub(r"{{.*?}}|{%.*?%}|<[^>]*>|&\w+;", "", line)
    alone = len(words) == 1 and not re.search(r"\w", own) and "href=" not in line
    return "".join(words[0]) if alone else ""


def _changed(sign_in: SignIn, **fields: object) -> SignIn:
    return SignIn(**{name: getattr(sign_in, name) for name in sign_in.__struct_fields__} | fields)
