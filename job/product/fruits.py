"""Labels in; what fruit it is, its coarse group, its season and a sentence about it out, from `fruits.json`. Standard library only."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = ("en", "fr")
MONTHS = {
    "en": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
    "fr": ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
}


@dataclass(frozen=True)
class Fruit:
    """A species, or a kind that has its own name: nectarine, clementine. Texts by language: LANGUAGES."""

    key: str
    names: dict[str, str]
    scientific: str
    family: str  # in botany
    group: str  # what one says at a glance, in English: "Apple"
    season: tuple[int, ...]  # months 1..12 in France, in their order from the first one
    imported: bool  # what is eaten in France comes from far away; the months are those on the market
    about: dict[str, str]

    def season_words(self, language: str) -> str:
        """`August to April`, `all year`."""
        if len(self.season) == 12:
            return {"en": "all year", "fr": "toute l’année"}[language]
        first, last = (MONTHS[language][month - 1] for month in (self.season[0], self.season[-1]))
        if language == "fr":
            return f"{'d’' if first[0] in 'ao' else 'de '}{first} à {last}"
        return f"{first} to {last}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"season": list(self.season)}


def fruit_of(label: str) -> Fruit | None:
    """The fruit that `label` names: a label of Fruits-360, or a fruit's own name in one of LANGUAGES; None if nothing here knows it."""
    return fruits().get(_keys().get(_plain(label), ""))


def group_of(label: str) -> str:
    """`Apple Golden 1` to `Apple`; a label that nothing here knows keeps its name without the digits at its end."""
    fruit = fruit_of(label)
    return fruit.group if fruit else re.sub(r"[\s_-]*\d+$", "", label) or label


def group_name(group: str, language: str) -> str:
    """The group in `language`; as it is where nothing here knows it."""
    name: str = _read()["groups"].get(group, {}).get(language, group)
    return name


@cache
def fruits() -> dict[str, Fruit]:
    """Every fruit by its key."""
    return {key: Fruit(key=key, **values | {"season": tuple(values["season"])}) for key, values in _read()["species"].items()}


@cache
def labels() -> dict[str, str]:
    """Every label of Fruits-360 (2020.05.18) with the key of its fruit."""
    found: dict[str, str] = _read()["labels"]
    return found


@cache
def _keys() -> dict[str, str]:
    """Plain names to keys: those of the fruits, and the labels, which win."""
    named = {_plain(name): fruit.key for fruit in fruits().values() for name in fruit.names.values()}
    return named | {_plain(label): key for label, key in labels().items()}


def _plain(label: str) -> str:
    """What differs only by case, `_` or `-` for a blank, and a number at the end is the same: `apple_golden_12`."""
    return re.sub(r"[\s_-]+", " ", re.sub(r"[\s_-]*\d+\s*$", "", label)).strip().casefold()


@cache
def _read() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(files("job.product").joinpath("fruits.json").read_text(encoding="utf-8"))
    return read
