"""The network with Keras's ImageNet weights: what it computes, and what is refused."""

import h5py
import numpy as np
import pytest

from job.contract.errors import ModelError
from job.contract.params import UNTRAINED, Params
from job.imaging.networks import KerasNetwork, LiteRtNetwork, keras_weights, litert_flatbuffer, load_model
from job.imaging.proof import known_pictures, verify_network


def params(**more):
    return Params("file:///in", "file:///out", "r1", **more)


def test_the_converted_network_gives_the_known_answer(weights, cache):
    verify_network(LiteRtNetwork(litert_flatbuffer(weights, cache)), "weights")


def test_a_model_is_converted_once(weights, cache):
    litert_flatbuffer(weights, cache)
    before = {file: file.stat().st_mtime_ns for file in (cache / "models").iterdir()}

    litert_flatbuffer(weights, cache)

    assert {file: file.stat().st_mtime_ns for file in (cache / "models").iterdir()} == before


def test_broadcast_weights_make_the_same_network_in_a_worker(weights):
    weights = keras_weights(weights)

    assert len(weights) == 260
    verify_network(KerasNetwork(weights), "weights")


def test_random_weights_are_refused(weights):
    random = np.random.default_rng(1)
    weights = [random.normal(scale=0.05, size=array.shape).astype(np.float32) for array in keras_weights(weights)]

    with pytest.raises(ModelError, match="are not MobileNetV2's ImageNet weights"):
        verify_network(KerasNetwork(weights), "weights")


def test_another_checkpoint_of_the_same_shape_is_refused(weights, tmp_path):
    other = tmp_path / "other.h5"
    other.write_bytes(weights.read_bytes())
    with h5py.File(other, "r+") as file:
        kernel = file["Conv1/Conv1/kernel:0"] if "Conv1/Conv1/kernel:0" in file else _first_kernel(file)
        kernel[...] = kernel[...] * 1.01

    with pytest.raises(ModelError, match="known answers differ"):
        load_model(params(weights=str(other), cache=str(tmp_path)))


def _first_kernel(file):
    found = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 4 else None)
    return found[0]


def test_a_trained_network_is_not_taken_for_the_untrained_one(weights, cache):
    with pytest.raises(ModelError, match="does not give its known answers"):
        verify_network(LiteRtNetwork(litert_flatbuffer(weights, cache)), "model", UNTRAINED)


@pytest.fixture(scope="module")
def keras_network(weights):
    """The network by Keras, with one picture after the other from one batch: `damaged(name)` changes one of its arrays."""
    from job.imaging.keras_to_litert import keras_mobilenet_v2

    return keras_mobilenet_v2(str(weights))


def verify_damaged(network, path, damage):
    """Verify `network` while the array `path` is damaged in memory."""
    (variable,) = (weight for weight in network.weights if weight.path.endswith(path))
    before = variable.numpy()
    damaged = before.copy()
    damage(damaged)
    variable.assign(damaged)
    try:
        answers = iter(np.asarray(network(np.stack(known_pictures()).astype(np.float32) / 127.5 - 1, training=False)))
        verify_network(lambda _: next(answers), "weights")
    finally:
        variable.assign(before)


def times(factor, channel):
    def damage(array):
        array[(..., *channel)] *= factor

    return damage


def moved(channel):
    def damage(array):
        array[channel] += 0.1

    return damage


def swapped(one, other):
    def damage(array):
        array[..., [one, other]] = array[..., [other, one]]

    return damage


def test_one_damaged_channel_of_the_last_layer_is_refused(keras_network):
    verify_damaged(keras_network, "Conv_1/kernel", lambda _: None)
    channels = np.random.default_rng(3).choice(1280, 20, replace=False).tolist()
    for channel, other in zip(channels, reversed(channels), strict=True):
        for path, damage in (
            ("Conv_1/kernel", times((0, 0.5, 2, -1)[channel % 4], (channel,))),
            ("Conv_1/kernel", swapped(channel, other)),
            ("Conv_1_bn/beta", moved(channel)),
        ):
            with pytest.raises(ModelError, match="known answers differ"):
                verify_damaged(keras_network, path, damage)


def test_the_pictures_excite_the_channels_within_the_blocks(keras_network):
    """A channel that is 0 on all of them could be damaged unseen. Some are 0 on photos too."""
    import keras

    layers = [layer for layer in keras_network.layers if layer.name.startswith("block_") and layer.name.endswith("_relu")]
    within = keras.Model(keras_network.input, [keras.layers.GlobalMaxPooling2D()(layer.output) for layer in layers])
    largest = [np.asarray(values).max(axis=0) for values in within(np.stack(known_pictures()).astype(np.float32) / 127.5 - 1)]
    silent = sum(int((values < 0.05).sum()) for values in largest)

    assert sum(len(values) for values in largest) == 14208
    assert silent < 100  # 59; on 2,944 pictures it is 11


@pytest.mark.parametrize("block", [*range(1, 11), *range(13, 17)])
def test_one_damaged_channel_of_an_earlier_layer_is_refused(keras_network, block):
    """Channels 11 and 12 of blocks 11 and 12 are left out: damage to one of their layers is below the tolerance on every picture."""
    for layer, factor in (("expand", 0.5), ("depthwise", -1), ("project", 0)):
        (kernel,) = (weight for weight in keras_network.weights if weight.path.endswith(f"block_{block}_{layer}/kernel"))
        depthwise = layer == "depthwise"  # (3, 3, channels, 1); else (1, 1, from, channels)
        channel = block % kernel.shape[2 if depthwise else 3]
        damage = times(factor, (channel, 0) if depthwise else (channel,))
        with pytest.raises(ModelError, match="known answers differ"):
            verify_damaged(keras_network, kernel.path, damage)
