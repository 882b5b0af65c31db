"""
At image build: Keras's weights in, `<cache>/weights/` and the converted model in `<cache>/models/` out, checked against the known answers;
beside them Vega, for the reports.

The weights are the file beside this script if there is one, else they are downloaded.
"""

import shutil
import sys
from pathlib import Path

from cli.photos.assets import KERAS_WEIGHTS_URL, weights
from job.contract.params import UNTRAINED
from job.imaging.networks import LiteRtNetwork, fingerprint, litert_flatbuffer, untrained_flatbuffer
from job.imaging.proof import verify_network
from job.product.report.vega import bundle


def main(cache: Path) -> None:
    given = sorted(Path(__file__).parent.glob("*no_top*.h5"))
    if given:
        (cache / "weights").mkdir(parents=True)
        shutil.copy(given[0], cache / "weights" / KERAS_WEIGHTS_URL.rsplit("/", 1)[-1])  # where the run looks for them
    file = weights(None, cache, lambda *_: None)
    verify_network(LiteRtNetwork(litert_flatbuffer(file, cache)), f"weights `{file.name}`")
    verify_network(LiteRtNetwork(untrained_flatbuffer(cache)), f"model `{UNTRAINED}`", UNTRAINED)  # a run cannot write to the cache
    bundle(cache)
    print(f"baked {fingerprint('mobilenet_v2')} from {file.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
