"""Scores of one's own and contrasts: the maps are those of a plain GradientTape model."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cifarcam import explain
from cifarcam.errors import CifarcamError

SHAPE = (8, 12, 3)
IMAGES = np.random.default_rng(3).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
# Methods of attention have tests of their own, with networks that have attention.
METHODS = [
    name
    for name, method in explain.METHODS.items()
    if not getattr(method, "needs_attention", False)
]
CLASS_BLIND = {"eigen-cam", "random", "centre"}


@functools.cache
def network(kind):
    """A network of one number, of a mask of 4 x 6 positions and 2 classes, or of 7 numbers."""
    keras.utils.set_random_seed(8)
    wide = keras.initializers.RandomNormal(stddev=1.0)  # so that probabilities differ
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(x)
    flat = layers.Dense(9, activation="tanh")(layers.Flatten()(x))
    outputs = {
        "regression": lambda: layers.Dense(1, name="end")(flat),
        "segmentation": lambda: layers.Conv2D(
            2, 3, padding="same", activation="softmax", kernel_initializer=wide
        )(x),
        "embedding": lambda: layers.UnitNormalization()(layers.Dense(7)(flat)),
        "classes": lambda: layers.Dense(4, activation="softmax", name="end")(flat),
    }
    return keras.Model(inputs, outputs[kind]())


IMAGES_OF_U_NET = np.random.default_rng(5).integers(0, 256, (3, 16, 24, 3)).astype(np.uint8)
MASKS = np.random.default_rng(0).integers(0, 2, (5, 4, 6))
REFERENCES = np.random.default_rng(1).normal(size=(5, 7))


def share_of_mask(outputs, masks):
    """The mean probability of class 1 over each image's mask."""
    return ops.sum(outputs[..., 1] * masks, axis=(1, 2)) / ops.sum(masks, axis=(1, 2))


SCORES = {
    "regression": (lambda outputs, targets: outputs[:, 0], None),
    "segmentation": (share_of_mask, MASKS),
    "embedding": (lambda outputs, targets: ops.sum(outputs * targets, axis=1), REFERENCES),
}


@functools.cache
def classifier(kind):
    return explain.Classifier(network(kind), score=SCORES[kind][0])


def by_tape(kind):
    """Activations of conv2 and gradients of the score by them, with Keras and a tape alone."""
    model, (score, targets) = network(kind), SCORES[kind]
    both = keras.Model(model.inputs, [model.get_layer("conv2").output, model.outputs[0]])
    images = tf.constant(IMAGES, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        activations, outputs = both(images)
        own = score(outputs, tf.constant(np.zeros(5) if targets is None else targets, tf.float32))
    gradients = tape.gradient(own, activations), tape.gradient(own, images)
    return own.numpy(), activations.numpy(), *(each.numpy() for each in gradients)


@pytest.mark.parametrize("kind", SCORES)
def test_maps_of_a_score_are_those_of_a_gradient_tape(kind):
    _, a, by_layer, by_image = by_tape(kind)
    targets = SCORES[kind][1]
    expected = {
        "grad-cam": np.einsum("nijk,nk->nij", a, by_layer.mean(axis=(1, 2))),
        "hires-cam": (a * by_layer).sum(axis=-1),
        "layer-cam": (a * np.maximum(by_layer, 0)).sum(axis=-1),
    }
    for name, maps in expected.items():
        result = explain.METHODS[name](classifier(kind), "conv2").signed_maps(IMAGES, targets)
        scale = np.abs(maps).max()
        assert scale > 1e-8
        np.testing.assert_allclose(result, maps, rtol=1e-3, atol=1e-4 * scale, err_msg=name)
    # The scale of saliency is that of the input range.
    saliency = explain.Saliency(classifier(kind)).signed_maps(IMAGES, targets)
    by_pixel = np.abs(by_image).max(axis=-1)
    factor = (saliency / by_pixel).mean()
    np.testing.assert_allclose(saliency, factor * by_pixel, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("name", [n for n in METHODS if n != "finer-cam"])
def test_every_method_explains_a_score(kind, name):
    options = {"samples": 20} if name in ("rise", "lime", "smoothgrad") else {}
    method, targets = explain.METHODS[name], SCORES[kind][1]
    explainer = method(classifier(kind), **options)
    assert explainer.layers == ("conv2",) * method.takes_layer
    maps = explainer.signed_maps(IMAGES, targets)
    assert np.isfinite(maps).all() and maps.any()
    parts = [
        explainer.signed_maps(IMAGES[n : n + 1], None if targets is None else targets[n : n + 1])[0]
        for n in range(len(IMAGES))
    ]
    np.testing.assert_allclose(maps, parts, rtol=1e-3, atol=1e-5 * np.abs(maps).max())
    if targets is not None and name not in CLASS_BLIND:
        changed = explainer.signed_maps(IMAGES, np.roll(targets, 1, axis=0))
        assert np.abs(changed - maps).max() > 1e-4 * np.abs(maps).max()


def test_shap_of_a_score_sums_to_its_rise_from_black():
    """Of outputs with an activation: the mean probability over a mask."""
    explainer = explain.SHAP(classifier("segmentation"), grid=2, permutations=1)
    maps = explainer.signed_maps(IMAGES, MASKS)[:, ::4, ::6]
    whole, black = (
        share_of_mask(
            network("segmentation")(tf.constant(images, tf.float32)), MASKS.astype(np.float32)
        )
        for images in (IMAGES, np.zeros_like(IMAGES))
    )
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), whole - black, rtol=1e-3, atol=1e-6)


def test_targets_of_a_score_are_what_it_takes():
    """One value for all images, one each, or nothing, which is zeros."""
    model = network("regression")
    explainer = explain.GradCAM(model, "conv2", score=lambda y, t: y[:, 0] * t)
    plain = explain.GradCAM(model, "conv2", score=lambda y, t: y[:, 0]).signed_maps(IMAGES)
    close = {"rtol": 1e-4, "atol": 1e-5 * np.abs(plain).max()}
    np.testing.assert_allclose(explainer.signed_maps(IMAGES, 3), 3 * plain, **close)
    factors = np.arange(5) - 2.5
    np.testing.assert_allclose(
        explainer.signed_maps(IMAGES, factors, batch_size=2),
        factors[:, np.newaxis, np.newaxis] * plain,
        **close,
    )
    np.testing.assert_array_equal(explainer.signed_maps(IMAGES), 0 * plain)


def test_score_of_a_class_is_that_of_a_classifier():
    """A score sees outputs with their activation, and may undo it."""
    model = network("classes")
    own = explain.GradCAM(model, "conv2", score=lambda p, t: ops.log(p[:, 1]) - ops.log(p[:, 2]))
    usual = explain.GradCAM(model, "conv2").signed_maps(IMAGES, 1, against=2)
    np.testing.assert_allclose(own.signed_maps(IMAGES), usual, rtol=1e-3, atol=1e-8)
    assert own.classifier.classes == 0 and own.classifier.activation == "linear"
    with pytest.raises(CifarcamError, match="has no probabilities"):
        own.classifier.probabilities(IMAGES)
    np.testing.assert_allclose(
        own.classifier.scores(IMAGES), model.predict(IMAGES, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("score", "shape"),
    [
        (lambda outputs, targets: outputs, r"\(None, 1\)"),
        (lambda outputs, targets: ops.mean(outputs), r"\(\)"),
    ],
)
def test_score_of_another_shape_is_refused(score, shape):
    for method in ("grad-cam", "saliency", "occlusion"):
        explainer = explain.METHODS[method](network("regression"), score=score)
        with pytest.raises(CifarcamError, match=f"returns values of shape {shape}"):
            explainer(IMAGES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.zeros((4, 7))}, r"shape \(4, 7\) for 5 images"),
        ({"targets": ["a"] * 5}, "give numbers"),
        ({"targets": REFERENCES, "against": 1}, "subtract within the score"),
    ],
)
def test_targets_that_do_not_fit_a_score_are_refused(changes, message):
    with pytest.raises(CifarcamError, match=message):
        explain.GradCAM(classifier("embedding"), "conv2")(IMAGES, **changes)


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
@pytest.mark.parametrize(
    ("score", "message"),
    [
        (lambda o, t: o[0], r"score returns values of shape \(7,\) for outputs of shape N x 7"),
        (lambda o, t: ops.mean(o, axis=0), r"values of shape \(7,\).*one number per image"),
        (lambda o, t: ops.reshape(o, (-1,)), "another number of values than there are images"),
        (lambda o, t: None, "score returns None; it has to return one number per image"),
        (lambda o, t: o["end"], "score fails on outputs of shape N x 7: "),
        (lambda o, t: o @ ops.ones((3, 1)), "score fails on outputs of shape N x 7: "),
    ],
)
def test_score_that_forgets_the_images_or_fails_is_refused(method, score, message):
    """A map would depend on the other images of the batch."""
    explainer = explain.METHODS[method](network("embedding"), score=score)
    for call in (explainer, explainer.signed_maps):
        with pytest.raises(CifarcamError, match=message) as refusal:
            call(IMAGES)
        assert "\n" not in str(refusal.value)


def test_targets_of_different_shapes_are_refused():
    with pytest.raises(CifarcamError, match="give values or arrays of one shape"):
        explain.GradCAM(classifier("embedding"), "conv2")(IMAGES, [np.zeros(n) for n in range(5)])


@pytest.mark.slow
def test_masks_of_other_sizes_need_no_other_graph():
    """A folder of pictures of many sizes would keep a graph of each."""
    traces = []

    def score(outputs, masks):
        traces.append(tuple(masks.shape))
        return share_of_mask(outputs, masks)

    model = u_net((None, None, 3))
    explainer = explain.GradCAM(model, score=score)
    rng = np.random.default_rng(2)
    for height, width in ((16, 24), (24, 16), (32, 32)):
        images = rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
        masks = rng.integers(0, 2, (2, height, width))
        both = keras.Model(model.inputs, [model.get_layer("bottom2").output, model.outputs[0]])
        with tf.GradientTape() as tape:
            activations, outputs = both(tf.constant(images))
            own = share_of_mask(outputs, masks.astype(np.float32))
        weights = tf.reduce_mean(tape.gradient(own, activations), (1, 2))
        expected = np.einsum("nijk,nk->nij", activations, weights)
        result = explainer.signed_maps(images, masks)
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert traces == [(None, None, None)]


def test_masks_of_a_wrong_size_are_named():
    explainer = explain.GradCAM(network("segmentation"), "conv2", score=share_of_mask)
    message = r"the model or its score fails on images .* with targets of shape \(3, 6\)"
    with pytest.raises(CifarcamError, match=message):
        explainer(IMAGES, MASKS[:, :3])


def test_score_may_read_the_number_of_values_or_channels_of_its_targets():
    directions = np.random.default_rng(3).normal(size=(len(IMAGES), 7)).astype(np.float32)

    def score(outputs, targets):
        return ops.sum(outputs * targets, axis=1) / targets.shape[1]

    explainer = explain.GradCAM(network("embedding"), "conv2", score=score)
    seventh = explainer.signed_maps(IMAGES, directions)
    explainer = explain.GradCAM(
        network("embedding"), "conv2", score=lambda outputs, targets: 7 * score(outputs, targets)
    )
    np.testing.assert_allclose(explainer.signed_maps(IMAGES, directions), 7 * seventh, rtol=1e-4)


def test_score_without_a_gradient_is_refused():
    def score(outputs, targets):
        return ops.stop_gradient(outputs[:, 0])

    explainer = explain.GradCAM(network("regression"), "conv2", score=score)
    with pytest.raises(CifarcamError, match="no gradient of the score reaches layer 'conv2'"):
        explainer(IMAGES)


# The default layer of segmentation


def u_net(shape=(16, 24, 3), end="softmax"):
    """Two steps down and up, joined at each side; `bottom2` has the fewest positions last."""
    keras.utils.set_random_seed(2)
    conv = functools.partial(layers.Conv2D, padding="same", activation="relu")
    inputs = keras.Input(shape)
    x = layers.Rescaling(1 / 255)(inputs)
    down1 = conv(4, 3, name="down1")(x)
    down2 = conv(6, 3, strides=2, name="down2")(down1)
    x = conv(8, 3, strides=2, name="bottom1")(down2)
    x = conv(8, 3, name="bottom2")(x)
    x = layers.Concatenate(name="join2")([layers.UpSampling2D()(x), down2])
    x = conv(6, 3, name="up2")(x)
    x = layers.Concatenate(name="join1")([layers.UpSampling2D()(x), down1])
    if end == "softmax":
        return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax", name="classes")(x))
    logits = layers.Conv2D(2, 1, name="classes")(x)
    return keras.Model(inputs, layers.Softmax(name="end")(logits))


def whole_share(outputs, targets):
    return ops.mean(outputs[..., 1], axis=(1, 2))


@pytest.mark.parametrize("end", ["softmax", "layer"])
def test_default_layer_of_segmentation_is_the_bottleneck(end):
    model = u_net(end=end)
    explainer = explain.GradCAM(model, score=whole_share)
    assert explainer.layer == "bottom2"
    maps = explainer.signed_maps(IMAGES_OF_U_NET)
    assert maps.shape == (3, 4, 6)
    both = keras.Model(model.inputs, [model.get_layer("bottom2").output, model.outputs[0]])
    with tf.GradientTape() as tape:
        activations, outputs = both(tf.constant(IMAGES_OF_U_NET, tf.float32))
        own = whole_share(outputs, None)
    weights = tf.reduce_mean(tape.gradient(own, activations), (1, 2))
    expected = np.einsum("nijk,nk->nij", activations, weights)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    if end == "layer":  # a layer before the softmax is no default, but may be given
        assert explain.GradCAM(model, "classes", score=whole_share).layer == "classes"


def test_default_layer_of_segmentation_of_any_size_is_the_bottleneck():
    model = u_net((None, None, 3))
    assert explain.GradCAM(model, score=whole_share).layer == "bottom2"


def test_default_layer_before_maps_of_one_size_is_the_last_but_the_output():
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(inputs)
    x = layers.Conv2D(4, 3, padding="same", name="conv2")(x)
    logits = layers.Conv2D(2, 1, name="logits")(x)
    model = keras.Model(inputs, layers.Softmax()(layers.UpSampling2D(2)(logits)))
    assert explain.GradCAM(model, score=whole_share).layer == "conv2"


# Contrast


@functools.cache
def of_classes():
    return explain.Classifier(network("classes"))


@functools.cache
def explainer(name):
    options = {"samples": 40} if name in ("rise", "lime", "smoothgrad") else {}
    return explain.METHODS[name](of_classes(), **options)


LINEAR = ["grad-cam", "hires-cam", "xgrad-cam", "integrated-gradients", "occlusion", "rise", "lime", "shap"]  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_contrast_of_a_linear_method_is_the_difference_of_two_maps(name):
    explained = explainer(name)
    apart = [explained.signed_maps(IMAGES, k).astype(np.float64) for k in (1, 3)]
    both = explained.signed_maps(IMAGES, 1, against=3)
    scale = np.abs(apart[0] - apart[1]).max()
    np.testing.assert_allclose(both, apart[0] - apart[1], atol=1e-3 * scale)
    back = explained.signed_maps(IMAGES, 3, against=1)
    np.testing.assert_allclose(back, -both, atol=1e-3 * scale)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_a_class_explains_a_contrast(name):
    explained = explainer(name)
    plain, contrast = explained(IMAGES, 1), explained(IMAGES, 1, against=3)
    rivals = np.array([0, 2, 3, 0, 2])
    each = explained(IMAGES, 1, against=rivals)
    if name in CLASS_BLIND:
        np.testing.assert_array_equal(contrast, plain)
        return
    assert np.abs(contrast - plain).max() > 1e-4 * np.abs(plain).max()
    for rival in (0, 2, 3):
        np.testing.assert_allclose(
            each[rivals == rival],
            explained(IMAGES, 1, against=rival)[rivals == rival],
            rtol=1e-3,
            atol=1e-5 * each.max(),
        )


def test_contrast_of_saliency_has_no_sign():
    there, back = (explainer("saliency")(IMAGES, a, against=b) for a, b in ((1, 3), (3, 1)))
    np.testing.assert_allclose(there, back, rtol=1e-4)


def test_contrast_without_a_target_explains_the_predicted_class():
    rival = (of_classes().scores(IMAGES).argmax(axis=1) + 1) % 4
    predicted = of_classes().scores(IMAGES).argmax(axis=1)
    for name in ("grad-cam", "occlusion", "score-cam"):
        np.testing.assert_allclose(
            explainer(name)(IMAGES, against=rival),
            explainer(name)(IMAGES, predicted, against=rival),
            rtol=1e-4,
            atol=1e-7,
        )


@pytest.mark.parametrize("name", ["grad-cam", "finer-cam", "saliency"])
def test_contrast_of_the_predicted_class_against_itself_is_refused(name):
    """Its map would be zero, whatever the image shows."""
    predicted = of_classes().scores(IMAGES).argmax(axis=1)
    for against in (int(predicted[2]), predicted):
        for call in (explainer(name), explainer(name).signed_maps):
            with pytest.raises(CifarcamError, match=r"class \d is explained against itself"):
                call(IMAGES, against=against)


def test_contrast_of_two_classes_is_twice_the_score_of_one_sigmoid_unit():
    inputs = network("classes").inputs
    x = layers.Flatten()(network("classes").get_layer("conv2").output)
    binary = explain.GradCAM(keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x)), "conv2")
    np.testing.assert_allclose(
        binary.signed_maps(IMAGES, 1, against=0), 2 * binary.signed_maps(IMAGES, 1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("targets", "against", "message"),
    [
        (1, 1, "class 1 is explained against itself"),
        ([1, 2, 3, 0, 1], [0, 1, 3, 1, 0], "class 3 is explained against itself"),
        (4, 1, "target 4 is no class"),
        (1, 4, "against 4 is no class"),
        (1, -1, "against -1 is no class"),
        (1, [0, 2], r"against has shape \(2,\) for 5 images"),
        (1, 0.5, "against is of type float64; give whole numbers"),
        ([[1], [1, 2]], 3, "target is no array .*give values or arrays of one shape"),
        (1, [[1], [1, 2]], "against is no array"),
    ],
)
def test_rivals_that_are_no_other_class_are_refused(targets, against, message):
    for call in (explainer("grad-cam"), explainer("grad-cam").signed_maps):
        with pytest.raises(CifarcamError, match=message):
            call(IMAGES, targets, against=against)
