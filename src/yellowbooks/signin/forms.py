"""The templates: read once, rendered once for each language and provider, and cut at the values into skeletons.

No template code runs while mails are written, and no value from outside ever meets the template engine.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from traceback import extract_tb
from typing import Any

import msgspec
from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment

from yellowbooks.mail import Skeleton

OURS = Path(str(files("yellowbooks.signin") / "templates"))
TEXT, HTML, WORDS = "mail.txt", "mail.html", "words.toml"
SUMMARY_TEXT, SUMMARY_HTML = "summary.txt", "summary.html"
FILES = (TEXT, HTML, SUMMARY_TEXT, SUMMARY_HTML)
# Those whose accounts a letter gives advice on, as they write themselves.
PROVIDERS = {
    "google": "Google", "github": "GitHub", "gitlab": "GitLab", "facebook": "Facebook", "apple": "Apple",
    "microsoft": "Microsoft", "azure-ad": "Microsoft", "linkedin": "LinkedIn", "twitter": "X", "discord": "Discord",
}  # fmt: skip
_GAP = re.compile("\ue000(.*?)\ue001", re.DOTALL)
_VALUE = re.compile(r"name|email|provider|ip|browser|time|reason|link|others|total|(?:device|ip|times)\d{1,2}")
_LINE = re.compile("\ue002([0-9]+)\ue003(?!\ue002)")


class TemplateFault(ValueError):
    """A template that cannot be used: its file, the line (1 where it is the file itself) and why."""

    def __init__(self, file: Path, line: int, why: str) -> None:
        super().__init__(f"{file}, line {line}: {why}")
        self.file = file
        self.line = line
        self.why = why


class Reasons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a mail comes, where YB_NOTIFY asks that it be said."""

    first: str
    new_device: str
    new_network: str
    new_both: str
    dormant: str
    known: str
    unknown: str


class SummaryWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a summary of sign-ins says; `{count}` and `{time}` are filled in."""

    subject: str
    intro: str
    times: str
    new: str
    others: str
    total: str


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
    advice: str
    thanks: str
    team: str
    unknown: str
    date: str
    months: tuple[str, ...]
    not_me: str
    not_me_advice: str
    reasons: Reasons
    summary: SummaryWords


@dataclass(frozen=True, slots=True)
class Variant:
    """What decides a letter's form: a key of PROVIDERS or "", and which of its values are there.

    `rows` (with `others`, for what is only counted) is how many groups a summary lists; None in a letter.
    """

    provider: str = ""
    named: bool = True
    reasoned: bool = False
    linked: bool = False
    rows: int | None = None
    others: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A letter without its values."""

    text: Skeleton
    html: Skeleton


class Gap:
    """Stands for a value while a template is rendered: it can be printed, and nothing else."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return f"\ue000{self._name}\ue001"

    def __bool__(self) -> bool:
        return True

    def _refuse(self, *_arguments: object) -> Any:
        raise RuntimeError(f"looks into {self._name}, whose value is not known here; print it, or ask {{% if name %}}")

    __html__ = __str__
    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __hash__ = _refuse
    __len__ = __iter__ = __getitem__ = __int__ = __float__ = __format__ = __add__ = __radd__ = __mod__ = _refuse


class _Lines(Extension):
    """Marks each line of what a template prints with the template's own line."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for token in stream:
            if token.type != "data":
                yield token
                continue
            first, *rest = token.value.split("\n")
            marked = [f"\ue002{token.lineno}\ue003{first}"]
            marked += [f"\ue002{token.lineno + n}\ue003{line}" for n, line in enumerate(rest, 1)]
            yield Token(token.lineno, "data", "\n".join(marked))


class Templates:
    """The files of one language: those of `folder` where it has them, else ours. Raises `TemplateFault`."""

    def __init__(self, language: str, folder: Path | None = None) -> None:
        self.language = language
        self._folders = [folder, OURS] if folder else [OURS]
        self._compiled: dict[tuple[str, bool], Template] = {}
        self.words_file = self.file(WORDS)
        self.words = _read_words(self.words_file)

    def file(self, name: str) -> Path:
        """Where a template lies: a language's own goes before that of all languages."""
        places = [folder / part / name for folder in self._folders for part in (self.language, "")]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise TemplateFault(places[0], 1, "is missing; copy the one of another language and translate it")
        return found

    def form(self, variant: Variant) -> Form:
        """The skeletons for letters of this variant."""
        names = (TEXT, HTML) if variant.rows is None else (SUMMARY_TEXT, SUMMARY_HTML)
        text, html = (_cut(self.file(name), self.render(name, variant)) for name in names)
        return Form(Skeleton(*text, is_html=False), Skeleton(*html, is_html=True))

    def lines(self, name: str, variant: Variant) -> list[int]:
        """For each line of a rendered template, the template's line that it comes from."""
        rendered = self.render(name, variant, marked=True).split("\n")
        numbers = [1]
        for line in rendered:
            found = _LINE.search(line)
            numbers.append(int(found[1]) if found else numbers[-1])
        return numbers[1:]

    def render(self, name: str, variant: Variant, *, marked: bool = False) -> str:
        """A template with gaps for the values. Raises `TemplateFault`."""
        file = self.file(name)
        try:
            if (name, marked) not in self._compiled:
                self._compiled[name, marked] = _compile(file, name, [_Lines] if marked else [])
            return self._compiled[name, marked].render(self._facts(variant))
        except TemplateSyntaxError as error:
            raise TemplateFault(file, error.lineno, str(error.message)) from error
        except TemplateFault:
            raise
        except Exception as error:  # whatever a template does wrong, it is the template's fault
            lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(file)]
            raise TemplateFault(file, (lines or [1])[-1] or 1, str(error)) from error

    def _facts(self, variant: Variant) -> Mapping[str, Any]:
        common = {"words": self.words, "language": self.language, "link": Gap("link") if variant.linked else ""}
        if variant.rows is not None:
            rows = [{part: Gap(f"{part}{n}") for part in ("device", "ip", "times")} for n in range(variant.rows)]
            others = Gap("others") if variant.others else ""
            return common | {"rows": rows, "others": others, "total": Gap("total"), "email": Gap("email")}
        provider = variant.provider
        advice = self.words.advice.replace("{provider}", PROVIDERS[provider]) if provider else ""
        gaps = {name: Gap(name) for name in ("email", "provider", "ip", "browser", "time")}
        name = Gap("name") if variant.named else ""
        reason = Gap("reason") if variant.reasoned else ""
        return common | {"advice": advice, "name": name, "reason": reason, **gaps}


def languages(folder: Path | None = None) -> list[str]:
    """The languages that there are: a folder each. Raises `TemplateFault` for what has no place in `folder`."""
    if folder and not folder.is_dir():
        raise TemplateFault(folder, 1, "is no folder; make it, or unset YB_TEMPLATES_DIR")
    for path in sorted(folder.rglob("*")) if folder else ():
        _check_place(path, path.relative_to(folder or OURS).parts)
    places = [place for place in (OURS, folder) if place]
    return sorted({path.name for place in places for path in place.glob("[!.]*") if path.is_dir()})


def _check_place(path: Path, parts: tuple[str, ...]) -> None:
    *parents, name = parts
    if name.endswith("~") or any(part.startswith(".") for part in parts):
        return  # an editor's or a tool's own
    if path.is_dir():
        fits = not parents and re.fullmatch(r"[a-z]{2,3}", name) is not None
    else:
        fits = name in FILES or (name == WORDS and len(parents) == 1)
    if not fits:
        raise TemplateFault(path, 1, f"is none of {', '.join(FILES)}, <language>/{WORDS}; rename or remove it")


def _compile(file: Path, name: str, extensions: list[type[Extension]]) -> Template:
    environment = ImmutableSandboxedEnvironment(
        autoescape=name in (HTML, SUMMARY_HTML), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, extensions=extensions,
    )  # fmt: skip
    code = environment.compile(_read(file), name, str(file))
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise TemplateFault(file, line, "is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise TemplateFault(file, 1, f"cannot be read ({error.strerror})") from None


def _read_words(file: Path) -> Words:
    text = _read(file)
    try:
        words = msgspec.convert(tomllib.loads(text), Words)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise TemplateFault(file, int(line[1]) if line else len(text.splitlines()), str(error)) from None
    except msgspec.ValidationError as error:
        key = re.search(r"unknown field `(\w+)`|at `\$\.(\w+)", str(error))
        raise TemplateFault(file, line_of(text, (key[1] or key[2]) if key else ""), str(error)) from None
    _check_patterns(file, text, words)
    return words


def _check_patterns(file: Path, text: str, words: Words) -> None:
    """The words that are filled in by `str.format`. Raises `TemplateFault`."""
    date = dict.fromkeys(("year", "month", "day", "hour", "minute"), 10) | {"offset": "+8", "month_name": "x"}
    counted: dict[str, Any] = {"count": 1, "time": "x"}
    patterns = [("date", words.date, date)]
    patterns += [(key, getattr(words.summary, key), counted) for key in ("times", "others", "total")]
    for key, pattern, sample in patterns:
        try:
            pattern.format(**sample)
            if len(words.months) not in (0, 12):
                raise ValueError("months must be twelve, or none")
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            why = f"{error!r}; the {key} is made of {', '.join(sample)}"
            raise TemplateFault(file, line_of(text, key), why) from None


def line_of(text: str, key: str) -> int:
    """Where a key of a TOML file stands; 1 where it does not."""
    found = re.search(rf"^\s*{re.escape(key)}\s*=", text, re.MULTILINE) if key else None
    return text.count("\n", 0, found.end()) + 1 if found else 1


def _cut(file: Path, rendered: str) -> tuple[list[str], list[str]]:
    """The constant pieces, and the names between them."""
    parts = _GAP.split(rendered)
    pieces, names = parts[::2], parts[1::2]
    spoilt = [name for name in names if not _VALUE.fullmatch(name)]
    if spoilt or "\ue000" in "".join(pieces) or "\ue001" in "".join(pieces):
        what = spoilt[0] if spoilt else "a value"
        line = rendered.count("\n", 0, rendered.find(f"\ue000{what}")) + 1 if spoilt else 1
        raise TemplateFault(file, line, f"changes {what} by a filter; it is not known here, and can only be printed")
    return pieces, names
