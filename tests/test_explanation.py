"""Pictures of users as models take them, and explained: ranges, preprocessing, sizes, contrast."""

import keras
import numpy as np
import pytest

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain.explanation import model_images

RNG = np.random.default_rng(0)
CAFFE = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red: Keras's own numbers


def pictures(count, height=16, width=16):
    return list(RNG.integers(0, 256, (count, height, width, 3)).astype(np.uint8))


def network(*lead, size=(16, 16, 3), seed=0):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(size),
            *lead,
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def explained(explainer, images, **options):
    names = [f"{number}.png" for number in range(len(images))]
    return explain.explain_pictures(explainer, images, names, class_names="abc", **options)


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("resnet50", -CAFFE, 255 - CAFFE),
        ("vgg16", -CAFFE, 255 - CAFFE),
        ("mobilenet_v2", [-1] * 3, [1] * 3),
        ("xception", [-1] * 3, [1] * 3),
        ("densenet", [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
         [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225]),
        ("efficientnet", [0] * 3, [255] * 3),
        ("convnext", [0] * 3, [255] * 3),
    ],
)  # fmt: skip
def test_preprocessing_of_a_family_has_the_range_of_its_pixels(name, black, white):
    function, (darkest, brightest) = explain.preprocessing(name)
    np.testing.assert_allclose(darkest, black, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(brightest, white, rtol=1e-5)
    pixels = np.stack(pictures(2)).astype(np.float32)
    before = pixels.copy()
    images = function(pixels)
    np.testing.assert_array_equal(pixels, before)  # Keras's functions work in place
    assert images.dtype == np.float32
    expected = getattr(keras.applications, name).preprocess_input(before.copy())
    np.testing.assert_array_equal(images, expected)


def test_preprocessing_ignores_a_user_s_order_of_axes():
    pixels = np.stack(pictures(2)).astype(np.float32)
    expected = explain.preprocessing("resnet50").function(pixels)
    keras.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(explain.preprocessing("resnet50").function(pixels), expected)
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", ["", "ResNet50", "imagenet_utils", "magic", "\ud800"])
def test_unknown_family_is_refused(name):
    with pytest.raises(CifarcamError, match="give one of convnext, densenet"):
        explain.preprocessing(name)


def test_model_behind_preprocess_input_gets_its_own_pixels():
    """A model that names the brightest channel: blue is the first of ResNet50's channels."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(3, 1, use_bias=False, name="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, use_bias=False, activation="softmax"),
        ]
    )
    model.set_weights([np.eye(3)[None, None], np.eye(3) / 100])
    preprocess, input_range = explain.preprocessing("resnet50")
    explainer = explain.GradCAM(model, "same", input_range=input_range)
    blue, red = (np.zeros((4, 4, 3), np.uint8) for _ in range(2))
    blue[..., 2], red[..., 0] = 255, 255
    first, second = explained(explainer, [blue, red], preprocess=preprocess)
    for item, target, values in (
        (first, "a", [255, 0, 0] - CAFFE),
        (second, "c", [0, 0, 255] - CAFFE),
    ):
        exponentials = np.exp(values / 100)
        assert item.target == target
        assert item.top[0][1] == pytest.approx(exponentials.max() / exponentials.sum(), rel=1e-5)
        # Grad-CAM in closed form: the gradient 1/100 over 16 positions times the channel.
        np.testing.assert_allclose(item.heatmap, values.max() / 100 / 16, rtol=1e-5)
    wrong = explained(explain.GradCAM(model, "same", input_range=(0, 255)), [blue])[0]
    assert wrong.target == "c"  # what was shown before there was a preprocessing


@pytest.mark.parametrize("method", ["grad-cam", "saliency", "score-cam"])
def test_twin_of_a_model_behind_preprocess_input_has_the_same_maps(method):
    twin = network()
    model = network()
    kernel, bias = twin.get_layer("conv").get_weights()
    kernel = kernel / 100
    twin.get_layer("conv").set_weights([kernel, bias])
    # conv(BGR - mean) as a convolution of RGB: the kernel's channels reversed, the mean in the bias.
    model.set_weights(twin.get_weights())
    shifted = bias - np.einsum("hwco,c->o", kernel, CAFFE)
    twin.get_layer("conv").set_weights([kernel[:, :, ::-1], shifted])
    preprocess, input_range = explain.preprocessing("resnet50")
    images = pictures(3)
    maps = explain.METHODS[method](model, input_range=input_range)
    twins = explain.METHODS[method](twin, input_range=(0, 255))
    for one, other in zip(
        explained(maps, images, preprocess=preprocess), explained(twins, images), strict=True
    ):
        assert one.target == other.target
        np.testing.assert_allclose([p for _, p in one.top], [p for _, p in other.top], atol=1e-5)
        scale = other.heatmap.max()
        assert scale > 0
        np.testing.assert_allclose(one.heatmap / scale, other.heatmap / scale, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "factor", "offset"),
    [((0, 1), 1 / 255, 0), ((-1, 1), 1 / 127.5, -1), (((0, 0, -1), (1, 2, 1)), None, None)],
)
def test_pixels_are_scaled_to_the_input_range(given, factor, offset):
    classifier = explain.Classifier(network(), input_range=given)
    pixels = np.stack(pictures(2))
    if factor is None:
        factor, offset = np.array([1, 2, 2]) / 255, np.array([0, 0, -1])
    expected = pixels * factor + offset
    np.testing.assert_allclose(model_images(classifier, pixels), expected, atol=1e-6)


def test_range_of_a_leading_layer_is_taken():
    pixels = np.stack(pictures(2))
    for lead, factor in (
        (keras.layers.Rescaling(1 / 255), 1),
        (keras.layers.Rescaling(2, -1), 255),
    ):
        classifier = explain.Classifier(network(lead))
        np.testing.assert_allclose(model_images(classifier, pixels), pixels / factor, rtol=1e-6)


def test_model_of_unknown_range_is_refused_unless_preprocess_is_given():
    explainer = explain.GradCAM(network())
    with pytest.raises(CifarcamError, match=r"input_range=\(0, 1\).*preprocess="):
        explained(explainer, pictures(1))
    item = explained(explainer, pictures(1), preprocess=lambda pixels: pixels / 10)[0]
    images = item.picture[None] / np.float32(10)
    np.testing.assert_allclose(
        item.top[0][1], explainer.classifier.probabilities(images).max(), rtol=1e-6
    )


def test_grey_model_gets_luma():
    classifier = explain.Classifier(network(size=(16, 16, 1)), input_range=(0, 255))
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    pixels[..., 1] = 200
    np.testing.assert_allclose(model_images(classifier, pixels), 0.587 * 200, rtol=1e-6)
    with pytest.raises(CifarcamError, match="takes 1 channel, but"):
        model_images(classifier, pixels, explain.preprocessing("resnet50").function)


def test_pictures_of_different_sizes_are_explained_as_each_alone():
    explainer = explain.LayerCAM(network(keras.layers.Rescaling(1 / 255), size=(None, None, 3)))
    mixed = [*pictures(2, 16, 24), *pictures(1, 30, 12), *pictures(2, 16, 24)]
    mixed[1], mixed[2] = mixed[2], mixed[1]
    together = explained(explainer, mixed)
    for number, item in enumerate(together):
        (alone,) = explained(explainer, [mixed[number]])
        assert item.name == f"{number}.png"
        assert item.target == alone.target
        np.testing.assert_array_equal(item.picture, mixed[number])
        np.testing.assert_allclose(item.heatmap, alone.heatmap, rtol=1e-5, atol=1e-9)


def test_large_pictures_are_explained_fewer_at_a_time(monkeypatch):
    explainer = explain.GradCAM(network(keras.layers.Rescaling(1 / 255), size=(None, None, 3)))
    sizes = []

    def record(images, targets, *, against, batch_size):
        sizes.append(batch_size)
        return np.zeros(images.shape[:3], np.float32)

    monkeypatch.setattr(explain.GradCAM, "__call__", lambda self, *a, **k: record(*a, **k))
    for side, expected in ((16, 32), (256, 32), (512, 8), (1500, 1)):
        explained(explainer, [np.zeros((side, side, 3), np.uint8)])
        assert sizes.pop() == expected


def test_contrast_explains_the_difference_of_two_scores():
    explainer = explain.GradCAM(network(keras.layers.Rescaling(1 / 255)))
    images = pictures(3)
    items = explained(explainer, images, target=0, against=2)
    expected = explainer(np.stack(images), 0, against=2)
    plain = explained(explainer, images, target=0)
    for item, heatmap, without in zip(items, expected, plain, strict=True):
        np.testing.assert_array_equal(item.heatmap, heatmap)
        assert (item.target, item.against) == ("a", "c")
        assert without.against is None
    assert any(
        (item.heatmap != other.heatmap).any() for item, other in zip(items, plain, strict=True)
    )


def test_contrast_with_the_predicted_class_names_the_picture():
    explainer = explain.GradCAM(network(keras.layers.Rescaling(1 / 255)))
    images = pictures(2)
    predicted = explainer.classifier.scores(np.stack(images)).argmax(axis=1)
    with pytest.raises(CifarcamError, match=r"\d\.png: the model predicts . itself"):
        explained(explainer, images, against=int(predicted[1]))
    with pytest.raises(CifarcamError, match="explained against itself"):
        explained(explainer, images, target=1, against=1)


@pytest.mark.parametrize("wrong", [np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.float32)])
def test_other_arrays_than_pictures_are_refused(wrong):
    explainer = explain.GradCAM(network(keras.layers.Rescaling(1 / 255)))
    with pytest.raises(CifarcamError, match="give uint8 pixels"):
        explained(explainer, [wrong])


def test_score_of_one_s_own_is_refused_before_anything_is_computed(monkeypatch):
    model = network(keras.layers.Rescaling(1 / 255))
    classifier = explain.Classifier(model, score=lambda outputs, _: outputs[:, 0])
    explainer = explain.GradCAM(classifier)
    monkeypatch.setattr(classifier, "scores", None)
    monkeypatch.setattr(explain.GradCAM, "__call__", None)
    for names in ("abc", ""):
        with pytest.raises(CifarcamError, match="a score of your own"):
            explain.explain_pictures(explainer, pictures(1), ["a.png"], class_names=names)
