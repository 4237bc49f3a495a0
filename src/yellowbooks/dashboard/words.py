"""Every word of the dashboard, in both languages, from one file."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "mn")  # as each word's list has them


class Words:
    """The words of one language, by section and name, such as `nav.jobs`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.forms = {name: forms[LANGUAGES.index(language)] for name, forms in _table().items()}

    def __call__(self, name: str, **values: Any) -> str:
        """One word with its values put in; «one|many» is chosen by `count`. Raises `KeyError` for an unknown name."""
        one, _, many = self.forms[name].partition("|")
        return (many if many and values.get("count") != 1 else one).format(**values)


@cache
def _table() -> dict[str, list[str]]:
    text = (files("yellowbooks.dashboard") / "words.toml").read_text("utf-8")
    return {
        f"{section}.{name}": forms for section, words in tomllib.loads(text).items() for name, forms in words.items()
    }


def language_of(header: str) -> str:
    """The first language of an Accept-Language header (RFC 9110, section 12.5.4) that we speak, else English."""
    wanted = [_range(part) for part in header.split(",")]
    for name, _ in sorted(wanted, key=lambda one: -one[1]):
        if name in LANGUAGES:
            return name
    return LANGUAGES[0]


def _range(part: str) -> tuple[str, float]:
    name, _, quality = part.partition(";")
    try:
        weight = float(quality.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return name.strip().lower().partition("-")[0], weight
