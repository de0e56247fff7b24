"""The networks: parameters as in the papers, and layers that do what Keras's do, faster."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from cifarcam import models
from cifarcam.models import (
    alexnet,
    cost,
    custom_cnn,
    densenet,
    layers,
    resnet,
    speedrun,
    transformer,
    vgg,
)
from cifarcam.training import find, prediction

SMALL = {
    "custom_cnn": custom_cnn.Options(
        filters=(4, 8),
        dense=8,
        dropout=0.1,
        batch_normalization=True,
        attention="squeeze-and-excitation",
    ),
    "alexnet": alexnet.Options(dense=16, dropout=0.5),
    "vgg19": vgg.Options(dropout=0.1),
    "resnet18": resnet.Options(),
    "densenet_bc": densenet.Options(depth=10, growth=4),
    "transformer": transformer.Options(
        convolutions=2, layers=1, heads=2, width=16, expansion=1.0, dropout=0.1
    ),
    "speedrun": speedrun.Options(filters=(8, 8), logit_scale=0.1, identity=True, activation="gelu"),
}


def trained_parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def convolution_and_dense(model):
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


@pytest.mark.slow
def test_resnet18_has_its_parameters_and_eighteen_weighted_layers():
    model = models.build("resnet18", resnet.Options())
    # By hand from table 1: stem 27 * 64, blocks of 9 * in * out, projections, two vectors per
    # normalisation, and the dense layer.
    convolutions = 27 * 64 + 4 * 9 * 64**2
    norms = 64 + 4 * 64
    for narrow, wide in ((64, 128), (128, 256), (256, 512)):
        convolutions += 9 * narrow * wide + 3 * 9 * wide**2 + narrow * wide
        norms += 5 * wide
    assert trained_parameters(model) == convolutions + 2 * norms + 512 * 10 + 10 == 11_173_962
    weighted = [la for la in convolution_and_dense(model) if "shortcut" not in la.name]
    assert len(weighted) == 18
    assert model.get_layer("stage4_block2_relu2").output.shape[1:] == (4, 4, 512)
    assert trained_parameters(resnet.build_imagenet()) == 11_689_512


@pytest.mark.slow
def test_vgg19_has_the_convolutions_of_configuration_e():
    model = models.build("vgg19", vgg.Options(dropout=0.0))
    result = [la for la in convolution_and_dense(model) if isinstance(la, keras.layers.Conv2D)]
    theirs = keras.applications.VGG19(weights=None, include_top=False, input_shape=(32, 32, 3))
    expected = [la.kernel.shape for la in theirs.layers if isinstance(la, keras.layers.Conv2D)]
    assert [la.kernel.shape for la in result] == expected
    kernels = sum(int(np.prod(shape)) for shape in expected)
    assert trained_parameters(model) == kernels + 2 * 5504 + 5130 == 20_035_018


@pytest.mark.slow
def test_densenet_bc_has_the_parameters_of_the_paper():
    model = models.build("densenet_bc", densenet.Options(depth=100, growth=12))
    assert trained_parameters(model) == 769_162  # "0.8M", table 2
    assert len(convolution_and_dense(model)) == 100
    channels = [model.get_layer(f"transition{i}_conv").output.shape[-1] for i in (1, 2)]
    assert channels == [108, 150]


@pytest.mark.parametrize(
    ("options", "paper"),
    [
        (
            transformer.Options(
                convolutions=2, layers=2, heads=2, width=128, expansion=1.0, dropout=0.1
            ),
            0.28e6,
        ),
        (
            transformer.Options(
                convolutions=1, layers=7, heads=4, width=256, expansion=2.0, dropout=0.1
            ),
            3.76e6,
        ),
    ],
)
def test_transformer_has_the_parameters_of_the_paper(options, paper):
    assert trained_parameters(models.build("transformer", options)) == pytest.approx(
        paper, rel=0.02
    )


def test_alexnet_has_the_eight_layers_of_the_paper():
    model = models.build("alexnet", alexnet.Options(dense=4096, dropout=0.5))
    shapes = [layer.kernel.shape for layer in convolution_and_dense(model)]
    assert [shape[-1] for shape in shapes] == [96, 256, 384, 384, 256, 4096, 4096, 10]


def test_baseline_has_its_parameters():
    options = custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2)
    assert models.build("custom_cnn", options).count_params() == 225_034


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("vgg19", "resnet18") else name
        for name in models.ARCHITECTURES
    ],
)
def test_network_takes_pixels_and_ends_in_logits_and_softmax(name):
    for precision in ("float32", "bfloat16"):
        model = models.build(name, SMALL[name], precision)
        images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
        result = model.predict(images, verbose=0)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)
        first = next(la for la in model.layers if not isinstance(la, keras.layers.InputLayer))
        assert isinstance(first, keras.layers.Rescaling)
        assert model.layers[-2].name == "logits"
        assert all(variable.dtype == "float32" for variable in model.weights)
        convolution = next(la for la in model.layers if isinstance(la, keras.layers.Conv2D))
        assert convolution.compute_dtype == precision
    assert keras.config.dtype_policy().name == "float32"


def pair_of_normalizations():
    rng = np.random.default_rng(0)
    pair = []
    for kind in (layers.FusedBatchNormalization, keras.layers.BatchNormalization):
        layer = kind(momentum=0.8, epsilon=1e-3)
        layer.build((None, 5, 5, 6))
        pair.append(layer)
    weights = [rng.uniform(0.5, 2, 6).astype(np.float32) for _ in range(4)]
    for layer in pair:
        layer.set_weights(weights)
    return pair


def test_fused_normalisation_equals_the_layer_of_keras():
    ours, theirs = pair_of_normalizations()
    x = tf.constant(np.random.default_rng(1).normal(2, 3, (7, 5, 5, 6)), tf.float32)
    weight = tf.constant(np.random.default_rng(2).normal(size=x.shape), tf.float32)
    for training in (True, False):
        results = []
        for layer in (ours, theirs):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=training)
                total = tf.reduce_sum(y * weight)
            gradients = tape.gradient(total, [x, layer.gamma.value, layer.beta.value])
            results.append([y, *gradients, *layer.get_weights()])
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_whitening_decorrelates_patches():
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(200, 9, 9, 3)).cumsum(axis=1).cumsum(axis=2).astype(np.float32)
    smooth /= smooth.std()
    layer = layers.Whitening()
    layer.build(smooth.shape)
    layer.adapt(smooth)
    result = np.asarray(layer(smooth)).reshape(-1, 24)
    np.testing.assert_allclose(result[:, :12], -result[:, 12:], atol=1e-4)
    covariance = np.cov(result[:, :12], rowvar=False)
    variances = np.diag(covariance)
    np.testing.assert_allclose(covariance - np.diag(variances), 0, atol=1e-3)
    assert variances.max() == pytest.approx(1, rel=1e-3)
    assert not layer.trainable_variables


def test_partial_identity_repeats_its_input():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    for outputs in (2, 3, 5):
        layer = keras.layers.Conv2D(
            outputs, 3, padding="same", kernel_initializer=layers.PartialIdentity()
        )
        result = np.asarray(layer(x))
        np.testing.assert_allclose(result[..., :3], x[..., :outputs], rtol=1e-6)
        rest = np.asarray(layer.kernel)[..., 3:]
        assert rest.size == 0 or 0.1 < rest.std() < 0.3  # Glorot: sqrt(2 / (27 + 45)) = 0.17


@pytest.mark.slow
def test_predict_augmented_is_the_mean_of_their_logits():
    model = models.build("speedrun", SMALL["speedrun"])
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)

    def logits(view):
        return to_logits.predict(np.ascontiguousarray(view), verbose=0)

    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    up_left, down_right = padded[:, 2:, 2:], padded[:, :-2, :-2]
    total = sum(
        weight * (logits(view) + logits(view[:, :, ::-1])) / 2
        for view, weight in ((images, 0.5), (up_left, 0.25), (down_right, 0.25))
    )
    expected = tf.nn.softmax(total).numpy()
    result = prediction.predict_augmented(model, images, "flip-and-shift")
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(result, prediction.predict(model, images), atol=1e-6)


def test_forward_flops_are_counted_by_layer():
    model = models.build(
        "custom_cnn", custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2)
    )
    by_hand = 32**2 * 27 * 32 + 16**2 * 9 * 32 * 64 + 8**2 * 9 * 64 * 128 + 2048 * 64 + 640
    assert cost.forward_flops(model) == 2 * by_hand
    assert cost.forward_flops(model, keras.layers.Dense) == 2 * (2048 * 64 + 640)
    shared = keras.layers.Dense(3)
    image = keras.Input((5,))
    twice = keras.Model(image, keras.layers.Add()([shared(image), shared(image)]))
    assert cost.forward_flops(twice) == 2 * 2 * 15


@pytest.mark.slow
def test_forward_flops_are_the_published_counts():
    # 0.56 and 0.40 billion multiplications are usually given for these two.
    assert cost.forward_flops(models.build("resnet18", resnet.Options())) == 2 * 555_422_720
    assert cost.forward_flops(models.build("vgg19", SMALL["vgg19"])) == 2 * 398_136_320


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.01)])
def test_gelu_equals_the_function_of_keras_in_value_and_slope(dtype, tolerance):
    x = np.linspace(-6, 6, 241).astype(np.float32)
    layer = layers.GELU(dtype=dtype)
    inputs = tf.Variable(tf.cast(x, dtype))
    plain = tf.Variable(tf.cast(inputs, tf.float32))
    with tf.GradientTape(persistent=True) as tape:
        ours = layer(inputs)
        theirs = keras.activations.gelu(plain)
    assert ours.dtype == dtype
    np.testing.assert_allclose(tf.cast(ours, tf.float32), theirs, rtol=tolerance, atol=tolerance)
    slopes = tape.gradient(ours, inputs), tape.gradient(theirs, plain)
    np.testing.assert_allclose(tf.cast(slopes[0], tf.float32), slopes[1], atol=tolerance)
    twice = keras.Sequential([keras.Input((3,)), layers.GELU()])
    again = keras.Sequential.from_config(twice.get_config())
    np.testing.assert_allclose(again(x[:3][None]), keras.activations.gelu(x[:3][None]), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("baseline", 5),
        ("custom-cnn-augmented", 5),
        ("alexnet", 8),
        ("vgg19", 17),  # its two hidden dense layers are left out for 32 x 32 images
        ("resnet18", 18),  # the projections on shortcuts are not on the longest way
        ("densenet-bc", 100),
        ("speedrun", 8),
    ],
)
def test_depth_is_the_number_in_the_network_s_name(name, layers):
    experiment = find(name)
    assert cost.depth(models.build(experiment.architecture, experiment.options)) == layers


def limits():
    """Members of each family that has sizes, with its options at the smallest that they allow."""
    yield "custom_cnn", custom_cnn.Options(filters=(1,), dense=1, dropout=0.9)
    for attention in ("none", "squeeze-and-excitation"):
        normalized = attention != "none"
        yield "custom_cnn", custom_cnn.Options((1,) * 5, 1, 0.9, normalized, attention)
    yield "alexnet", alexnet.Options(dense=16, dropout=0.9)
    yield "densenet_bc", densenet.Options(depth=10, growth=1)
    for convolutions in (1, 3):
        yield "transformer", transformer.Options(convolutions, 1, 8, 8, 0.5, 0.9)
    yield "speedrun", speedrun.Options((8,), 0.01, whitening=False, identity=True)
    yield "speedrun", speedrun.Options((8,) * 4, 10.0)


def for_size(to_logits, size):
    return keras.models.clone_model(
        to_logits,
        input_tensors=[keras.Input((size, size, 3))],
        clone_function=lambda layer: layer,
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), limits())
def test_smallest_members_of_a_family_have_gradients(name, options, precision):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = models.build(name, options, precision)
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)
    # Two, as normalised values of a single position would all be zero.
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            [3, 5], to_logits(images, training=True)
        )
    gradients = tape.gradient(losses, model.trainable_variables)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert any(np.any(gradient) for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [*SMALL.items(), *limits()])
def test_smallest_image_is_the_smallest_that_a_network_takes(name, options):
    keras.backend.clear_session()
    model = models.build(name, options)
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)
    for size in (options.smallest_image, 32):
        images = tf.zeros((2, size, size, 3))
        assert for_size(to_logits, size)([images], training=True).shape == (2, 10)
    if options.smallest_image > 1:
        with pytest.raises(ValueError):
            for_size(to_logits, options.smallest_image - 1)


@pytest.mark.parametrize(
    ("options", "changes", "words"),
    [
        (SMALL["vgg19"], {"dropout": 2}, "less than or equal to 0.9"),
        (SMALL["transformer"], {"heads": 3}, "width: 16 is not a multiple of heads, 3"),
        (SMALL["densenet_bc"], {"depth": 11}, "depth: 11 is not"),
        (SMALL["custom_cnn"], {"filters": (1024,), "dense": 4096}, "at most 1907 are allowed"),
    ],
)
def test_options_are_validated_in_python_too(options, changes, words):
    with pytest.raises(ValueError, match=words):
        replace(options, **changes)
