"""`fruitsctl identify`: photos to the fruits they show, by the newest run's matrix. No Spark, no Java."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import FruitsError, UsageError
from cli.photos.identifier import open_identifier
from cli.photos.lessons import STDIN, LabelledPhoto, read_photo, refuse_untaught, taught_to
from cli.settings.folders import local
from cli.ui.output import emit, say, say_error
from job.contract.records import counted
from job.contract.uris import local_path

if TYPE_CHECKING:
    from job.product.identify.answer import Answer, Result
    from job.product.identify.identifier import Identifier


def identify(
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Image files; `-` reads one from stdin.")],
    output: Annotated[str | None, typer.Option(help="OUTPUT of the run to compare with. [or fruits.toml, or the last local run]")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN_ID", help="Another run than the newest.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Results per photo.")] = 5,
    wrong: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="What the photo really shows: teach it to the run as `fruitsctl teach` does; asks first."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --wrong: do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object with `answers` as JSON on stdout.")] = False,
) -> None:
    """Say which fruit is on a photo, or that it is unknown.

    Without --wrong nothing is stored and nothing is sent. Exits 1 if a photo cannot be read; the others are answered.
    """
    if wrong is not None and not (yes or sys.stdin.isatty()):
        raise UsageError("cannot ask for consent: stdin is not a terminal", "add --yes to store a copy of the photo in INPUT")
    contents, missing = {}, {}
    for photo in photos:
        try:
            contents[photo] = read(photo)
        except FruitsError as problem:
            missing[photo] = problem
    opened = open_identifier(output, run) if contents else None
    answers = {photo: opened.identify(content, top) for photo, content in contents.items()} if opened else {}
    data = {"answers": [{"photo": photo, **answer.to_dict()} for photo, answer in answers.items()]}
    if answers or as_json:
        emit(data, text_of(answers), as_json)
    unreadable = [photo for photo, answer in answers.items() if answer.status == "unreadable"]
    if unreadable:
        say_error(
            f"{len(unreadable)} of {counted(len(answers), 'files')} cannot be read: {', '.join(f'`{photo}`' for photo in unreadable)}",
            "use JPEG, HEIC, PNG, WebP, AVIF, GIF, BMP or TIFF",
        )
    for error in missing.values():
        say_error(str(error), error.hint)
    if wrong is not None and opened:
        readable = [LabelledPhoto(photo, wrong, partial(contents.__getitem__, photo)) for photo in answers if photo not in unreadable]
        _teach(opened, readable, yes)
    if unreadable or missing:
        raise typer.Exit(max((error.exit_code for error in missing.values()), default=1))


def _teach(identifier: Identifier, photos: list[LabelledPhoto], yes: bool) -> None:
    """Teach `photos` after consent: what was looked at only is stored from here on."""
    if not photos:
        return
    what = f"{counted(len(photos), 'photos')} to INPUT as `{photos[0].label}`, without metadata"
    if not yes and not typer.confirm(f"Add {what}? `fruitsctl forget` can erase them", err=True):
        say("Nothing was stored.")
        return
    result = taught_to(identifier, photos)
    say(f"{counted(len(result.added), 'photos')} taught to run {result.run_id}")
    refuse_untaught(result, len(photos))


def read(photo: str) -> bytes:
    """
    Return the bytes of a photo.

    Raises:
        FruitsError: it does not exist, is not on this machine, or is not readable.
    """
    if photo == STDIN:
        return sys.stdin.buffer.read()
    return read_photo(str(local(photo, "download the photo first, then give its file")))


def text_of(answers: dict[str, Answer]) -> str:
    """Return the cards and the limits that apply to all of them."""
    from job.product.identify.answer import NO_SECOND_OPINION

    limited = any(answer.status != "unreadable" and not answer.second_opinion for answer in answers.values())
    return "\n\n".join([*(card(photo, answer) for photo, answer in answers.items()), *[NO_SECOND_OPINION] * limited])


def card(photo: str, answer: Answer) -> str:
    """Return the text about one photo."""
    from job.product.fruits import fruit_of

    if answer.status == "unreadable":
        return f"{photo}\n  unreadable: {answer.reason}"
    if answer.status == "ok":
        variety = f", {answer.best}" if answer.best not in (None, answer.group) else ""
        lines = [f"{photo}: {answer.group}{variety}  ({answer.score:.0%})"]
        fruit = fruit_of(answer.best or "") or fruit_of(answer.group or "")
        if fruit is not None:
            lines.append(f"  {fruit.about['en']}")
            lines.append(f"  {fruit.scientific}, {fruit.family}; season: {fruit.season_words('en')}")
    else:
        lines = [f"{photo}: unknown, {why_unknown(answer)}"]
    return "\n".join([*lines, "", "  looks like                       score  distance  nearest photo", *map(line, answer.results)])


def why_unknown(answer: Answer) -> str:
    """Return which rule of `decision.decide` withheld the name."""
    from job.product.identify.decision import MIN_SHARE

    if answer.distance is None or answer.distance > answer.threshold:
        return "no photo of this collection is similar enough"
    if answer.score < MIN_SHARE or answer.seen_as is None:
        return "it resembles several fruits"
    return f"the nearest photos are only a guess: the ImageNet classifier says `{answer.seen_as}`"


def line(result: Result) -> str:
    nearest = local_path(result.neighbours[0].uri) if result.neighbours else ""
    return f"  {result.label:<32} {result.score:>5.0%}  {result.distance:>8.3f}  {nearest}"
