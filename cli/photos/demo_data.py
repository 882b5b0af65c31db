"""Choose the data of a demo: real weights and photos if available, otherwise generated photos or the untrained network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from cli.errors import AssetError
from cli.photos import assets
from cli.photos.drawn.generated import generate_photos
from cli.photos.http_file import reachable
from cli.settings.config import Settings
from cli.ui.output import progress_bar, say
from job.contract.params import MODELS, UNTRAINED

IMAGES, CLASSES = assets.SAMPLE_IMAGES, assets.SAMPLE_CLASSES


class Origin(StrEnum):
    """Where weights or photos come from."""

    EARLIER = "earlier"  # an earlier call put them on this machine
    ASSETS = "assets"  # FRUITS_ASSETS
    DOWNLOAD = "download"
    GENERATED = "generated"  # from a seed: an untrained network, photos that are drawn


@dataclass(frozen=True)
class DemoData:
    """What a demo uses, and where it comes from."""

    folder: Path
    weights_from: Origin
    photos_from: Origin
    weights: Path | None = None  # of the trained network, as soon as the file is on this machine

    @property
    def model(self) -> str:
        return UNTRAINED if self.weights_from is Origin.GENERATED else MODELS[0]

    @property
    def photos(self) -> Path:
        return self.folder / ("photos-generated" if self.photos_from is Origin.GENERATED else "photos")

    @property
    def output(self) -> Path:
        """Never the same for real and generated photos, nor for two models."""
        marks = (("-generated", self.photos_from), ("-untrained", self.weights_from))
        return self.folder / ("out" + "".join(mark for mark, origin in marks if origin is Origin.GENERATED))


def plan_demo(folder: Path, config: Settings, weights_url: str = assets.KERAS_WEIGHTS_URL, photos_url: str = assets.SAMPLE_URL) -> DemoData:
    """Choose from an earlier call, FRUITS_ASSETS and the servers, which are asked once. Changes nothing."""
    weights, photos = _weights_here(config, weights_url), _photos_here(folder / "photos", config)
    wanted = {url for url, origin in ((weights_url, weights), (photos_url, photos)) if origin is None}
    served = reachable(wanted) if wanted and config.assets is None else set()

    def elsewhere(url: str) -> Origin:
        return Origin.DOWNLOAD if url in served else Origin.GENERATED

    return DemoData(folder, weights or elsewhere(weights_url), photos or elsewhere(photos_url))


def _weights_here(config: Settings, url: str) -> Origin | None:
    if config.assets is not None:
        return Origin.ASSETS if any((config.assets / "weights").glob("*no_top*.h5")) else None
    return Origin.EARLIER if assets.cached(config.cache, url).is_file() else None


def _photos_here(photos: Path, config: Settings) -> Origin | None:
    if sum(1 for _ in photos.glob("*/*.jpg")) >= IMAGES:
        return Origin.EARLIER
    if config.assets is not None and any(assets.training(config.assets).glob("*/*.jpg")):
        return Origin.ASSETS
    return None


def demo_data(folder: Path, config: Settings, weights_url: str = assets.KERAS_WEIGHTS_URL, photos_url: str = assets.SAMPLE_URL) -> DemoData:
    """
    Get weights and photos as `plan_demo` chooses, and say on stderr, in one line, what is used instead of real ones.

    Raises:
        UsageError: photos have to be drawn, and NumPy or Pillow is not installed.
        AssetError: the photos cannot be written.
    """
    data = plan_demo(folder, config, weights_url, photos_url)
    failures: list[str] = []
    if data.weights_from is not Origin.GENERATED:
        try:
            with progress_bar("Download weights", "bytes") as progress:
                data = replace(data, weights=assets.weights(config.assets, config.cache, progress, weights_url))
        except AssetError as error:
            data, failures = replace(data, weights_from=Origin.GENERATED), [*failures, str(error)]
    if data.photos_from in (Origin.ASSETS, Origin.DOWNLOAD):
        try:
            with progress_bar("Get photos", "images") as progress:
                assets.sample(data.photos, IMAGES, CLASSES, config.assets, progress, photos_url)
        except AssetError as error:
            data, failures = replace(data, photos_from=Origin.GENERATED), [*failures, str(error)]
    if note := fallback(data, config, failures, weights_url, photos_url):
        say(note)
    if data.photos_from is Origin.GENERATED:
        with progress_bar("Draw photos", "images") as progress:
            generate_photos(data.photos, IMAGES, CLASSES, 0, progress)
    return data


def fallback(
    data: DemoData,
    config: Settings,
    failures: list[str] | None = None,
    weights_url: str = assets.KERAS_WEIGHTS_URL,
    photos_url: str = assets.SAMPLE_URL,
) -> str:
    """Return one line: what is not available, what is used instead, how to get it. Empty where all is real."""
    origins = {"weights": data.weights_from, "photos": data.photos_from}
    missing = [name for name, origin in origins.items() if origin is Origin.GENERATED]
    if not missing:
        return ""
    instead = {"weights": "an untrained network", "photos": "generated photos"}
    urls = {"weights": weights_url, "photos": photos_url}
    why = f" ({'; '.join(failures)})" if failures else ""
    if config.assets is not None:
        where, way = f"in `{config.assets}`", "add them to that folder, or unset FRUITS_ASSETS to download them"
    else:
        where = "here"
        way = f"allow access to {' and '.join(urls[name] for name in missing)}, or set FRUITS_ASSETS=DIR to a folder that has them"
    return (
        f"note: no real {' and '.join(missing)} {where}{why}, using {' and '.join(instead[name] for name in missing)}; for real ones {way}"
    )
