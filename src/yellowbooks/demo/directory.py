"""The directory: invented businesses of Ulaanbaatar, and a search over them."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

Texts = dict[str, str]
"""One text in each language."""

# Ө and Ү stand after О and У in the alphabet, and far behind in Unicode.
ALPHABET = {letter: number for number, letter in enumerate("абвгдеёжзийклмноөпрстуүфхцчшщъыьэюя")}


@dataclass(frozen=True, slots=True)
class Business:
    """One entry of the book."""

    slug: str
    category: str
    district: str
    khoroo: int
    phone: str
    hours: str
    name: Texts
    about: Texts


class Directory:
    """All entries, their categories and districts."""

    def __init__(self) -> None:
        found = tomllib.loads((files("yellowbooks.demo") / "businesses.toml").read_text("utf-8"))
        self.categories: dict[str, Texts] = found["categories"]
        self.districts: dict[str, Texts] = found["districts"]
        self.businesses = tuple(Business(**entry) for entry in found["businesses"])

    @cached_property
    def _words(self) -> dict[str, str]:
        """What a search looks through, by slug: both languages, as a person types either."""
        return {
            one.slug: " ".join(
                text
                for texts in (one.name, one.about, self.categories[one.category], self.districts[one.district])
                for text in texts.values()
            ).casefold()
            for one in self.businesses
        }

    def find(self, query: str = "", category: str = "", language: str = "mn") -> list[Business]:
        """The entries of a category (all of them, where it is "") that hold every word of the query, by name."""
        words = query.casefold().split()
        found = [
            one
            for one in self.businesses
            if category in ("", one.category) and all(word in self._words[one.slug] for word in words)
        ]
        return sorted(found, key=lambda one: _place(one.name[language]))

    def get(self, slug: str) -> Business | None:
        """One entry; None where there is none of this name."""
        return next((one for one in self.businesses if one.slug == slug), None)

    def similar(self, business: Business) -> list[Business]:
        """The other entries of its category."""
        return [one for one in self.find(category=business.category) if one is not business]


def _place(name: str) -> list[int]:
    """Where a name stands in the alphabet."""
    return [ALPHABET.get(letter, ord(letter) - 2000) for letter in name.casefold()]
