"""
A photo's bytes in, which fruit it shows out: nearest neighbours among the images of a run, and a second opinion.

`Identifier` is opened once and asked often, from several threads too. It stores nothing. No Spark, no Java; TensorFlow only
in a separate process, once, where the network is not converted yet.
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
from job.contract.params import UNTRAINED, Params
from job.imaging.networks import Features, Model, Network, litert_flatbuffer, load_model, untrained_flatbuffer
from job.product.fruits import group_of
from job.product.gallery import Gallery, open_gallery
from job.product.identify.answer import Answer, Neighbour, Result
from job.product.identify.crops import open_photo, views
from job.product.identify.evidence import Evidence, evidence_of
from job.product.identify.second_opinion import Head, load_head
from job.product.identify.verdict import AGREE, CERTAIN, Verdict, decide

if TYPE_CHECKING:
    from job.inputs.fetch import Key

Weights = Callable[[Literal["network", "classifier"]], Path]  # gives the Keras HDF5 file, wherever it comes from
HEARD = ("whole", "box")  # views that the classifier is asked about: fruit on white paper is new to it
NEIGHBOURS = 4  # shown per result


class Identifier:
    """What answers for one run of `output` (URI): the newest, or `run_id`."""

    def __init__(self, output: str, run_id: str | None = None, *, weights: Weights, cache: Path, second_opinion: bool = True) -> None:
        """
        `weights` is asked only where the run's model has any; `cache` keeps what is converted.

        Raises:
            InputError: there is no such run. OutputError, CredentialsError: it cannot be read.
            ModelError: the weights are not those that the run was made with.
        """
        self._show(open_gallery(output, run_id))
        self._model = open_model(self.gallery, weights, cache)
        heard = second_opinion and self._model.name == "mobilenet_v2"  # the classifier belongs to the trained network
        self._head: Head | None = load_head(weights("classifier"), cache) if heard else None
        self._threads = threading.local()  # an interpreter serves one thread at a time, and costs 10 ms

    def _show(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.groups = [group_of(name) for name in gallery.names]  # of each label

    def reopened(self) -> Identifier:
        """
        The same with the matrix of its run as it is now. This one stays as it is: somebody may be using it.

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
        """Never raises for a photo: what cannot be decoded is `unreadable`. At most `top` results."""
        try:
            photo = open_photo(content)
        except DecodeError as error:
            return self._answer("unreadable", reason=str(error))
        return self.judge(self.features(photo), top)

    def features(self, photo: Image.Image) -> dict[str, Features]:
        """Of each view of `crops.views`: (d,) float32."""
        network = self._network()
        return {name: network(pixels) for name, pixels in views(photo, network.size_px).items()}

    def opinion(self, features: dict[str, Features]) -> dict[str, float]:
        """The classifier's probability by group, the largest first; {} without a classifier."""
        return self._head.groups(np.stack([features[view] for view in HEARD if view in features])) if self._head else {}

    def judge(self, features: dict[str, Features], top: int = 5) -> Answer:
        """The answer to a photo of which only the features are left."""
        evidence, opinion, limits = evidence_of(self.gallery, features), self.opinion(features), self.gallery.calibration
        votes = evidence.shares(self._of(evidence, self.groups))
        distance = evidence.distance
        verdict = decide(votes, distance, limits["threshold"], limits["typical"], opinion, self.groups)
        if verdict.by == "classifier":  # then its group's own images are what the photo is compared with
            codes = [code for code, group in enumerate(self.groups) if group == verdict.group]
            among = np.flatnonzero(np.isin(self.gallery.codes, codes))
            evidence = evidence.joined(evidence_of(self.gallery, features, among), verdict.score)
        heard, sure = next(iter(opinion.items()), ("", 0.0))
        return self._answer(
            "ok" if verdict.group else "unknown",
            best=self._best(evidence, verdict),
            group=verdict.group,
            score=round(verdict.score, 4),
            distance=round(distance, 4),
            results=self._results(evidence, top),
            seen_as=heard if sure >= AGREE else None,
            second_opinion=self.second_opinion,
        )

    def thumbnail(self, uri: str) -> bytes | None:
        """An image of the gallery, small, as WebP without metadata; None where it is gone, changed, or not of the gallery."""
        from job.product.thumbnails import as_webp

        key = self.key(uri)
        return as_webp(key) if key else None

    def key(self, uri: str) -> Key | None:
        """What is known of an image of the gallery now; None where it is gone, or has changed since the run."""
        from job.product.thumbnails import keys_unchanged_since

        return next(iter(keys_unchanged_since(self.gallery.created)([uri])), None)

    def _network(self) -> Network:
        if not hasattr(self._threads, "network"):
            self._threads.network = self._model.network(self._model.payload)
        network: Network = self._threads.network
        return network

    def _of(self, evidence: Evidence, names: list[str]) -> list[str]:
        """For each of its rows what `names` has for the row's label."""
        return [names[code] for code in self.gallery.codes[evidence.rows]]

    def _best(self, evidence: Evidence, verdict: Verdict) -> str | None:
        """The label, if it is certain: most of its group's votes, from near; or the only one that its group has."""
        if verdict.group is None:
            return None
        labels = [name for name, group in zip(self.gallery.names, self.groups, strict=True) if group == verdict.group]
        shares = {label: share for label, share in evidence.shares(self._of(evidence, self.gallery.names)).items() if label in labels}
        label, share = next(iter(shares.items()))
        certain = verdict.by == "neighbours" and share >= CERTAIN * sum(shares.values())
        return label if certain or len(labels) == 1 else None

    def _results(self, evidence: Evidence, top: int) -> list[Result]:
        labels = self._of(evidence, self.gallery.names)
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
    The network that made `gallery`'s features, by LiteRT, proven.

    Raises:
        ModelError: another network, or another version of it.
    """
    with_weights = gallery.network == "mobilenet_v2"
    params = Params("", "", gallery.run_id, gallery.network, weights=str(weights("network")) if with_weights else None, cache=str(cache))
    if params.weights:  # converted before `hushed`, which would swallow what the caller says meanwhile
        litert_flatbuffer(Path(params.weights), cache)
    elif gallery.network == UNTRAINED:
        untrained_flatbuffer(cache)
    with hushed():
        model = load_model(params)
    if model.fingerprint != gallery.model:
        raise ModelError(
            f"run `{gallery.run_id}` used model `{gallery.model}`, this version uses `{model.fingerprint}`",
            "run `fruitsctl run` again with this version",
        )
    return model


@contextmanager
def hushed() -> Iterator[None]:
    """What C++ writes to stderr goes nowhere: LiteRT's first interpreter announces itself on a line that no setting switches off."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
