"""
Identify the fruit on a photo by its nearest neighbours in a run and by the ImageNet classifier.

`Identifier` is opened once and used often, from several threads too. It stores nothing. No Spark, no Java; TensorFlow only once, in a
separate process, to convert the network.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from job.contract.errors import DecodeError, ModelError
from job.contract.params import UNTRAINED, WITHOUT_WEIGHTS, Params, application
from job.imaging.networks import FULL, Features, Model, Network, litert_flatbuffer, load_model, untrained_flatbuffer
from job.product.fruits import group_of
from job.product.gallery import Gallery, open_gallery
from job.product.identify.answer import Answer, Neighbour, Result
from job.product.identify.crops import open_photo, views
from job.product.identify.decision import MIN_AGREEMENT, MIN_SHARE, Decision, decide
from job.product.identify.evidence import Evidence, evidence_of
from job.product.identify.imagenet_classifier import ImageNetClassifier, load_classifier

if TYPE_CHECKING:
    from job.inputs.fetch import ListedImage

Weights = Callable[[str], Path]  # gives the Keras HDF5 file of the `network`, the `classifier` or `keras:…`, wherever it comes from
CLASSIFIER_VIEWS = ("whole", "box")  # views that the classifier is asked about: fruit on white paper is new to it
NEIGHBOURS = 4  # shown per result


class Identifier:
    """Identifies photos by one run of `output` (URI): `run_id`, or the newest."""

    def __init__(self, output: str, run_id: str | None = None, *, weights: Weights, cache: Path, second_opinion: bool = True) -> None:
        """
        Load the run, its network and the classifier.

        `weights` is called only if the run's model has weights; `cache` keeps what is converted.

        Raises:
            InputError: there is no such run. OutputError, CredentialsError: it cannot be read.
            ModelError: the weights are not those that the run was made with.
        """
        self._show(open_gallery(output, run_id))
        self._model = open_model(self.gallery, weights, cache)
        heard = second_opinion and self._model.name == "mobilenet_v2"  # the classifier belongs to the trained network
        self._head: ImageNetClassifier | None = load_classifier(weights("classifier"), cache) if heard else None
        self._threads = threading.local()  # an interpreter serves one thread at a time, and costs 10 ms

    def _show(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.groups = [group_of(name) for name in gallery.names]  # of each label

    def reopened(self) -> Identifier:
        """
        Return a copy with the run's matrix as it is now. This object does not change: another thread may be using it.

        Raises:
            InputError, OutputError, CredentialsError: as `open_gallery`.
        """
        again = copy.copy(self)
        again._show(open_gallery(self.gallery.output, self.gallery.run_id))
        return again

    @property
    def second_opinion(self) -> bool:
        """Whether the ImageNet classifier is asked too."""
        return self._head is not None

    def identify(self, content: bytes, top: int = 5) -> Answer:
        """Identify a photo, with at most `top` results. Never raises for a photo: one that cannot be decoded is `unreadable`."""
        try:
            photo = open_photo(content)
        except DecodeError as error:
            return self._answer("unreadable", reason=str(error))
        return self.judge(self.features(photo), top)

    def features(self, photo: Image.Image) -> dict[str, Features]:
        """Return the features of each view of `crops.views`, (d,) float32."""
        network = self.network
        return {name: network(pixels) for name, pixels in views(photo, network.size_px).items()}

    def opinion(self, features: dict[str, Features]) -> dict[str, float]:
        """Return the classifier's probability by group, largest first; {} without a classifier."""
        return self._head.groups(np.stack([features[view] for view in CLASSIFIER_VIEWS if view in features])) if self._head else {}

    def judge(self, features: dict[str, Features], top: int = 5) -> Answer:
        """Return the answer for the features of a photo."""
        evidence, opinion, limits = evidence_of(self.gallery, features), self.opinion(features), self.gallery.calibration
        votes = evidence.shares(self._names_of_rows(evidence, self.groups))
        distance = evidence.distance
        decision = decide(votes, distance, limits["threshold"], limits["typical"], opinion, self.groups)
        if decision.by == "classifier":  # compare the photo with the images of that group
            codes = [code for code, group in enumerate(self.groups) if group == decision.group]
            among = np.flatnonzero(np.isin(self.gallery.codes, codes))
            evidence = evidence.joined(evidence_of(self.gallery, features, among), decision.score)
        heard, sure = next(iter(opinion.items()), ("", 0.0))
        return self._answer(
            "ok" if decision.group else "unknown",
            best=self._best(evidence, decision),
            group=decision.group,
            score=round(decision.score, 4),
            distance=round(distance, 4),
            results=self._results(evidence, top),
            seen_as=heard if sure >= MIN_AGREEMENT else None,
            second_opinion=self.second_opinion,
        )

    def thumbnail(self, uri: str) -> bytes | None:
        """Return a gallery image as a small WebP without metadata; None if it is gone, has changed or is not in the gallery."""
        from job.product.thumbnails import as_webp

        key = self.key(uri)
        return as_webp(key) if key else None

    def key(self, uri: str) -> ListedImage | None:
        """Return what is known of a gallery image now; None if it is gone or has changed since the run."""
        from job.product.thumbnails import find_unchanged_since

        return next(iter(find_unchanged_since(self.gallery.created)([uri])), None)

    @property
    def network(self) -> Network:
        """The network of this thread."""
        if not hasattr(self._threads, "network"):
            self._threads.network = self._model.network(self._model.payload)
        network: Network = self._threads.network
        return network

    def _names_of_rows(self, evidence: Evidence, names: list[str]) -> list[str]:
        """Return the element of `names` for the label of each row."""
        return [names[code] for code in self.gallery.codes[evidence.rows]]

    def _best(self, evidence: Evidence, decision: Decision) -> str | None:
        """Return the label if it is certain: most of its group's votes from near images, or the only label of its group."""
        if decision.group is None:
            return None
        labels = [name for name, group in zip(self.gallery.names, self.groups, strict=True) if group == decision.group]
        shares = {
            label: share for label, share in evidence.shares(self._names_of_rows(evidence, self.gallery.names)).items() if label in labels
        }
        label, share = next(iter(shares.items()))
        certain = decision.by == "neighbours" and share >= MIN_SHARE * sum(shares.values())
        return label if certain or len(labels) == 1 else None

    def _results(self, evidence: Evidence, top: int) -> list[Result]:
        labels = self._names_of_rows(evidence, self.gallery.names)
        places: dict[str, list[int]] = {}
        for place in np.argsort(evidence.distances, kind="stable"):
            places.setdefault(labels[place], []).append(int(place))
        return [
            Result(
                label,
                group_of(label),
                round(share, 4),
                self._neighbour(evidence, places[label][0]).distance,
                [self._neighbour(evidence, place) for place in places[label][:NEIGHBOURS]],
            )
            for label, share in list(evidence.shares(labels).items())[:top]
        ]

    def _neighbour(self, evidence: Evidence, place: int) -> Neighbour:
        return Neighbour(self.gallery.uri(int(evidence.rows[place])), round(float(evidence.distances[place]), 4))

    def _answer(self, status: Literal["ok", "unknown", "unreadable"], **values: Any) -> Answer:
        gallery = self.gallery
        return Answer(status, gallery.run_id, gallery.pca_run_id, gallery.model, gallery.calibration["threshold"], **values)


def open_model(gallery: Gallery, weights: Weights, cache: Path) -> Model:
    """
    Load and verify the network that made the features of `gallery`, by LiteRT.

    Raises:
        ModelError: another network, or another version of it.
    """
    full = gallery.model.endswith(FULL)
    converted = cache / "models" / f"{gallery.model.removesuffix(FULL)}.float32.tflite"
    if application(gallery.network) and converted.is_file():  # the file's content is in the fingerprint: no weights are needed
        return Model(gallery.network, "litert", gallery.model, converted.read_bytes(), full)
    wanted = gallery.network if application(gallery.network) else "network"
    file = None if gallery.network in WITHOUT_WEIGHTS else str(weights(wanted))
    params = Params("", "", gallery.run_id, gallery.network, weights=file, cache=str(cache), full_decode=full)
    # Converted outside of `silence_native_stderr`, which would hide the caller's messages.
    if params.weights and not application(gallery.network):
        litert_flatbuffer(Path(params.weights), cache)
    elif gallery.network == UNTRAINED:
        untrained_flatbuffer(cache)
    with silence_native_stderr():
        model = load_model(params)
    if model.fingerprint != gallery.model:
        raise ModelError(
            f"run `{gallery.run_id}` used model `{gallery.model}`, this version uses `{model.fingerprint}`",
            "run `fruitsctl run` again with this version",
        )
    return model


@contextmanager
def silence_native_stderr() -> Iterator[None]:
    """Discard what C++ writes to stderr: LiteRT's first interpreter prints a line that no setting disables."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
