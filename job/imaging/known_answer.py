"""
Compute the known answer of the untrained network with Keras and store it: `python -m job.imaging.known_answer`.

Needed after a change of its recipe only. The fingerprint changes with it, so features of the two recipes never mix.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from job.contract.params import UNTRAINED
from job.imaging.keras_to_litert import untrained_mobilenet_v2
from job.imaging.networks import KerasNetwork, known_image

if __name__ == "__main__":
    answer = KerasNetwork(untrained_mobilenet_v2().get_weights())(known_image())
    np.save(Path(__file__).parent / "known_answers" / f"{UNTRAINED}.npy", answer)
