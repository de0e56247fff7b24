"""What black and white are: read from a leading layer, given, or asked for."""

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain.input_range import checked_range

SHAPE = (6, 6, 3)
MEANS, DEVIATIONS = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def network(*leading, shape=SHAPE):
    end = [layers.Conv2D(2, 3, name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return keras.Sequential([keras.Input(shape), *leading, *end])


def normalization(scale=1.0, **options):
    return layers.Normalization(
        mean=MEANS * scale, variance=(DEVIATIONS * scale) ** 2, name="normalization", **options
    )


def normalised(mean, variance):
    values = (np.broadcast_to(value, 3) for value in (mean, variance))
    return layers.Normalization(
        **dict(zip(("mean", "variance"), values, strict=True)), name="normalization"
    )


def adapted(low, high):
    layer = layers.Normalization(name="normalization")
    layer.adapt(np.random.default_rng(0).uniform(low, high, (50, *SHAPE)).astype(np.float32))
    return layer


def rescaling(scale, offset=0.0):
    return layers.Rescaling(scale, offset, name="rescaling")


class OnlyInTraining(layers.Layer):
    """A layer of one's own, of which nothing is known."""

    def call(self, x, training=False):
        return x + 1 if training else x


LEADING = {
    "1/255": (lambda: [rescaling(1 / 255)], (0, 255)),
    "1/127.5 - 1": (lambda: [rescaling(1 / 127.5, -1)], (0, 255)),
    "2x - 1": (lambda: [rescaling(2, -1)], (0, 1)),
    "1/128 - 1": (lambda: [rescaling(1 / 128, -1)], (0, 255)),
    "1/128": (lambda: [rescaling(1 / 128)], (0, 255)),
    "1/256": (lambda: [rescaling(1 / 256)], (0, 255)),
    "1/65535": (lambda: [rescaling(1 / 65535)], (0, 65535)),
    "255x": (lambda: [rescaling(255.0)], (0, 1)),
    "256x": (lambda: [rescaling(256.0)], (0, 1)),
    "10x": (lambda: [rescaling(10.0)], (0, 0.1)),
    "per channel": (lambda: [rescaling((1 / DEVIATIONS).tolist(), (-MEANS / DEVIATIONS).tolist())], (0, 1)),
    "ImageNet in 0-1": (lambda: [normalization()], (0, 1)),
    "ImageNet in 0-255": (lambda: [normalization(255)], (0, 255)),
    "adapted to 0-255": (lambda: [adapted(0, 255)], (0, 255)),
    "adapted to 0-1": (lambda: [adapted(0, 1)], (0, 1)),
    "adapted to -1 to 1": (lambda: [adapted(-1, 0.9)], (-1, 1)),
    "too wide for 0-1": (lambda: [normalised(0.1, 0.2)], (-1, 1)),
    "MNIST": (lambda: [normalised(0.1307, 0.3081**2)], (0, 1)),
    "black and white, rounded": (lambda: [normalised(0.13, 0.3364**2)], (0, 1)),
    "around 0": (lambda: [normalised(0, 0.25)], (-1, 1)),
    "black and white, half of each": (lambda: [normalised(0.5, 0.25)], (0, 1)),
    "flipped first": (lambda: [layers.RandomFlip(), rescaling(1 / 255)], (0, 255)),
    "noise and dropout first": (
        lambda: [layers.GaussianNoise(0.5), layers.Dropout(0.1), layers.Identity(), normalization()],
        (0, 1),
    ),
    "nested": (
        lambda: [keras.Sequential([keras.Input(SHAPE), rescaling(1 / 255)], name="inner")],
        (0, 255),
    ),
    "two rescalings": (lambda: [rescaling(1 / 255), layers.Rescaling(2.0, -1.0, name="second")], (0, 255)),
}  # fmt: skip
UNKNOWN = {
    "none": list,
    "un-adapted": lambda: [layers.Normalization(name="normalization")],
    "by 1": lambda: [rescaling(1.0)],
    "x - 1/2": lambda: [rescaling(1.0, -0.5)],
    "x - 127.5": lambda: [rescaling(1.0, -127.5)],
    "minus ImageNet's means": lambda: [
        layers.Normalization(mean=MEANS, variance=np.ones(3), name="n")
    ],
    "minus ImageNet's means in 0-255": lambda: [
        layers.Normalization(mean=255 * MEANS, variance=np.ones(3), name="n")
    ],
    "adapted to standardised images": lambda: [adapted(-(3**0.5), 3**0.5)],
    "nearly standardised": lambda: [normalised([0.1, 0.2, 0.15], 1.2)],
    # Pixels minus their means, blue first.
    "adapted to centred pixels": lambda: [normalised([3, 2, 1], 3600)],
    "adapted to bright centred pixels": lambda: [normalised([30, 20, 25], 3600)],
    "centred exactly": lambda: [normalised(0, 58**2)],
    "of little contrast": lambda: [normalised([1.5, 2, 3], 100)],
    "x/2 + 1/2": lambda: [rescaling(0.5, 0.5)],
    "negative": lambda: [rescaling(-1 / 255, 1)],
    "zero": lambda: [rescaling(0.0)],
    "inverted": lambda: [normalization(invert=True)],
    "beyond 0-255": lambda: [rescaling(1 / 3000, -1)],
    "channels of other scales": lambda: [rescaling([1.0, 2.0, 3.0])],
    "after a convolution": lambda: [layers.Conv2D(3, 1), rescaling(1 / 255)],
    "after a function": lambda: [layers.Lambda(lambda x: x * 2), rescaling(1 / 255)],
    "after a layer of one's own": lambda: [OnlyInTraining(), rescaling(1 / 255)],
}


@pytest.mark.parametrize("name", LEADING)
def test_range_is_read_from_the_leading_layer(name):
    make, (black, white) = LEADING[name]
    limits = explain.Classifier(network(*make())).input_range
    np.testing.assert_allclose(limits.black, np.full(3, black), atol=1e-6)
    np.testing.assert_allclose(limits.white, np.full(3, white), rtol=1e-6)
    np.testing.assert_allclose(limits.span, np.full(3, white - black), rtol=1e-6)
    assert limits.black.dtype == limits.white.dtype == np.float32
    layer = "inner/rescaling" if name == "nested" else make()[-1].name
    assert limits.source == f"layer '{'rescaling' if name == 'two rescalings' else layer}'"


@pytest.mark.parametrize("name", UNKNOWN)
def test_range_is_unknown_where_no_leading_layer_shows_it(name):
    classifier = explain.Classifier(network(*UNKNOWN[name]()))
    assert classifier.input_range is None
    for method in ("score-cam", "integrated-gradients", "occlusion", "rise", "lime", "shap"):
        title = explain.METHODS[method].title
        with pytest.raises(CifarcamError, match=f"{title} needs to know what black and white are"):
            explain.METHODS[method](classifier)
    assert explain.GradCAM(classifier)(np.ones((1, *SHAPE))).shape == (1, 6, 6)


def test_range_is_unknown_where_two_branches_take_the_images():
    inputs = keras.Input(SHAPE)
    x = layers.Concatenate()([rescaling(1 / 255)(inputs), layers.Conv2D(2, 1)(inputs)])
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(x)))
    assert explain.Classifier(keras.Model(inputs, x)).input_range is None


def test_range_that_is_given_takes_the_place_of_the_layer_s():
    limits = explain.Classifier(network(rescaling(1 / 255)), input_range=(0, 100)).input_range
    np.testing.assert_array_equal(limits.white, np.full(3, 100, np.float32))
    assert limits.source == "given"
    assert str(limits) == "0 to 100"
    explainer = explain.LIME(network(), input_range=(-1, 1), samples=9)
    np.testing.assert_array_equal(explainer.classifier.input_range.black, -np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("leading", "limits", "layer_s"),
    [
        (rescaling(1 / 255), (0, 1), "0 to 255"),
        (rescaling(1 / 255), (-1, 1), "0 to 255"),
        (rescaling(1 / 255), (-MEANS / DEVIATIONS, (1 - MEANS) / DEVIATIONS), "0 to 255"),
        (rescaling(2, -1), (0, 255), "0 to 1"),
        (normalization(), (255, 0), "0 to 1"),
        (rescaling(1 / 65535), (0, 255), "0 to 65535"),
        (rescaling(1 / 255), explain.preprocessing("resnet50").input_range, "0 to 255"),
        (rescaling(1 / 127.5, -1), (-128, 127), "0 to 255"),
        (rescaling(2, -1), (0.5, 1.5), "0 to 1"),
    ],
)
def test_range_that_contradicts_the_leading_layer_is_refused(leading, limits, layer_s):
    message = f"input_range is .* but the model's layer '{leading.name}' takes images of {layer_s};"
    with pytest.raises(CifarcamError, match=message) as refusal:
        explain.Classifier(network(leading), input_range=limits)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("leading", "limits"),
    [
        (rescaling(1 / 255), (0, 5.2)),
        (rescaling(1 / 255), (255, 0)),
        (rescaling(1 / 255), (0, 4095)),
        (rescaling(2, -1), (0, 49)),
        (rescaling(1.0, -0.5), (0, 255)),
        (rescaling(255.0), (0, 1)),
        (rescaling(1 / 255), (16, 235)),
        (rescaling(1 / 255), (-1, 256)),
        (normalization(), (-1, 1)),
        (rescaling(1 / 128), (-128, 127)),
        (rescaling(1 / 127.5), (-127.5, 127.5)),
        (normalised(0.3, 0.1), (-0.5, 0.5)),
    ],
)
def test_range_that_may_fit_the_leading_layer_counts(leading, limits):
    """A part of a range, a negative, or a sensor of more bits."""
    result = explain.Classifier(network(leading), input_range=limits).input_range
    np.testing.assert_allclose(result.span, np.full(3, limits[1] - limits[0]), rtol=1e-6)


def test_range_by_channel_maps_pixels_channel_by_channel():
    black, white = -MEANS / DEVIATIONS, (1 - MEANS) / DEVIATIONS
    limits = explain.Classifier(network(), input_range=(black, white)).input_range
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)
    expected = (pixels / 255.0 - MEANS) / DEVIATIONS
    np.testing.assert_allclose(limits.of_pixels(pixels), expected, atol=1e-6)
    assert limits.of_pixels(pixels).dtype == np.float32
    assert str(limits) == "(-2.1179, -2.03571, -1.80444) to (2.24891, 2.42857, 2.64)"


@pytest.mark.parametrize(
    ("limits", "scale"),
    [
        ((0, 1), 255),
        ((-1, 1), 255),
        ((-MEANS / DEVIATIONS, (1 - MEANS) / DEVIATIONS), 255),
        ((1, 0), -40),
        ((0, 255), 65535),
        (((0, 0, 0), (255, 255, 1)), 255),
    ],
)
def test_images_of_another_range_are_refused(limits, scale):
    """They would have a map, of a network that saturates."""
    explainer = explain.GradCAM(network(), input_range=limits)
    images = np.random.default_rng(0).random((2, *SHAPE))
    for call in (explainer, explainer.signed_maps, explainer.classifier.scores):
        with pytest.raises(CifarcamError, match=r"input range is .* \(given\); scale the images"):
            call(images * scale)


@pytest.mark.parametrize(("black", "white"), [(0, 1), (-1, 1), (-1, 0)])
def test_images_of_0_to_1_are_refused_where_white_is_255(black, white):
    """They would have the map of a nearly black picture."""
    explainer = explain.GradCAM(network(rescaling(1 / 255)))
    images = np.random.default_rng(0).uniform(black, white, (2, *SHAPE))
    with pytest.raises(CifarcamError, match=r"input range is 0 to 255 \(layer .*\); scale"):
        explainer(images)
    for dark in (np.zeros((2, *SHAPE)), np.round(images), images * 20):
        assert explainer(dark).shape == (2, 6, 6)


def test_images_within_the_range_and_noise_around_it_are_explained():
    """Altered images, as metrics and studies make them, may leave the range by several spans."""
    rng = np.random.default_rng(0)
    unknown = explain.Classifier(network())
    assert np.isfinite(unknown.scores(np.full((1, *SHAPE), 1e6))).all()
    for limits in ((0, 1), (-1, 1), (1, 0), (0, 255)):
        classifier = explain.Classifier(unknown.model, input_range=limits)
        pixels = classifier.input_range.of_pixels(rng.integers(0, 256, (2, *SHAPE)))
        noise = rng.normal(size=pixels.shape) * classifier.input_range.span
        for images in (pixels, pixels + 3 * noise, 0 * pixels, pixels > 0):
            np.testing.assert_allclose(classifier.scores(images), unknown.scores(images))


def test_white_may_be_below_black():
    limits = checked_range((1, 0), 1)
    np.testing.assert_array_equal(limits.of_pixels(np.array([[[[0.0], [255.0]]]])), [[[[1], [0]]]])


@pytest.mark.parametrize(
    "pair",
    [
        (0,),
        (0, 1, 2),
        0,
        "ab",
        (0, "white"),
        (1, 1),
        (0, float("nan")),
        (0, float("inf")),
        ((0, 0), (1, 1)),
        ((0, 0, 0), (1, 0, 1)),
        (None, 1),
    ],
)
def test_other_pairs_are_refused(pair):
    with pytest.raises(CifarcamError, match="give black and white, such as") as refusal:
        explain.Classifier(network(), input_range=pair)
    assert "3 channels" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["score-cam", "integrated-gradients", "occlusion", "rise", "lime"])
def test_black_is_the_model_s_own(name):
    """A network of 0-255, and its twin of -1 to 1, whose black is -1: equal maps."""
    keras.utils.set_random_seed(3)
    options = {"samples": 12} if name in ("rise", "lime") else {}
    pixels = explain.Classifier(network(rescaling(1 / 127.5, -1)))
    twin = explain.Classifier(network(), input_range=(-1, 1))
    twin.model.set_weights(pixels.model.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.uint8)
    expected = explain.METHODS[name](pixels, **options).signed_maps(images, 1)
    maps = explain.METHODS[name](twin, **options).signed_maps(images / 127.5 - 1, 1)
    assert expected.any()
    np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())
