"""Grad-CAM against closed forms, hand-computed weights, finite differences and invariances."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from cifarcam import explain
from cifarcam.errors import CifarcamError

CLASSES = 5


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(7)


@pytest.fixture(scope="module")
def explainer():
    return explain.GradCAM(cnn())


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (11, 12, 16, 3)).astype(np.uint8)


def body():
    return [
        layers.Rescaling(1 / 255, name="rescaling"),
        layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv2"),
    ]


def cnn():
    """A network with a hidden dense layer after its convolutions, as the report's."""
    return keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            *body(),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="relu", name="dense"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(CLASSES, bias_initializer="normal", name="logits"),
            layers.Softmax(name="softmax"),
        ]
    )


def activations_of(model, name, images):
    return keras.Model(model.inputs[0], model.get_layer(name).output)(images).numpy()


def test_grad_cam_has_a_closed_form_before_global_average_pooling(images):
    model = keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            *body(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, name="logits"),
            layers.Softmax(),
        ]
    )
    explainer = explain.GradCAM(model)
    assert explainer.layer == "conv2"
    targets = np.arange(len(images)) % CLASSES
    features = activations_of(model, "conv2", images).astype(np.float64)
    kernel = model.get_layer("logits").kernel.numpy().astype(np.float64)
    # d logit_c / d A_ij^k = w_k^c / Z at every position, hence alpha_k^c = w_k^c / Z.
    positions = features.shape[1] * features.shape[2]
    expected = np.einsum("nijk,kn->nij", features, kernel[:, targets]) / positions
    np.testing.assert_allclose(
        explainer.signed_maps(images, targets), expected, rtol=1e-4, atol=1e-7
    )


def test_grad_cam_has_the_weights_computed_by_hand():
    """Filter 0 copies the pixel, filter 1 doubles it; the logit weighs each of 4 positions."""
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Conv2D(2, 1, use_bias=False, name="conv"),
            layers.Flatten(),
            layers.Dense(2, name="logits"),
            layers.Softmax(),
        ]
    )
    kernel = np.zeros((8, 2), np.float32)
    kernel[0::2, 0] = [1, 2, 3, 6]  # class 0, filter 0 at the four positions: mean 3
    kernel[1::2, 0] = [-1, -1, 0, -2]  # class 0, filter 1: mean -1
    kernel[0::2, 1] = [0, 0, -8, 0]  # class 1, filter 0: mean -2
    model.set_weights([np.array([[[[1.0, 2.0]]]]), kernel, np.array([0.5, -0.5])])
    image = np.array([[[1.0], [2.0]], [[3.0], [-4.0]]])[np.newaxis]
    # Class 0: 3 x + (-1) 2 x = x. Class 1: -2 x.
    explainer = explain.GradCAM(model)
    np.testing.assert_allclose(explainer.signed_maps(image, 0)[0], [[1, 2], [3, -4]], rtol=1e-6)
    np.testing.assert_allclose(explainer.signed_maps(image, 1)[0], [[-2, -4], [-6, 8]], rtol=1e-6)
    np.testing.assert_allclose(explainer(image, 0)[0], [[1, 2], [3, 0]], rtol=1e-6)
    np.testing.assert_allclose(explainer(image, 1)[0], [[0, 0], [0, 8]], rtol=1e-6)


@pytest.mark.slow
def test_grad_cam_weights_are_mean_finite_differences(images):
    with_layer, image, target, step = cnn(), images[:1], 2, 1e-3
    features = activations_of(with_layer, "conv2", image)
    head = keras.Model(with_layer.get_layer("conv2").output, with_layer.get_layer("logits").output)
    height, width, channels = features.shape[1:]
    nudges = step * np.eye(features.size, dtype=np.float32).reshape(-1, height, width, channels)
    up, down = (head.predict(features + sign * nudges, verbose=0)[:, target] for sign in (1, -1))
    slopes = ((up - down) / (2 * step)).reshape(height, width, channels)
    expected = features[0] @ slopes.mean(axis=(0, 1))
    explainer = explain.GradCAM(with_layer, "conv2")
    actual = explainer.signed_maps(image, target)[0]
    np.testing.assert_allclose(actual, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_grad_cam_weights_pass_through_max_pooling(images):
    """Before a max pooling of 2 x 2 the weights are a quarter of the weights after it."""
    model = cnn()
    targets = np.zeros(len(images), int)
    before = explain.GradCAM(model, "conv2").signed_maps(images, targets)
    after = explain.GradCAM(model, "pool2").signed_maps(images, targets)
    features = activations_of(model, "conv2", images).reshape(len(images), -1, 4)
    pooled = activations_of(model, "pool2", images).reshape(len(images), -1, 4)
    for n in range(len(images)):
        weights = np.linalg.lstsq(features[n], before[n].ravel(), rcond=None)[0]
        np.testing.assert_allclose(after[n].ravel(), pooled[n] @ (4 * weights), atol=1e-5)


def test_grad_cam_does_not_depend_on_batches(images):
    explainer = explain.GradCAM(cnn(), "conv2")
    whole = explainer(images)
    order = np.random.default_rng(0).permutation(len(images))
    for other in (
        explainer(images, batch_size=1),
        explainer(images, batch_size=4),
        explainer(images[order], batch_size=3)[np.argsort(order)],
        np.concatenate([explainer(images[:2]), explainer(images[2:])]),
    ):
        np.testing.assert_allclose(other, whole, rtol=1e-5, atol=1e-7 * whole.max())


def head_variants(model):
    """The same network with the three possible ends of a classifier, and as a functional model."""
    logits = model.get_layer("logits")
    bare = keras.Sequential(model.layers[:-1])
    dense_softmax = layers.Dense(CLASSES, activation="softmax", name="joined")
    joined = keras.Sequential([*model.layers[:-2], dense_softmax])
    joined.build(model.input_shape)
    dense_softmax.set_weights(logits.get_weights())
    inputs = keras.Input((12, 16, 3))
    activated = keras.Model(inputs, layers.Activation("softmax")(bare(inputs)))
    operation = keras.Model(model.inputs, keras.ops.softmax(logits.output))
    return {"bare": bare, "joined": joined, "operation": operation}, activated


@pytest.mark.slow
def test_grad_cam_is_the_same_for_all_ends_of_a_network(images):
    model = cnn()
    expected = explain.GradCAM(model, "conv2")
    variants, nested = head_variants(model)
    for name, variant in variants.items():
        explainer = explain.GradCAM(variant, "conv2")
        for targets in (None, 1):
            np.testing.assert_allclose(
                explainer.signed_maps(images, targets),
                expected.signed_maps(images, targets),
                rtol=1e-4,
                atol=1e-7,
                err_msg=name,
            )
        np.testing.assert_allclose(
            explainer.classifier.scores(images), expected.classifier.scores(images), rtol=1e-4
        )
    opened = explain.GradCAM(nested, "conv2")
    assert opened.layer.endswith("/conv2")
    np.testing.assert_allclose(
        opened.signed_maps(images, 1), expected.signed_maps(images, 1), rtol=1e-4, atol=1e-7
    )


@pytest.mark.slow
def test_score_is_taken_before_the_softmax(images):
    """Another class's bias moves every probability, but no map of this class."""
    model = cnn()
    before = explain.GradCAM(model, "conv2").signed_maps(images, 0)
    kernel, bias = model.get_layer("logits").get_weights()
    probabilities = model.predict(images, verbose=0)
    model.get_layer("logits").set_weights([kernel, bias + np.array([0, 0, 0, 5.0, 0])])
    assert np.abs(model.predict(images, verbose=0) - probabilities).max() > 0.5
    np.testing.assert_array_equal(explain.GradCAM(model, "conv2").signed_maps(images, 0), before)


@pytest.mark.slow
def test_scores_are_the_logits_without_dropout(images):
    model = cnn()
    logits = keras.Model(model.inputs[0], model.get_layer("logits").output)
    expected = logits(images, training=False).numpy()
    np.testing.assert_allclose(
        explain.GradCAM(model).classifier.scores(images, 4), expected, rtol=1e-5
    )


@pytest.mark.slow
def test_targets_decide_the_map(images):
    explainer = explain.GradCAM(cnn(), "conv2")
    maps = np.stack([explainer.signed_maps(images, k) for k in range(CLASSES)])
    for first in range(CLASSES):
        for second in range(first):
            assert np.abs(maps[first] - maps[second]).max() > 1e-3
    predicted = explainer.classifier.scores(images).argmax(axis=1)
    everyone = np.arange(len(images))
    np.testing.assert_allclose(
        explainer.signed_maps(images), maps[predicted, everyone], rtol=1e-5, atol=1e-8
    )
    mixed = everyone % CLASSES
    np.testing.assert_allclose(
        explainer.signed_maps(images, list(mixed)), maps[mixed, everyone], rtol=1e-5, atol=1e-8
    )


def half_pixel_bilinear(values, height, width):
    """Bilinear resize by the definition: output centre (i + 1/2) lies at (i + 1/2) h / H."""

    def along(values, size):
        count = len(values)
        place = (np.arange(size) + 0.5) * count / size - 0.5
        low = np.floor(place).astype(int)
        share = (place - low)[:, np.newaxis]
        at = values[np.clip(low, 0, count - 1)], values[np.clip(low + 1, 0, count - 1)]
        return at[0] * (1 - share) + at[1] * share

    return along(along(values, height).T, width).T


def test_relu_comes_before_the_half_pixel_resize(images):
    explainer = explain.GradCAM(cnn(), "pool2")  # 3 x 4 positions for 12 x 16 pixels
    signed = explainer.signed_maps(images, 1).astype(np.float64)
    assert (signed.min(axis=(1, 2)) < 0).any() and (signed.max(axis=(1, 2)) > 0).any()
    expected = np.stack([half_pixel_bilinear(np.maximum(m, 0), 12, 16) for m in signed])
    heatmaps = explainer(images, 1)
    assert heatmaps.dtype == np.float32 and heatmaps.shape == (11, 12, 16)
    np.testing.assert_allclose(heatmaps, expected, rtol=1e-5, atol=1e-7)
    resized_first = np.stack([half_pixel_bilinear(m, 12, 16) for m in signed])
    assert np.abs(np.maximum(resized_first, 0) - expected).max() > 1e-3 * expected.max()


def test_heatmap_of_negative_evidence_is_zero():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(1, 1, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="logits"),
            layers.Softmax(),
        ]
    )
    model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), np.array([[-1.0, 1.0]]), np.zeros(2)])
    images = np.concatenate([np.full((1, 4, 4, 1), 9.0), np.zeros((1, 4, 4, 1))])
    explainer = explain.GradCAM(model)
    assert (explainer.signed_maps(images, 0)[0] < 0).all()
    np.testing.assert_array_equal(explainer(images, 0), 0.0)
    np.testing.assert_allclose(explainer(images, 1)[0], 9 / 16)  # magnitude kept, not scaled
    np.testing.assert_array_equal(explainer(images, 1)[1], 0.0)


@pytest.mark.slow
def test_heatmap_magnitude_follows_the_score(images):
    model = cnn()
    before = explain.GradCAM(model, "conv2")(images, 3)
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([10 * kernel, bias])
    after = explain.GradCAM(model, "conv2")(images, 3)
    np.testing.assert_allclose(after, 10 * before, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_grad_cam_ignores_connections_around_the_layer(images):
    """In y = w . mean(A + x), only the branch through A counts: alpha_k = w_k / Z."""
    inputs = keras.Input((12, 16, 3))
    scaled = layers.Rescaling(1 / 255)(inputs)
    branch = layers.Conv2D(3, 3, padding="same", name="branch")(scaled)
    joined = layers.Add(name="add")([branch, scaled])
    pooled = layers.GlobalAveragePooling2D()(joined)
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="softmax", name="top")(pooled))
    assert explain.GradCAM(model).layer == "add"
    features = activations_of(model, "branch", images)
    kernel = model.get_layer("top").kernel.numpy()
    explainer = explain.GradCAM(model, "branch")
    expected = features @ kernel[:, 2] / (12 * 16)
    np.testing.assert_allclose(explainer.signed_maps(images, 2), expected, rtol=1e-4, atol=1e-7)
    assert explainer.classifier.scores(images).shape == (11, CLASSES)


@pytest.mark.slow
def test_model_stays_as_it_was(images, tmp_path):
    model = cnn()
    before = model.predict(images, verbose=0)
    explain.GradCAM(model, "conv1")(images)
    explain.GradCAM(model)(images)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    assert [layer.name for layer in model.layers[:2]] == ["rescaling", "conv1"]
    assert all(len(layer._inbound_nodes) == 1 for layer in model.layers)  # .output still works
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        explain.GradCAM(reloaded)(images), explain.GradCAM(model)(images), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv9", "no layer 'conv9'; layers with a 4-D output are rescaling, conv1, pool1, conv2"),
        ("dense", "'dense' has no spatial"),
        ("softmax", "'softmax' has no spatial"),
    ],
)
def test_layers_that_are_not_spatial_are_refused(layer, message):
    with pytest.raises(CifarcamError, match=message):
        explain.GradCAM(cnn(), layer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((0, 12, 16, 3))}, "no images"),
        ({"images": np.zeros((12, 16, 3))}, r"shape \(12, 16, 3\); the model takes N x 12 x 16"),
        ({"images": np.zeros((2, 16, 12, 3))}, "the model takes N x 12 x 16 x 3"),
        ({"images": np.full((2, 12, 16, 3), "a")}, "not numbers"),
        ({"images": np.full((2, 12, 16, 3), np.nan)}, "not finite"),
        ({"targets": [0]}, r"shape \(1,\) for 2 images"),
        ({"targets": [0, 1, 2]}, r"shape \(3,\) for 2 images"),
        ({"targets": CLASSES}, "target 5 is no class of this model; its classes are 0 to 4"),
        ({"targets": [0, -1]}, "target -1 is no class"),
        ({"targets": [0.0, 1.0]}, "whole numbers"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_calls_with_wrong_arguments_are_refused(changes, message, explainer):
    arguments = {"images": np.zeros((2, 12, 16, 3))} | changes
    with pytest.raises(CifarcamError, match=message):
        explainer(**arguments)
    with pytest.raises(CifarcamError, match=message):
        explainer.signed_maps(**arguments)


def refused_models():
    inputs = keras.Input((8, 8, 3))
    features = layers.Conv2D(2, 3, name="conv")(inputs)
    flat = layers.Flatten()(features)
    side = layers.Dense(3)(layers.Flatten()(inputs))
    shared = layers.Conv2D(3, 3, padding="same", name="twice")
    stopped = layers.Lambda(keras.ops.stop_gradient)(flat)
    return {
        "no gradient of the score reaches layer 'conv'": (
            keras.Model(inputs, layers.Dense(3, name="logits")(stopped)),
            "conv",
        ),
        "no layer 'conv'; no layer has a spatial": (keras.Model(inputs, side), "conv"),
        "2 outputs; name the output to explain": (
            keras.Model(inputs, [side, layers.Dense(3)(flat)]),
            None,
        ),
        "not N x classes": (keras.Model(inputs, features), None),
        "through tanh": (
            keras.Model(inputs, layers.Dense(3, activation="tanh")(flat)),
            None,
        ),
        "input shape is not known": (
            keras.Sequential([layers.Conv2D(2, 3), layers.Flatten()]),
            None,
        ),
        "'twice' is used 2 times": (
            keras.Model(inputs, layers.Dense(3)(layers.Flatten()(shared(shared(inputs))))),
            "twice",
        ),
        "has to be N x H x W x C": (
            keras.Sequential([keras.Input((8,)), layers.Dense(3)]),
            None,
        ),
    }


@pytest.mark.parametrize("message", list(refused_models()))
def test_models_that_cannot_be_explained_are_refused(message):
    model, layer = refused_models()[message]
    with pytest.raises(CifarcamError, match=message):
        explain.GradCAM(model, layer)


def saved(tmp_path, picture, name="picture.png", **options):
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_read_picture_accepts_every_mode(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(explain.read_picture(path, (32, 32)), pixels)

    clear = np.zeros((40, 40, 4), np.uint8)  # black, but wholly transparent
    path = saved(tmp_path, Image.fromarray(clear))
    np.testing.assert_array_equal(explain.read_picture(path, (32, 32)), 255)

    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, 64:128] = [10, 200, 30]  # the centre square
    path = saved(tmp_path, Image.fromarray(wide))
    picture = explain.read_picture(path, (32, 32))
    np.testing.assert_array_equal(picture[:, 4:-4], np.broadcast_to([10, 200, 30], (32, 24, 3)))

    deep = np.full((50, 32), 32896, np.uint16)  # half of 65,535
    path = saved(tmp_path, Image.fromarray(deep))
    np.testing.assert_array_equal(explain.read_picture(path, (32, 32)), 128)

    turned = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    path = saved(tmp_path, turned, exif=exif)
    np.testing.assert_array_equal(explain.read_picture(path, (32, 32)), pixels[::-1, ::-1])

    for mode in ("1", "L", "LA", "P", "CMYK", "I", "F"):
        path = saved(tmp_path, Image.fromarray(pixels).convert("L").convert(mode), "picture.tif")
        picture = explain.read_picture(path, (16, 24))
        assert picture.shape == (16, 24, 3) and picture.dtype == np.uint8, mode


def test_read_picture_refuses_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    whole = saved(tmp_path, Image.fromarray(pixels))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:200])
    for name, message in (
        ("none.png", "no such file"),
        ("notes.txt", "not a picture"),
        ("cut.png", "not a picture"),
    ):
        with pytest.raises(CifarcamError, match=message):
            explain.read_picture(tmp_path / name, (32, 32))


def test_explain_pictures_gives_classes_and_heatmaps(images):
    model = cnn()
    explainer = explain.GradCAM(model, "conv2")
    classes = [f"class {k}" for k in range(CLASSES)]
    explained = explain.explain_pictures(
        explainer, list(images[:3]), ["a", "b", "c"], class_names=classes
    )
    probabilities = model.predict(images[:3], verbose=0)
    for n, item in enumerate(explained):
        order = np.argsort(-probabilities[n])[:3]
        assert [name for name, _ in item.top] == [classes[k] for k in order]
        np.testing.assert_allclose([p for _, p in item.top], probabilities[n][order], rtol=1e-4)
        np.testing.assert_array_equal(item.picture, images[n])
        np.testing.assert_allclose(
            item.heatmap, explainer(images[n : n + 1], int(order[0]))[0], rtol=1e-5, atol=1e-7
        )
    with pytest.raises(CifarcamError, match="2 names for 3 pictures"):
        explain.explain_pictures(explainer, list(images[:3]), ["a", "b"], class_names=classes)
    with pytest.raises(CifarcamError, match="10 class names for the model's 5"):
        explain.explain_pictures(
            explainer, list(images[:3]), ["a", "b", "c"], class_names=2 * classes
        )
    with pytest.raises(CifarcamError, match="no pictures"):
        explain.explain_pictures(explainer, [], [], class_names=classes)


def global_average_pooling():
    return keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            *body(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, name="logits"),
            layers.Softmax(),
        ]
    )


def test_grad_cam_of_a_contrast_has_the_difference_of_the_two_signed_maps(images):
    """Before global average pooling the weights are those of the dense layer, class by class."""
    model = global_average_pooling()
    explainer = explain.GradCAM(model)
    targets, rivals = np.arange(len(images)) % 4, np.full(len(images), 4)
    features = activations_of(model, "conv2", images).astype(np.float64)
    kernel = model.get_layer("logits").kernel.numpy().astype(np.float64)
    weights = kernel[:, targets] - kernel[:, rivals]
    expected = np.einsum("nijk,kn->nij", features, weights) / features[0, ..., 0].size
    contrast = explainer.signed_maps(images, targets, against=rivals)
    np.testing.assert_allclose(contrast, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(contrast, explainer.signed_maps(images, targets, against=4))
    apart = [explainer.signed_maps(images, classes) for classes in (targets, rivals)]
    np.testing.assert_allclose(expected, apart[0] - apart[1], rtol=1e-3, atol=1e-6)
    without = expected.max(axis=(1, 2)) < 0
    assert (explainer(images, targets, against=4)[without] == 0).all()


def test_two_targets_for_two_images_are_classes_and_no_contrast(explainer, images):
    maps = explainer(images[:2], [1, 3])
    np.testing.assert_array_equal(maps[0], explainer(images[:2], 1)[0])
    np.testing.assert_array_equal(maps[1], explainer(images[:2], 3)[1])


@pytest.mark.parametrize("targets", [[[1, 3]], np.tile([1, 3], (2, 1))])
def test_pairs_of_targets_are_refused(explainer, images, targets):
    with pytest.raises(CifarcamError, match="give one class per image"):
        explainer(images[: len(targets)], targets)
