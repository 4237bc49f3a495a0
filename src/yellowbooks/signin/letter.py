"""A sign-in becomes the words of a letter: pure, in the reader's language."""

import ipaddress
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from yellowbooks.mail import Quoted
from yellowbooks.signin.browser import name_browser
from yellowbooks.signin.event import SignIn, shown_address
from yellowbooks.signin.forms import PROVIDERS, Form, Templates, Words, languages

DEFAULT_LANGUAGE = "mn"
DEFAULT_ZONE = "Asia/Ulaanbaatar"
NAME_LENGTH = 64  # characters
PROVIDER_LENGTH = 32  # characters

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

    Raises `TemplateFault` where a template cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._minute = lru_cache(maxsize=1024)(self._show_minute)  # many mails are about the same
        self._words: dict[str, Words] = {}
        self._forms: dict[tuple[str, str, bool], Form] = {}
        for language in languages(folder):
            templates = Templates(language, folder)
            self._words[language] = templates.words
            for provider in ("", *PROVIDERS):
                for named in (True, False):
                    self._forms[language, provider, named] = templates.form(provider, named=named)

    @property
    def languages(self) -> list[str]:
        """The languages that letters are written in."""
        return sorted(self._words)

    def write(self, sign_in: SignIn, created: datetime) -> Letter:
        """The letter about one sign-in. `created` is its time where the event has none."""
        asked = (sign_in.locale or DEFAULT_LANGUAGE).replace("_", "-").partition("-")[0].lower()
        language = asked if asked in self._words else DEFAULT_LANGUAGE
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
        form = self._forms[language, provider if provider in PROVIDERS else "", bool(name)]
        return Letter(language, words.subject, form.text.fill(values), form.html.fill(values))

    def _show_minute(self, minute: int, zone: str, language: str) -> str:
        return show_time(datetime.fromtimestamp(minute * 60, UTC), zone, self._words[language])


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
