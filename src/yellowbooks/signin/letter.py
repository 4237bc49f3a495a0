"""A sign-in becomes the words of a letter: pure, in the reader's language."""

import ipaddress
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.event import SignIn

DEFAULT_LANGUAGE = "mn"
DEFAULT_ZONE = "Asia/Ulaanbaatar"
NAME_LENGTH = 64
_FOLDER = files("yellowbooks.signin") / "templates"

# What a mail reader may turn into a link of its own: a scheme, www., an address, a domain (with any Unicode dot).
_LINK = re.compile(r"://|www\b|@|\w[.\u3002\uff0e\uff61\u2024\ufe52]\w|[/\\]", re.IGNORECASE)
# «Б.Бат» is how a Mongolian signs, and no domain, unless what follows the dot is one of the Cyrillic top-level domains.
_INITIAL = re.compile(
    r"(?<!\w)[А-ЯЁӨҮ]\.(?!(?:мон|рф|бел|укр|срб|мкд|бг|ею|қаз|дети|сайт|орг|ком|онлайн|москва|католик|рус)\b)"
    r"(?=[А-ЯЁӨҮа-яёөү])",
    re.IGNORECASE,
)
_INVISIBLE = re.compile(
    r"[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0]"
    r"|[\U000e0000-\U000e0fff]"
)


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a letter says in one language. A missing word fails when the letters are loaded."""

    subject: str
    greeting: str
    intro: str
    details: str
    email: str
    provider: str
    ip: str
    browser: str
    time: str
    warning: str
    thanks: str
    team: str
    unknown: str
    date: str
    months: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter, ready to be composed."""

    language: str
    subject: str
    text: str
    html: str


class Letters:
    """The templates, compiled once; a language is a folder with its words.

    Raises `msgspec.ValidationError` or `jinja2.TemplateError` where a language misses a word.
    """

    def __init__(self) -> None:
        self._text = _template("mail.txt", autoescape=False)
        self._html = _template("mail.html", autoescape=True)
        self._words: dict[str, Words] = {
            folder.name: msgspec.convert(tomllib.loads((folder / "words.toml").read_text("utf-8")), Words)
            for folder in _FOLDER.iterdir()
            if folder.is_dir()
        }

    def write(self, sign_in: SignIn, created: datetime) -> Letter:
        """The letter about one sign-in. `created` is its time where the event has none."""
        asked = (sign_in.locale or DEFAULT_LANGUAGE).replace("_", "-").partition("-")[0].lower()
        language = asked if asked in self._words else DEFAULT_LANGUAGE
        words = self._words[language]
        facts: Mapping[str, object] = {
            "words": words,
            "language": language,
            "name": show_name(sign_in.name),
            "email": mask(sign_in.email),
            "provider": _inert(sign_in.provider),
            "ip": show_ip(sign_in.ip_address) or words.unknown,
            "browser": name_browser(sign_in.user_agent) or words.unknown,
            "time": show_time(sign_in.timestamp or created, sign_in.time_zone or DEFAULT_ZONE, words),
        }
        return Letter(language, words.subject, self._text.render(facts), self._html.render(facts))


def _template(name: str, *, autoescape: bool) -> Template:
    environment: Environment = SandboxedEnvironment(
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string((_FOLDER / name).read_text("utf-8"))


def mask(address: str) -> str:
    """The first character of the local part, three stars and the domain; of a single character nothing is shown."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "***"
    return f"{local[0] if len(local) > 1 else ''}***@{domain}"


def show_name(name: str | None) -> str:
    """The name as it may stand in a greeting, or "" where there is none or it looks like a link."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", name or ""))
    text = " ".join(text.split())[:NAME_LENGTH].strip()
    suspect = _INITIAL.sub("", text)
    return "" if _LINK.search(unicodedata.normalize("NFKC", suspect)) or _LINK.search(suspect) else text


def _inert(text: str) -> str:
    """A word from outside that no reader's program makes a link of."""
    return " ".join(re.sub(r"[.\u3002\uff0e\uff61\u2024\ufe52@:/\\]", " ", text).split())


def show_ip(address: str | None) -> str:
    """The address in its canonical form (RFC 5952); one of IPv4 in IPv6 as IPv4."""
    if not address:
        return ""
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
