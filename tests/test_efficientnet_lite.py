"""EfficientNet-Lite0: its parameters counted by hand, one block computed by hand."""

import keras
import numpy as np
import pytest

from cifarcam.explain import Classifier
from cifarcam.models import efficientnet_lite
from cifarcam.models.efficientnet_lite import inverted_bottleneck


def normalised(x, weights):
    gamma, beta, mean, variance = weights
    return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta


def filtered(x, kernel, stride):
    """A depthwise convolution, padded as TensorFlow does it, value by value."""
    size = len(kernel)
    height, width, channels = x.shape
    out = -(-height // stride), -(-width // stride)
    before = [max((o - 1) * stride + size - n, 0) // 2 for o, n in zip(out, x.shape, strict=False)]
    result = np.zeros((*out, channels))
    for row, column in np.ndindex(*out):
        for i, j in np.ndindex(size, size):
            y, z = row * stride + i - before[0], column * stride + j - before[1]
            if 0 <= y < height and 0 <= z < width:
                result[row, column] += x[y, z] * kernel[i, j]
    return result


@pytest.mark.parametrize(
    ("channels", "size", "stride", "expansion", "adds"),
    [(2, 3, 1, 3, True), (4, 5, 2, 3, False), (2, 3, 2, 6, False), (3, 3, 1, 1, False)],
)
def test_block_equals_the_block_written_out(channels, size, stride, expansion, adds):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(1, 6, 5, 2)).astype(np.float32)
    inputs = keras.Input((6, 5, 2))
    block = inverted_bottleneck(inputs, channels, size, stride, expansion, "block1")
    model = keras.Model(inputs, block)
    # Large enough that ReLU6 cuts at both ends; variances are positive.
    model.set_weights(
        [np.abs(generator.normal(size=w.shape)) * 4 + 0.1 if "variance" in w.name
         else generator.normal(size=w.shape) * 2 for w in model.weights]
    )  # fmt: skip
    layer = {one.name: one.get_weights() for one in model.layers}
    x = images[0].astype(np.float64)
    cut = []
    if expansion > 1:
        x = normalised(x @ layer["block1_expand"][0][0, 0], layer["block1_expand_bn"])
        cut.append(x)
        x = np.clip(x, 0, 6)
    assert ("block1_expand" in layer) is (expansion > 1)
    x = filtered(x, layer["block1_depthwise"][0][..., 0], stride)
    x = normalised(x, layer["block1_depthwise_bn"])
    cut.append(x)
    x = np.clip(x, 0, 6) @ layer["block1_project"][0][0, 0]
    x = normalised(x, layer["block1_project_bn"])
    assert any((one < 0).any() and (one > 6).any() for one in cut)
    expected = x + images[0] if adds else x
    result = model(images)[0].numpy()
    np.testing.assert_allclose(result, expected, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def model():
    return efficientnet_lite.build_imagenet()


@pytest.mark.slow
def test_network_has_the_parameters_counted_by_hand(model):
    # By hand from table 1: a stem of 27 * 32, then for each block expansion, filter, projection,
    # the head, two vectors per normalisation, and the dense layer.
    convolutions, norms = 27 * 32, 32
    rows = [(1, 3, 1, 32, 16), (2, 3, 6, 16, 24), (2, 5, 6, 24, 40), (3, 3, 6, 40, 80)]
    rows += [(3, 5, 6, 80, 112), (4, 5, 6, 112, 192), (1, 3, 6, 192, 320)]
    for blocks, size, expansion, narrow, wide in rows:
        for _ in range(blocks):
            between = expansion * narrow
            convolutions += (expansion > 1) * narrow * between + between * (size**2 + wide)
            norms += (expansion > 1) * between + between + wide
            narrow = wide
    convolutions, norms = convolutions + 320 * 1280, norms + 1280
    count = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert count == convolutions + 2 * norms + 1280 * 1000 + 1000 == 4_652_008
    assert model.get_layer("head_relu").output.shape == (None, 7, 7, 1280)
    assert model.layers[-2].name == "logits"


@pytest.mark.slow
def test_first_convolution_gets_pixels_as_in_training(model):
    before = keras.Model(model.input, model.get_layer("stem").input)
    pixels = np.zeros((1, 224, 224, 3), np.float32)
    pixels[0, 0, :3] = [[0, 127, 255], [255, 0, 127], [127, 255, 0]]
    expected = (pixels.astype(np.float64) - 127) / 128
    np.testing.assert_allclose(before(pixels), expected, atol=1e-6)


@pytest.mark.slow
def test_explainer_knows_black_and_white_of_the_network(model):
    classifier = Classifier(model)
    assert classifier.input_range.black.tolist() == [0, 0, 0]
    assert classifier.input_range.white.tolist() == [255, 255, 255]
    assert classifier.input_range.source == "layer 'rescaling'"
