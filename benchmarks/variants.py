"""Every rule that `identify` might have had: a photo's features in, a group or None for unknown out. The figures: docs/decisions/0013."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from job.imaging.networks import Features
from job.product.gallery import Gallery, calibration_of
from job.product.identify.decision import MIN_AGREEMENT, MIN_ALONE, MIN_SHARE, decide
from job.product.identify.evidence import QUERIES, evidence_of
from job.product.identify.identifier import Identifier
from job.product.neighbours import unit_rows

NEVER = 2.0  # no probability reaches it
WHOLE = (("whole",),)
BOX = (("whole",), ("box",))


@dataclass(frozen=True)
class Variant:
    """
    `looks`, `agree`, `alone`, `contradict`, `certain` as in job.product; `always`: never unknown; `whitening`: power of the components'
    standard deviations that scores are divided by, 0..1.
    """

    looks: tuple[tuple[str, ...], ...] = QUERIES
    agree: float = NEVER
    alone: float = NEVER
    contradict: float = NEVER
    certain: float = 0.0
    always: bool = False
    whitening: float = 0.0

    def group(self, identifier: Identifier, features: dict[str, Features]) -> str | None:
        gallery = whitened(identifier.gallery, self.whitening)
        evidence = evidence_of(gallery, features, looks=self.looks)
        votes = evidence.shares([identifier.groups[code] for code in gallery.codes[evidence.rows]])
        limits, opinion = gallery.calibration, identifier.opinion(features)
        threshold = NEVER if self.always else limits["threshold"]
        rules = {"agree": self.agree, "alone": self.alone, "contradict": self.contradict, "certain": self.certain}
        return decide(votes, evidence.distance, threshold, limits["typical"], opinion, identifier.groups, **rules).group


VARIANTS = {
    "nearest neighbour of the whole photo, never unknown": Variant(WHOLE, always=True),
    "… unknown beyond the threshold": Variant(WHOLE),
    "… whitened by half, the whole photo": Variant(WHOLE, whitening=0.5),
    "… whitened, the whole photo": Variant(WHOLE, whitening=1.0),
    "or the square around its fruit": Variant(BOX),
    "or the mean of that and its fruit on white": Variant(),
    "… whitened by half": Variant(whitening=0.5),
    "… and two thirds of the votes": Variant(certain=MIN_SHARE),
    "… and agreement of the classifier": Variant(agree=MIN_AGREEMENT, certain=MIN_SHARE),
    "… and the classifier alone": Variant(agree=MIN_AGREEMENT, alone=MIN_ALONE, certain=MIN_SHARE),
    "… from 70 %": Variant(agree=MIN_AGREEMENT, alone=0.7, certain=MIN_SHARE),
    "… and the classifier's veto: what `identify` does": Variant(QUERIES, MIN_AGREEMENT, MIN_ALONE, MIN_ALONE, MIN_SHARE),
    "the same without two thirds of the votes": Variant(QUERIES, MIN_AGREEMENT, MIN_ALONE, MIN_ALONE),
    "the same on the whole photo alone": Variant(WHOLE, MIN_AGREEMENT, MIN_ALONE, MIN_ALONE, MIN_SHARE),
}

_whitened: dict[tuple[str, float], Gallery] = {}


def whitened(gallery: Gallery, power: float) -> Gallery:
    """Each component divided by its standard deviation to the power of `power`, calibrated again."""
    if not power:
        return gallery
    key = (gallery.run_id, power)
    if key not in _whitened:
        deviation = gallery.units.std(axis=0) ** power
        units = unit_rows((gallery.units / deviation).astype(np.float32))
        calibration = calibration_of(None, units, gallery.codes)
        _whitened[key] = replace(gallery, units=units, loadings=gallery.loadings / deviation, calibration=calibration)
    return _whitened[key]
