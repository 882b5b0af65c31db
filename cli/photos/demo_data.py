"""What a demo runs on: real weights and photos where they can be had, otherwise generated photos or the untrained network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli import assets
from cli.config import Settings
from cli.errors import AssetError
from cli.output import progress_bar, say
from cli.photos.generated import generate_photos
from cli.remote import reachable
from job.params import MODELS, UNTRAINED

IMAGES, CLASSES = assets.SAMPLE_IMAGES, assets.SAMPLE_CLASSES


@dataclass(frozen=True)
class DemoData:
    photos: Path
    output: Path  # never the same for real and generated photos, nor for two models
    weights: Path | None  # None: of the untrained network

    @property
    def model(self) -> str:
        return MODELS[0] if self.weights else UNTRAINED


def demo_data(folder: Path, config: Settings, weights_url: str = assets.KERAS_WEIGHTS_URL, photos_url: str = assets.SAMPLE_URL) -> DemoData:
    """
    Get weights and photos from FRUITS_ASSETS, from an earlier call, or from the network, which is asked once.

    Says on stderr, in one line, what cannot be had and what is used instead.

    Raises:
        UsageError: photos have to be drawn, and NumPy or Pillow is not installed.
        AssetError: the photos cannot be written.
    """
    photos = folder / "photos"
    served = _served(photos, config, weights_url, photos_url)
    weights = _weights(config, weights_url) if weights_url in served else None
    real_photos = photos_url in served and _real_photos(photos, config, photos_url)
    missing = [name for name, is_there in (("weights", weights), ("photos", real_photos)) if not is_there]
    if missing:
        instead = " and ".join(
            name for name, wanted in (("an untrained network", not weights), ("generated photos", not real_photos)) if wanted
        )
        say(
            f"note: no real {' and '.join(missing)} here, using {instead}; for real ones allow access to "
            f"{' and '.join(url for url, is_there in ((weights_url, weights), (photos_url, real_photos)) if not is_there)}, "
            "or set FRUITS_ASSETS=DIR to a folder that has them"
        )
    if not real_photos:
        photos = folder / "photos-generated"
        with progress_bar("Draw photos", "images") as progress:
            generate_photos(photos, IMAGES, CLASSES, 0, progress)
    name = "out" + ("" if real_photos else "-generated") + ("" if weights else "-untrained")
    return DemoData(photos, folder / name, weights)


def _served(photos: Path, config: Settings, weights_url: str, photos_url: str) -> set[str]:
    """The URLs whose files are worth asking for: they are here already, in FRUITS_ASSETS, or their servers answer."""
    if config.assets is not None:
        return {weights_url, photos_url}
    here = set()
    if (config.cache / "weights" / weights_url.rsplit("/", 1)[-1]).is_file():
        here.add(weights_url)
    if _are_complete(photos):
        here.add(photos_url)
    return here | reachable({weights_url, photos_url} - here)


def _are_complete(photos: Path) -> bool:
    return sum(1 for _ in photos.glob("*/*.jpg")) >= IMAGES


def _weights(config: Settings, url: str) -> Path | None:
    try:
        with progress_bar("Download weights", "bytes") as progress:
            return assets.weights(config.assets, config.cache, progress, url)
    except AssetError as error:
        say(f"note: {error}")
        return None


def _real_photos(photos: Path, config: Settings, url: str) -> bool:
    if _are_complete(photos):
        return True
    try:
        with progress_bar("Download photos", "images") as progress:
            assets.sample(photos, IMAGES, CLASSES, config.assets, progress, url)
    except AssetError as error:
        say(f"note: {error}")
        return False
    return True
