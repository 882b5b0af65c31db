"""Render an answer or a refusal as a page in the visitor's language, with a small picture of their photo inside."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from job.contract.errors import DecodeError
from job.imaging.decode import decode_image
from job.product.fruits import MONTHS, fruit_of, group_name
from job.product.gallery import Gallery
from job.product.web.answers import Identified
from job.product.web.html.words import WORDS
from job.product.web.limits import Limits, Refused
from job.product.web.teaching import Kept

PREVIEW_PX = 512
SHOWN = 24  # photos of the gallery on the start page


class Look(NamedTuple):
    """How pages look to a visitor. `groups`: those of the run, where visitors may teach it photos; else None."""

    language: str
    limits: Limits
    groups: tuple[str, ...] | None = None


def start_page(look: Look, gallery: Gallery, numbers: npt.NDArray[np.intp]) -> str:
    """Render the start page. `numbers` (n,) name the thumbnails of the gallery."""
    language = look.language
    images = f"{len(gallery):,}".replace(",", chr(0x202F) if language == "fr" else ",")
    text = WORDS[language]["known"].format(images=images, labels=len(gallery.names))
    known = [(int(numbers[row]), label) for row, label in some_rows(gallery)]
    return render(look, known=known, known_text=text)


def some_rows(gallery: Gallery) -> list[tuple[int, str]]:
    """Return (row, label) of SHOWN photos with different labels, spread evenly over the gallery."""
    codes, rows = np.unique(gallery.codes, return_index=True)
    picked = np.unique(np.linspace(0, len(codes) - 1, SHOWN).astype(int)) if len(codes) else []
    return [(int(rows[i]), gallery.names[codes[i]]) for i in picked]


def answer_page(look: Look, answer: Identified, photo: str | None) -> str:
    """Render the answer to a photo. `photo` comes from `preview`."""
    language = look.language
    words = WORDS[language]
    heading = group_name(answer.group or answer.best or "", language) if answer.status == "ok" else words[answer.status]
    fruit = fruit_of(answer.fruit.key) if answer.fruit else None
    results = [
        result.model_dump() | {"group_name": group_name(result.group, language), "percent": percent(result.score, language)}
        for result in answer.results
    ]
    return render(
        look,
        answer=answer.model_dump() | {"results": results},
        heading=heading,
        photo=photo,
        variety=variety_of(answer, heading, language),
        season=fruit.season_words(language) if fruit else "",
        distance=number(answer.distance or 0.0, language),
        threshold=number(answer.threshold, language),
    )


def variety_of(answer: Identified, heading: str, language: str) -> str:
    """Return the label if it is certain and says more than the heading, with the fruit's own name if that differs."""
    if answer.best is None:
        return ""
    name = answer.fruit.names.model_dump()[language] if answer.fruit else heading
    told = dict.fromkeys(text for text in (answer.best, name) if text != heading)
    return ", ".join(told)


def taught_page(look: Look, kept: Kept) -> str:
    """Render what became of a photo that was taught: where it is, and how to erase it."""
    words = WORDS[look.language]
    told = words["taught"] if kept.new else words["taught_before"]
    return render(look, heading=told.format(label=group_name(kept.label, look.language)), kept=kept)


def refusal_page(look: Look, refused: Refused) -> str:
    words = WORDS[look.language]
    text = words.get(f"error.{refused.code}", words["error.other"])
    return render(look, heading=words["error"], problem=text.format(megabytes=megabytes(look.limits)))


def render(look: Look, **values: Any) -> str:
    language, limits, groups = look
    words = WORDS[language]
    too_large = words["error.too_large"].format(megabytes=megabytes(limits))
    names = sorted((group_name(group, language) for group in groups or ()), key=str.casefold)
    given = {
        "answer": None,
        "heading": "",
        "problem": "",
        "known": [],
        "kept": None,
        "teaching": groups is not None,
        "names": names,
    } | values
    template = environment().get_template("page.html")
    return template.render(language=language, words=words, limits=limits, months=MONTHS[language], too_large=too_large, **given)


@cache
def environment() -> Environment:
    return Environment(
        loader=PackageLoader("job.product.web.html"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def preview(content: bytes) -> str | None:
    """
    Return the photo as a `data:` URI, small, upright and without metadata; None if it cannot be decoded.

    It is sent back with the answer, so that nothing has to be stored for a second request.
    """
    try:
        decoded = decode_image(content, PREVIEW_PX)
    except DecodeError:
        return None
    longest = max(decoded.width, decoded.height)
    size = (max(1, PREVIEW_PX * decoded.width // longest), max(1, PREVIEW_PX * decoded.height // longest))
    small = io.BytesIO()
    Image.fromarray(decoded.pixels).resize(size, Image.Resampling.BICUBIC).save(small, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(small.getvalue()).decode()


def megabytes(limits: Limits) -> str:
    return f"{limits.photo_bytes / 1e6:g}"


def number(value: float, language: str) -> str:
    return f"{value:.3f}".replace(".", "," if language == "fr" else ".")


def percent(share: float, language: str) -> str:
    """Format a share, with a no-break space before the sign in French."""
    return f"{share * 100:.0f}{chr(0xA0) if language == 'fr' else ''}%"
