"""A sign-in becomes the words of a letter: pure, in the reader's language."""

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from yellowbooks.mail import Quoted
from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.event import SignIn, shown_address
from yellowbooks.signin.forms import PROVIDERS, Form, Templates, Variant, Words, languages
from yellowbooks.signin.notices import Group, count

DEFAULT_LANGUAGE = "mn"
DEFAULT_ZONE = "Asia/Ulaanbaatar"
NAME_LENGTH = 64  # characters
PROVIDER_LENGTH = 32  # characters
MOST_ROWS = 20  # of a summary: ten groups of sign-ins from what is new, ten from what is known

# What a mail reader may turn into a link of its own: a scheme, www., an address, a domain (with any Unicode dot), a
# telephone number.
_DOT = re.compile(r"[.\u3002\uff0e\uff61\u2024\ufe52]")
_LINK = re.compile(rf"\w:\S|://|www\b|@|\S{_DOT.pattern}\S|[/\\]|\d(?:[\s().+-]*\d){{5}}", re.IGNORECASE)
# «Б.Бат» is how a Mongolian signs, and no domain, unless what follows the dot is one of the Cyrillic top-level domains.
_INITIAL = re.compile(
    r"(?<!\w)[А-ЯЁӨҮ]\.(?!(?:мон|рф|бел|укр|срб|мкд|бг|ею|қаз|дети|сайт|орг|ком|онлайн|москва|католик|рус)\b)"
    r"(?=[А-ЯЁӨҮа-яёөү])",
    re.IGNORECASE,
)
# What most names and addresses look like; for these the long way would give back what it was given.
_NAME = re.compile(r"(?!(?i:.*www))[A-Za-zА-ЯЁӨҮа-яёөү]{1,30}(?:[ -][A-Za-zА-ЯЁӨҮа-яёөү]{1,30})?")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0]"
    r"|[\U000e0000-\U000e0fff]"
)


class Letter(msgspec.Struct, frozen=True):
    """A letter, ready to be composed."""

    language: str
    subject: str
    text: Quoted
    html: Quoted


class Letters:
    """Every letter that there is, ready but for its values. Those of `folder` go before ours, file by file.

    With `reasoned` a letter says why it comes, and there are summaries; with `linked` it has a link to say «this was
    not me». Raises `TemplateFault` where a template cannot be used.
    """

    def __init__(self, folder: Path | None = None, *, reasoned: bool = False, linked: bool = False) -> None:
        self.reasoned, self.linked = reasoned, linked
        self._minute = lru_cache(maxsize=1024)(self._show_minute)  # many mails are about the same
        self._words: dict[str, Words] = {}
        self._forms: dict[tuple[str, str, bool], Form] = {}
        self._summaries: dict[tuple[str, int, bool, bool], Form] = {}
        for language in languages(folder):
            templates = Templates(language, folder)
            self._words[language] = templates.words
            for provider in ("", *PROVIDERS):
                for named in (True, False):
                    self._forms[language, provider, named] = templates.form(Variant(provider, named, reasoned, linked))
            if reasoned:
                self._make_summaries(language, templates)

    def _make_summaries(self, language: str, templates: Templates) -> None:
        for rows in range(1, MOST_ROWS + 1):
            for others in (False, True) if rows >= MOST_ROWS // 2 else (False,):
                for linked in (False, True) if self.linked else (False,):
                    form = templates.form(Variant(linked=linked, rows=rows, others=others))
                    self._summaries[language, rows, others, linked] = form

    @property
    def languages(self) -> list[str]:
        """The languages that letters are written in."""
        return sorted(self._words)

    def language(self, locale: str | None) -> str:
        """The language for a reader who asks for this one."""
        asked = (locale or DEFAULT_LANGUAGE).replace("_", "-").partition("-")[0].lower()
        return asked if asked in self._words else DEFAULT_LANGUAGE

    def write(self, sign_in: SignIn, created: datetime, reason: str = "", link: str = "") -> Letter:
        """The letter about one sign-in. `created` is its time where the event has none; `reason` is a word of
        `Verdict`, `link` an address of ours; each is shown where the letters were made with it."""
        language = self.language(sign_in.locale)
        words = self._words[language]
        provider = sign_in.provider.lower()
        minute = int((sign_in.timestamp or created).timestamp()) // 60
        values = {
            "email": mask(shown_address(sign_in.email)),
            "provider": show_provider(sign_in.provider) or words.unknown,
            "ip": show_ip(sign_in.ip_address) or words.unknown,
            "browser": name_browser(sign_in.user_agent) or words.unknown,
            "time": self._minute(minute, sign_in.time_zone or DEFAULT_ZONE, language),
        }
        if name := show_name(sign_in.name):
            values["name"] = name
        if self.reasoned:
            values["reason"] = getattr(words.reasons, reason)
        if self.linked:
            values["link"] = link
        form = self._forms[language, provider if provider in PROVIDERS else "", bool(name)]
        return Letter(language, words.subject, form.text.fill(values), form.html.fill(values))

    def _show_minute(self, minute: int, zone: str, language: str) -> str:
        return show_time(datetime.fromtimestamp(minute * 60, UTC), zone, self._words[language])

    def summarize(self, groups: Sequence[Group], email: str, language: str, zone: str, link: str = "") -> Letter:
        """The letter about many sign-ins, what is new first; `groups` are those of one window, at least one listed."""
        words = self._words[language]
        listed = [group for group in groups if not group.others]
        listed.sort(key=lambda one: (not one.new, -one.last, one.shown, one.user))
        others = sum(group.count for group in groups if group.others)
        values = {
            "email": mask(shown_address(email)),
            "total": words.summary.total.format(count=count(groups)),
        }
        for n, group in enumerate(listed):
            values |= _row(n, group, zone, words)
        if others:
            values["others"] = words.summary.others.format(count=others)
        if link:
            values["link"] = link
        form = self._summaries[language, len(listed), others > 0, bool(link)]
        return Letter(language, words.summary.subject, form.text.fill(values), form.html.fill(values))


def _row(n: int, group: Group, zone: str, words: Words) -> dict[str, str]:
    parts = group.parts
    device = f"{parts.browser or words.unknown} · {show_provider(parts.provider) or words.unknown}"
    last = show_time(datetime.fromtimestamp(group.last / 1000, UTC), zone, words)
    return {
        f"device{n}": f"{words.summary.new}: {device}" if group.new else device,
        f"ip{n}": show_ip(parts.ip_address) or words.unknown,
        f"times{n}": words.summary.times.format(count=group.count, time=last),
    }


def mask(address: str) -> str:
    """The first character of the local part, three stars and the domain; of a single character nothing is shown."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "***"
    return f"{local[0] if len(local) > 1 else ''}***@{domain}"


def show_name(name: str | None) -> str:
    """The name as it may stand in a greeting, or "" where there is none or a reader's program may make a link of it."""
    if name and _NAME.fullmatch(name):
        return name
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", name or ""))
    text = _cap(" ".join(text.split()), NAME_LENGTH)
    return "" if _is_live(_INITIAL.sub("", text)) else text


@lru_cache(maxsize=256)
def show_provider(provider: str) -> str:
    """The provider as the application calls it, or "" where a reader's program may make a link of it."""
    text = " ".join(_DOT.sub(" ", _INVISIBLE.sub("", provider)).split())
    return "" if _is_live(text) else _cap(text, PROVIDER_LENGTH)


def _is_live(text: str) -> bool:
    return bool(_LINK.search(text) or _LINK.search(unicodedata.normalize("NFKC", text)))


def _cap(text: str, length: int) -> str:
    """At most `length` characters; what belongs to a letter that is cut off goes with it."""
    while 0 < length < len(text) and unicodedata.category(text[length])[0] == "M":
        length -= 1
    return text[:length].strip()


def show_ip(address: str | None) -> str:
    """The address in its canonical form (RFC 5952); one of IPv4 in IPv6 as IPv4."""
    if not address or _IPV4.fullmatch(address):
        return address or ""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def show_time(moment: datetime, zone: str, words: Words) -> str:
    """The moment on the reader's clock."""
    local = moment.astimezone(_zone(zone))
    minutes = round((local.utcoffset() or local - local).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    offset = f"{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
    return words.date.format(
        year=local.year, month=local.month, day=local.day, hour=local.hour, minute=local.minute, offset=offset,
        month_name=words.months[local.month - 1] if words.months else "",
    )  # fmt: skip
