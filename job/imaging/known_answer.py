"""
Compute the known answers with Keras and store them: `python -m job.imaging.known_answer [WEIGHTS]`.

Without WEIGHTS those of the untrained network, which are needed after a change of its recipe; with them also those of the trained one.
The fingerprint changes with an answer, so features of two versions never mix.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from job.contract.params import UNTRAINED
from job.imaging.keras_to_litert import keras_mobilenet_v2, untrained_mobilenet_v2
from job.imaging.networks import KerasNetwork
from job.imaging.proof import known_pictures

if __name__ == "__main__":
    networks = {UNTRAINED: untrained_mobilenet_v2()}
    if len(sys.argv) > 1:
        networks["mobilenet_v2"] = keras_mobilenet_v2(sys.argv[1])
    for name, keras_network in networks.items():
        network = KerasNetwork(keras_network.get_weights())
        answers = np.stack([network(picture) for picture in known_pictures()])
        np.save(Path(__file__).parent / "known_answers" / f"{name}.npy", answers)
