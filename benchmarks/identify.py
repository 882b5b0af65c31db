"""
How often `identify` is right, honest and wrong, and how fast. In: FRUITS_ASSETS. Out: Markdown tables on stdout.

    python -m benchmarks.identify [--output OUT] [--variants] [--images 100000]

OUT is that of `fruitsctl run fruits-360-sample/Training OUT --local`; without --output it is made. `--variants` adds every rule that was
tried. Rules are chosen on `benchmarks.composites`, never on `photos/`; docs/decisions/0013 says what was in sight when.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.composites import composites, no_fruits
from benchmarks.galleries import write_large
from benchmarks.machine import describe_machine
from benchmarks.targets import AT_LEAST, AT_MOST, Measure, markdown, table
from benchmarks.variants import VARIANTS, Variant
from cli.settings.config import settings
from job.imaging.networks import Features
from job.product.fruits import group_of
from job.product.identify.crops import open_photo
from job.product.identify.identifier import Identifier

PHOTOS = ("apple", "banana", "orange")
GROCERY = {"Red-Grapefruit": "Grapefruit", "Satsumas": "Mandarine", "Red-Beet": "Beetroot"}  # `grocery/` to Fruits-360
NOTHING = "nothing"  # what a picture without fruit shows


@dataclass(frozen=True)
class Sample:
    """One photo: what it shows, and the features of its views."""

    label: str
    group: str
    features: dict[str, Features]


@dataclass(frozen=True)
class Tally:
    """Photos by what was said. `named`: also the variety, and it is right."""

    right: int
    unknown: int
    wrong: int
    named: int = 0

    @property
    def count(self) -> int:
        return self.right + self.unknown + self.wrong

    def row(self, name: str) -> list[str]:
        return [name, str(self.count), *(f"{value} ({value / self.count:.1%})" for value in (self.right, self.unknown, self.wrong))]


def tally(identifier: Identifier, samples: Iterable[Sample]) -> Tally:
    said = [(sample, identifier.judge(sample.features)) for sample in samples]
    right = [(sample, answer) for sample, answer in said if answer.group == sample.group]
    unknown = sum(answer.status == "unknown" for _, answer in said)
    named = sum(answer.best == sample.label for sample, answer in right)
    return Tally(len(right), unknown, len(said) - len(right) - unknown, named)


def of_files(identifier: Identifier, paths: Iterable[Path], label_of: Callable[[Path], str]) -> list[Sample]:
    labels = [(label_of(path), path) for path in sorted(paths)]
    return [Sample(label, group_of(label), identifier.features(open_photo(path.read_bytes()))) for label, path in labels]


def of_grocery(identifier: Identifier, folder: Path, *, known: bool) -> list[Sample]:
    """Return the photos of the kinds whose group the gallery has, or those of the other kinds, for which only "unknown" is right."""
    groups = set(identifier.groups)
    labels = {kind.name: GROCERY.get(kind.name, kind.name) for kind in folder.iterdir()}
    paths = [path for path in folder.glob("*/*.jpg") if (group_of(labels[path.parent.name]) in groups) == known]
    return of_files(identifier, paths, lambda path: labels[path.parent.name] if known else NOTHING)


def of_images(identifier: Identifier, images: Iterable[tuple[str, Image.Image]]) -> list[Sample]:
    return [Sample(label, group_of(label), identifier.features(image)) for label, image in images]


def without(identifier: Identifier, group: str) -> Identifier:
    """One that has never seen a fruit of `group`; its threshold is that of all."""
    gallery = identifier.gallery
    kept = [code for code, name in enumerate(gallery.names) if group_of(name) != group]
    rows = np.flatnonzero(np.isin(gallery.codes, kept))
    codes = np.searchsorted(kept, gallery.codes[rows]).astype(np.int32)
    names = [gallery.names[code] for code in kept]
    lacking = copy(identifier)
    lacking.gallery = replace(gallery, units=gallery.units[rows], codes=codes, names=names, uris=gallery.uris.take(rows))
    lacking.groups = [group_of(name) for name in names]
    return lacking


def strangers(identifier: Identifier, samples: list[Sample]) -> Tally:
    """Each sample asked of a gallery that lacks its group: unknown is all that could be right."""
    tallies = []
    for group in sorted({sample.group for sample in samples}):
        mine = [Sample(NOTHING, NOTHING, sample.features) for sample in samples if sample.group == group]
        tallies.append(tally(without(identifier, group), mine))
    return Tally(0, sum(found.unknown for found in tallies), sum(found.wrong for found in tallies))


def pictures() -> list[tuple[str, Image.Image]]:
    """Pictures that come with installed packages, none with a fruit: each whole, its four quarters and its nine ninths."""
    import matplotlib as mpl
    import sklearn

    samples = Path(mpl.get_data_path()) / "sample_data"
    paths = [Path(str(sklearn.__file__)).parent / "datasets" / "images" / name for name in ("china.jpg", "flower.jpg")]
    paths += [samples / name for name in ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png", "logo2.png")]
    found = []
    for path in paths:
        image = open_photo(path.read_bytes())
        for parts in (1, 2, 3):
            width, height = image.width // parts, image.height // parts
            corners = [(x * width, y * height) for x in range(parts) for y in range(parts)]
            found += [(path.name, image.crop((x, y, x + width, y + height))) for x, y in corners]
    return found


def accuracy(identifier: Identifier, assets: Path) -> dict[str, list[Sample]]:
    """Every set of photos by its name."""
    sample, photos = assets / "fruits-360-sample" / "Test", assets / "photos"
    sets = {"`Test/` (near-duplicates of `Training/`)": of_files(identifier, sample.glob("*/*.jpg"), lambda path: path.parent.name)}
    sets["composites"] = of_images(identifier, composites(sample))
    for kind in PHOTOS:
        sets[f"`photos/` {kind}"] = of_files(identifier, photos.glob(f"{kind}_*.jpg"), lambda path: path.name.split("_")[0].capitalize())
    grocery = assets / "grocery"
    sets["`grocery/` fruits"] = of_grocery(identifier, grocery / "Fruit", known=True)
    sets["`grocery/` vegetables of the gallery"] = of_grocery(identifier, grocery / "Vegetables", known=True)
    sets["`grocery/` vegetables the gallery lacks"] = of_grocery(identifier, grocery / "Vegetables", known=False)
    sets["`grocery/` cartons and pots"] = of_grocery(identifier, grocery / "Packages", known=False)
    sets["pictures without fruit"] = [Sample(NOTHING, NOTHING, s.features) for s in of_images(identifier, pictures())]
    sets["formulas without fruit"] = [Sample(NOTHING, NOTHING, s.features) for s in of_images(identifier, no_fruits(80))]
    return sets


def show_accuracy(identifier: Identifier, sets: dict[str, list[Sample]]) -> str:
    tallies = {name: tally(identifier, samples) for name, samples in sets.items()}
    rows = [found.row(name) for name, found in tallies.items()]
    rows.append(strangers(identifier, next(iter(sets.values()))).row("`Test/`, each of a gallery without its group"))
    photos = [found for name, found in tallies.items() if name.startswith("`photos/`")]
    count = sum(found.count for found in photos)
    honest = 100 * sum(found.right + found.unknown for found in photos) / count
    wrong = 100 * sum(found.wrong for found in photos) / count
    test = next(iter(tallies.values()))
    bounds = [Measure("`photos/`: right or unknown", [honest], AT_LEAST, 75, "%", 1)]
    bounds += [Measure("`photos/`: confidently wrong", [wrong], AT_MOST, 10, "%", 1)]
    variety = f"`Test/`: the variety is named, and right, for {test.named} of {test.count} ({test.named / test.count:.1%})."
    return "\n\n".join([markdown(("photos", "n", "right group", "unknown", "wrong"), rows), variety, table(bounds)])


def show_variants(identifier: Identifier, sets: dict[str, list[Sample]]) -> str:
    """right / unknown / wrong of each set, for each rule that was tried."""
    rows = []
    for name, variant in VARIANTS.items():
        cells = [judged(identifier, variant, samples) for samples in sets.values()]
        rows.append([name, *cells])
    return markdown(("rule", *sets), rows)


def judged(identifier: Identifier, variant: Variant, samples: list[Sample]) -> str:
    said = [variant.group(identifier, sample.features) for sample in samples]
    right = sum(group == sample.group for group, sample in zip(said, samples, strict=True))
    unknown = said.count(None)
    return f"{right} / {unknown} / {len(said) - right - unknown}"


def seconds(assets: Path, output: Path, photo: Path, images: int, folder: Path) -> str:
    """The first photo is a separate process; the next ones are asked of one that is open."""
    large = folder / "large"
    write_large(output, large, images)
    command = [sys.executable, "-m", "cli", "identify", str(photo), "--output", str(large), "--json"]
    first = []
    for _ in range(6):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        first.append(time.perf_counter() - began)
    identifier = open_on(assets, large)
    content, following = photo.read_bytes(), []
    for _ in range(21):
        began = time.perf_counter()
        identifier.identify(content)
        following.append(1000 * (time.perf_counter() - began))
    measures = [
        Measure(f"first photo, {images:,} images", first[1:], AT_MOST, 1.5, "s"),
        Measure("each next", following[1:], AT_MOST, 50, "ms", 0),
    ]
    return table(measures)


def open_on(assets: Path, output: Path) -> Identifier:
    weights = {"network": "*no_top*.h5", "classifier": "*top*.h5"}

    def get(what: str) -> Path:
        found = (assets / "weights").glob(weights[what])
        return next(path for path in sorted(found) if ("no_top" in path.name) == (what == "network"))

    return Identifier(f"file://{output.resolve()}", weights=get, cache=settings().cache)


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.identify", description="how often identify is right, honest and wrong, and how fast")
    parser.add_argument("--assets", type=Path, default=os.environ.get("FRUITS_ASSETS"), help="default: FRUITS_ASSETS")
    parser.add_argument("--output", type=Path, help="of a run on fruits-360-sample/Training; made if not given")
    parser.add_argument("--images", type=int, default=100_000, help="of the gallery that seconds are measured on; 0: do not measure")
    parser.add_argument("--variants", action="store_true", help="also every rule that was tried")
    args = parser.parse_args()
    if args.assets is None:
        parser.error("set FRUITS_ASSETS, or give --assets")
    with tempfile.TemporaryDirectory(prefix="bench-identify-") as work:
        output: Path = args.output or Path(work) / "out"
        if args.output is None:
            training = args.assets / "fruits-360-sample" / "Training"
            subprocess.run([sys.executable, "-m", "cli", "run", str(training), str(output), "--local"], check=True, stdout=sys.stderr)
        identifier = open_on(args.assets, output)
        sets = accuracy(identifier, args.assets)
        print(show_accuracy(identifier, sets))
        if args.variants:
            print("\n" + show_variants(identifier, sets))
        if args.images:
            photo = sorted((args.assets / "photos").glob("apple_*.jpg"))[0]
            print("\n" + seconds(args.assets, output, photo, args.images, Path(work)))
            print("\n" + ", ".join(f"{name} {value}" for name, value in describe_machine().items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
