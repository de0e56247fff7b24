"""Layers of tokens, and the attention of vision transformers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain._tokens import Grid, grid_of_maps, grid_of_user

ROWS, COLUMNS = 4, 6  # of tokens
COUNT = ROWS * COLUMNS
HEIGHT, WIDTH = 4 * ROWS, 4 * COLUMNS
SIZE, HEADS = 8, 2  # of a token; of an attention
CLASSES = 4
CAMS = [name for name, method in explain.METHODS.items() if method.takes_layer]
ATTENTION = [explain.AttentionRollout, explain.AttentionRelevance]
RANGE = {"input_range": (-2, 2)}


@keras.saving.register_keras_serializable("test_tokens")
class ClassToken(layers.Layer):
    """Puts a trained token before all others."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, x):
        return ops.concatenate([ops.repeat(self.token, ops.shape(x)[0], axis=0), x], axis=1)


class Positions(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x):
        return x + self.table


def keras_attention(x, name):
    return layers.MultiHeadAttention(HEADS, SIZE // HEADS, name=name)(x, x)


def projected(x, name):
    """N x tokens x heads x width of a head."""
    return layers.EinsumDense(
        "ntc,chd->nthd", (x.shape[1], HEADS, SIZE // HEADS), bias_axes="hd", name=name
    )(x)


def joined(x, name):
    return layers.EinsumDense("nthd,hdc->ntc", (x.shape[1], SIZE), bias_axes="c", name=name)(x)


def written_attention(x, name):
    query, key, value = (projected(x, f"{name}_{part}") for part in ("query", "key", "value"))
    query, key, value = (ops.transpose(each, (0, 2, 1, 3)) for each in (query, key, value))
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / (SIZE // HEADS) ** 0.5
    weights = layers.Softmax(name=f"{name}_softmax")(scores)
    mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
    return joined(mixed, f"{name}_output")


def product_attention(x, name):
    parts = (projected(x, f"{name}_{part}") for part in ("query", "key", "value"))
    return joined(ops.dot_product_attention(*parts), f"{name}_output")


def embedded():
    """An image and its tokens."""
    image = keras.Input((HEIGHT, WIDTH, 3), name="image")
    x = layers.Conv2D(SIZE, 4, 4, name="patches")(image)
    return image, layers.Reshape((-1, SIZE), name="tokens")(x)


def vit(readout="class", attention=keras_attention, depth=2, seed=0):
    """A small vision transformer that reads its class token, or the mean of its tokens."""
    keras.utils.set_random_seed(seed)
    image, x = embedded()
    if readout == "class":
        x = ClassToken(name="class_token")(x)
    x = Positions(name="positions")(x)
    for block in range(1, depth + 1):
        inner = layers.LayerNormalization(name=f"block{block}_norm1")(x)
        inner = attention(inner, f"block{block}_attention")
        x = layers.Add(name=f"block{block}_add1")([x, inner])
        inner = layers.LayerNormalization(name=f"block{block}_norm2")(x)
        inner = layers.Dense(SIZE, activation="gelu", name=f"block{block}_dense")(inner)
        x = layers.Add(name=f"block{block}_add2")([x, inner])
    x = layers.LayerNormalization(name="norm")(x)
    if readout == "class":
        x = x[:, 0]
    elif readout == "mean":
        x = layers.GlobalAveragePooling1D(name="pool")(x)
    else:
        weights = layers.Softmax(axis=1, name="weights")(layers.Dense(1, name="importance")(x))
        x = layers.Flatten(name="pool")(layers.Dot(axes=1)([weights, x]))
    x = layers.Dense(CLASSES, name="logits")(x)
    model = keras.Model(image, layers.Softmax(name="softmax")(x), name="vit")
    sharpen(model)
    return model


def sharpen(model):
    """Multiply the weights of queries, so that attention is not almost uniform."""
    for variable in model.trainable_variables:
        if "query/kernel" in variable.path or "query_" in variable.path:
            variable.assign(6 * variable)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(5, HEIGHT, WIDTH, 3)).astype(np.float32)


def activations_and_gradients(model, layer, images, target):
    """By a plain model of two outputs."""
    two = keras.Model(
        model.inputs, [model.get_layer(layer).output, model.get_layer("logits").output]
    )
    with tf.GradientTape() as tape:
        activations, logits = two(images)
        tape.watch(activations)
        score = tf.reduce_sum(logits[:, target])
    return activations.numpy(), tape.gradient(score, activations).numpy()


FORMULAS = {
    "grad-cam": lambda a, g: np.einsum("nijk,nk->nij", a, g.mean(axis=(1, 2))),
    "hires-cam": lambda a, g: (a * g).sum(axis=-1),
    "layer-cam": lambda a, g: (a * np.maximum(g, 0)).sum(axis=-1),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("readout", "attention", "layer", "default"),
    [
        ("class", keras_attention, "block1_add2", True),
        ("class", keras_attention, "positions", False),
        ("class", written_attention, "block1_add2", True),
        ("class", product_attention, "block1_add2", True),
        ("mean", keras_attention, "block2_add2", True),
        ("mean", written_attention, "block2_add2", True),
        ("mean", keras_attention, "block2_attention", False),
        ("weights", keras_attention, "block2_add2", True),
    ],
)
def test_maps_of_tokens_are_those_of_a_plain_model(readout, attention, layer, default, images):
    model = vit(readout, attention)
    classifier = explain.Classifier(model)
    activations, gradients = activations_and_gradients(model, layer, images, 2)
    extra = int(readout == "class")
    on_grid = [e[:, extra:].reshape(5, ROWS, COLUMNS, SIZE) for e in (activations, gradients)]
    assert np.abs(on_grid[1]).max() > 1e-4
    for name, formula in FORMULAS.items():
        explainer = explain.METHODS[name](classifier, None if default else layer)
        assert explainer.layer == layer
        expected = formula(*on_grid)
        error = np.abs(explainer.signed_maps(images, 2) - expected).max()
        # Of the terms, which nearly cancel.
        assert error < 1e-5 * formula(*map(np.abs, on_grid)).max()
    assert classifier.flat.map_shape(layer) == (ROWS, COLUMNS, SIZE)


@pytest.mark.slow
def test_only_the_class_token_of_the_last_block_gets_a_gradient(images):
    """So that a map at its end is zero; this is why the default layer is before."""
    model = vit("class")
    _, gradients = activations_and_gradients(model, "block2_add2", images, 1)
    assert not gradients[:, 1:].any() and gradients[:, 0].any()
    assert not explain.GradCAM(model, "block2_add2")(images).any()
    assert explain.HiResCAM(model).signed_maps(images, 1).any()
    one = vit("class", depth=1)
    assert explain.GradCAM(one).layer == "positions"


def test_head_restores_the_tokens(images):
    for readout in ("class", "mean"):
        model = vit(readout)
        classifier = explain.Classifier(model)
        logits = keras.Model(model.inputs, model.get_layer("logits").output)(images)
        for layer in ("positions", "block1_norm1", "block2_attention"):
            part = classifier.flat.split(layer)
            between = part.stem(tf.constant(images))
            assert between[0].shape == (5, ROWS, COLUMNS, SIZE)
            np.testing.assert_allclose(part.head(between), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CAMS)
def test_cams_of_tokens_and_of_a_map_are_equal(name, images):
    """A layer that treats each token alone is a convolution of 1 x 1."""
    image, x = embedded()
    x = layers.Dense(5, activation="relu", name="each")(x)
    x = layers.Dense(CLASSES, name="logits")(layers.GlobalAveragePooling1D()(x))
    of_tokens = keras.Model(image, x)
    y = layers.Conv2D(SIZE, 4, 4)(image)
    y = layers.Conv2D(5, 1, activation="relu", name="each")(y)
    y = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(y))
    of_map = keras.Model(image, y)
    of_map.set_weights(
        [w.reshape(v.shape) for w, v in zip(of_tokens.get_weights(), of_map.weights, strict=True)]
    )
    maps = []
    for model in (of_tokens, of_map):
        explainer = explain.METHODS[name](model, **RANGE)
        assert explainer.layer == "each"
        maps.append(explainer.signed_maps(images[:2], 1))
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-5 * np.abs(maps[1]).max())


@pytest.mark.slow
def test_maps_of_tokens_within_another_model_are_equal(images):
    inner = vit("class")
    x = inner(layers.Rescaling(0.5)(inputs := keras.Input((HEIGHT, WIDTH, 3))))
    outer = keras.Model(inputs, layers.Identity()(x))
    for method in (explain.GradCAM, *ATTENTION):
        nested, plain = method(outer), method(inner)
        assert nested.layers == tuple(f"vit/{layer}" for layer in plain.layers)
        expected = plain.signed_maps(images, 1)
        result = nested.signed_maps(2 * images, 1)
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.slow
def test_maps_of_tokens_in_mixed_precision_are_near(images):
    plain = vit("class")
    try:
        keras.config.set_dtype_policy("mixed_float16")
        half = vit("class")
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(plain.get_weights())
    for method in (explain.GradCAM, *ATTENTION):
        expected = method(plain).signed_maps(images, 1)
        error = np.abs(method(half).signed_maps(images, 1) - expected).max()
        assert 0 < error < 0.03 * np.abs(expected).max()
    # The scale of a token changes no score behind a layer normalisation, so that the terms of
    # HiResCAM nearly cancel. Float16, with steps of 1 / 1,024, is as exact as the terms are.
    hires = explain.HiResCAM(plain)
    pair = activations_and_gradients(plain, hires.layer, images, 1)
    terms = np.abs(pair[0] * pair[1])[:, 1:].sum(axis=-1).max()
    expected = hires.signed_maps(images, 1)
    error = np.abs(explain.HiResCAM(half).signed_maps(images, 1) - expected).max()
    assert np.abs(expected).max() < 0.01 * terms and 0 < error < terms / 1024


def pooled_tokens():
    """Tokens of 12 pairs of neighbours, whose grid is not that of the patches."""
    image, x = embedded()
    x = layers.Dense(SIZE, name="pairs")(layers.AveragePooling1D(2)(x))
    x = layers.Dense(CLASSES, name="logits")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(image, x)


def test_tokens_give_the_grid_that_is_not_found(images):
    model = pooled_tokens()
    with pytest.raises(
        CifarcamError, match=r"12 tokens of 8 numbers.*give tokens=\(rows, columns\)"
    ):
        explain.GradCAM(model, "pairs")
    assert explain.GradCAM(model).layer == "patches"
    activations, gradients = activations_and_gradients(model, "pairs", images, 1)
    flat = (activations * gradients).sum(axis=-1)
    for grid in ((4, 3), (3, 4)):
        explainer = explain.HiResCAM(model, tokens=grid)
        assert explainer.layer == "pairs"
        np.testing.assert_allclose(
            explainer.signed_maps(images, 1), flat.reshape(5, *grid), rtol=1e-4, atol=1e-6
        )
    # Two tokens more than the grid has are class and distillation tokens.
    explainer = explain.HiResCAM(model, tokens=(2, 5))
    np.testing.assert_allclose(
        explainer.signed_maps(images, 1), flat[:, 2:].reshape(5, 2, 5), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(CifarcamError, match=r"tokens is \(5, 5\), but no layer has 25 tokens"):
        explain.HiResCAM(model, tokens=(5, 5))
    for wrong in (12, (3,), (0, 4), (2.5, 2), "34"):
        with pytest.raises(CifarcamError, match="numbers of rows and columns"):
            explain.HiResCAM(model, tokens=wrong)
    with pytest.raises(CifarcamError, match=r"tokens=\(4, 6\) do not fit them"):
        explain.HiResCAM(model, "pairs", tokens=(4, 6))


@pytest.mark.slow
@pytest.mark.parametrize("extra", [0, 1, 5, COUNT - 1])
def test_registers_before_the_grid_of_a_user_count_as_extra_tokens(extra, images):
    """As in DINOv2, whose four registers follow the class token."""
    image, x = embedded()
    for _ in range(extra):
        x = ClassToken()(x)
    x = layers.Add(name="add")([x, keras_attention(x, "attention")])
    x = layers.LayerNormalization(name="norm")(x)[:, extra:]
    model = keras.Model(image, layers.Dense(4, name="logits")(layers.GlobalAveragePooling1D()(x)))
    explainer = explain.HiResCAM(model, tokens=(ROWS, COLUMNS))
    assert explainer.layer == "add"
    activations, gradients = activations_and_gradients(model, "add", images, 1)
    expected = (activations * gradients).sum(axis=-1)[:, extra:].reshape(5, ROWS, COLUMNS)
    np.testing.assert_allclose(explainer.signed_maps(images, 1), expected, rtol=1e-3, atol=1e-6)
    assert grid_of_user(COUNT + extra, (ROWS, COLUMNS)) == Grid(ROWS, COLUMNS, extra)
    assert grid_of_user(2 * COUNT, (ROWS, COLUMNS)) is None
    assert grid_of_user(COUNT - 1, (ROWS, COLUMNS)) is None


def test_default_layer_before_a_mean_of_patches_is_the_last_block(images):
    """Neither the part without the class token nor the normalisation shows more."""
    image, x = embedded()
    x = ClassToken()(x)
    x = layers.Add(name="add")([x, keras_attention(x, "attention")])
    x = layers.RMSNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling1D()(x[:, 1:])
    model = keras.Model(image, layers.Dense(CLASSES, name="logits")(x))
    explainer = explain.HiResCAM(model)
    assert explainer.layer == "add"
    assert explainer.signed_maps(images, 1).any()
    assert explain.HiResCAM(model, "norm").layer == "norm"


def test_grid_is_found():
    maps = [(16, 24), (8, 12), (4, 6)]
    assert grid_of_maps(24, maps) == Grid(4, 6, 0)
    assert grid_of_maps(25, maps) == Grid(4, 6, 1)
    assert grid_of_maps(26, maps) == Grid(4, 6, 2)
    assert grid_of_maps(27, maps) is None
    assert grid_of_maps(97, maps) == Grid(8, 12, 1)
    assert grid_of_maps(6, maps) == Grid(2, 3, 0)  # patches of 2 x 2
    assert grid_of_maps(7, [*maps, (1, 1)]) is None
    assert grid_of_maps(144, [(72, 72)]) == Grid(12, 12, 0)
    assert grid_of_maps(145, [(72, 72)]) == Grid(12, 12, 1)
    assert grid_of_maps(24, []) is None


class Patches(layers.Layer):
    def call(self, x):
        cut = ops.image.extract_patches(x, 4)
        return ops.reshape(cut, (-1, COUNT, 48))


def test_patches_without_a_convolution_are_found(images):
    image = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Dense(SIZE, name="embedding")(Patches()(image))
    x = x + keras_attention(x, "attention")
    x = layers.Dense(CLASSES, name="logits")(layers.Flatten()(x))
    model = keras.Model(image, x)
    explainer = explain.HiResCAM(model, "embedding")
    activations, gradients = activations_and_gradients(model, "embedding", images, 1)
    expected = (activations * gradients).sum(axis=-1).reshape(5, ROWS, COLUMNS)
    np.testing.assert_allclose(explainer.signed_maps(images, 1), expected, rtol=1e-4, atol=1e-5)
    assert explain.AttentionRollout(model).signed_maps(images).shape == expected.shape


def test_tensors_of_heads_are_no_layers(images):
    model = vit("mean", written_attention)
    with pytest.raises(CifarcamError, match="belongs to attention heads") as error:
        explain.GradCAM(model, "block1_attention_softmax")
    with pytest.raises(CifarcamError, match="no layer 'x'") as other:
        explain.GradCAM(model, "x")
    listed = "layers with a 4-D output are patches; layers of tokens are tokens, positions"
    assert listed in str(error.value) and listed in str(other.value)
    assert "query" not in str(other.value) and "softmax" not in str(other.value)
    with pytest.raises(CifarcamError, match="heads"):
        explain.GradCAM(model, "block1_attention_query")


def test_windows_are_no_layers(images):
    """Four rows of six tokens are four images of their own."""
    model = windowed()
    with pytest.raises(CifarcamError, match="first axis of the output of layer 'rows'") as error:
        explain.GradCAM(model, "rows")
    assert "layers of tokens are tokens, reshape" in str(error.value)
    with pytest.raises(CifarcamError, match=r"no layer has 6 tokens.*layers have 24$"):
        explain.GradCAM(model, "rows", tokens=(1, COLUMNS))
    image, x = embedded()
    x = layers.Reshape((2, 2, 2, 3, SIZE))(x)
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 2, 3, SIZE))
    x = layers.Conv2D(SIZE, 1, name="parts")(x)
    x = layers.Dense(CLASSES)(layers.Flatten()(ops.reshape(x, (-1, COUNT * SIZE))))
    with pytest.raises(CifarcamError, match="first axis of the output of layer 'parts'"):
        explain.GradCAM(keras.Model(image, x), "parts")


class Halves(layers.Layer):
    """Cuts images into an upper and a lower half, which are images of their own."""

    def call(self, x):
        middle = x.shape[1] // 2
        return ops.concatenate([x[:, :middle], x[:, middle:]], axis=0)


class Whole(layers.Layer):
    """Undoes `Halves`."""

    def call(self, x):
        return ops.concatenate(ops.split(x, 2, axis=0), axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], 2 * shape[1], *shape[2:])


def test_windows_that_a_layer_of_one_s_own_cuts_are_refused(images):
    image = keras.Input(images.shape[1:])
    x = layers.Conv2D(4, 3, activation="relu", name="inside")(Halves()(image))
    x = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(Whole()(x)))
    with pytest.raises(CifarcamError, match=f"inside: {2 * len(images)} maps for {len(images)}"):
        explain.GradCAM(keras.Model(image, x), "inside")(images)


def of_any_size():
    image = keras.Input((None, None, 3))
    x = layers.Reshape((-1, SIZE))(layers.Conv2D(SIZE, 4, 4, name="patches")(image))
    x = layers.Add(name="add")([x, keras_attention(x, "attention")])
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)), name="vit")


@pytest.mark.slow
def test_tokens_of_images_of_any_size_ask_for_a_size(images):
    model = of_any_size()
    assert explain.GradCAM(model, "patches")(images).any()
    for options in ({}, {"layer": "add"}, {"tokens": (ROWS, COLUMNS)}):
        with pytest.raises(CifarcamError, match=r"size of the image.*fix the size.*keras\.Input"):
            explain.GradCAM(model, **options)
    for method in ATTENTION:
        with pytest.raises(CifarcamError, match=r"size of the image.*fix the size.*keras\.Input"):
            method(model)
    # As the error says.
    of_size = keras.Input((HEIGHT, WIDTH, 3))
    fixed = keras.Model(of_size, model(of_size))
    image = keras.Input((HEIGHT, WIDTH, 3))
    plain = keras.models.clone_model(model, input_tensors=image)
    plain.set_weights(model.get_weights())
    for method in (explain.GradCAM, *ATTENTION):
        expected = method(plain)(images, 1)
        assert expected.any()
        np.testing.assert_allclose(method(fixed)(images, 1), expected, rtol=1e-4, atol=1e-8)
    assert explain.GradCAM(fixed).layer == "vit/add"


@pytest.mark.slow
def test_tokens_after_a_resizing_are_those_of_the_resized_images(images):
    inner = vit("mean")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, inner(layers.Resizing(HEIGHT, WIDTH)(image)))
    for method in (explain.GradCAM, *ATTENTION):
        plain, resized = method(inner), method(model)
        expected = plain(images, 1)
        assert expected.any()
        np.testing.assert_allclose(resized(images, 1), expected, rtol=1e-4, atol=1e-8)
        assert resized.layers == tuple(f"vit/{layer}" for layer in plain.layers)


class Pair(layers.Layer):
    """Its input, and twice that, by a layer within or without."""

    def __init__(self, inner=None, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, x):
        return x, 2 * x if self.inner is None else self.inner(x)


@pytest.mark.parametrize("inner", [None, layers.Rescaling(2)])
def test_a_layer_of_two_outputs_is_said_to_be_one(inner):
    image = keras.Input((4, 4, 3))
    one, two = Pair(inner, name="pair")(layers.Conv2D(2, 3, name="conv")(image))
    model = keras.Model(
        image, layers.Dense(2)(layers.Flatten()(layers.Add(name="sum")([one, two])))
    )
    message = "'pair' has several outputs, and a layer with one is needed; .*are conv"
    with pytest.raises(CifarcamError, match=message):
        explain.GradCAM(model, "pair")


def test_tokens_laid_out_again_are_a_map(images):
    image, x = embedded()
    x = written_attention(x, "attention")
    x = layers.Reshape((ROWS, COLUMNS, SIZE), name="again")(x)
    x = layers.Conv2D(5, 1, name="conv")(x)
    x = layers.Dense(CLASSES, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x)
    assert explain.GradCAM(model).layer == "conv"
    assert explain.GradCAM(model, "again").signed_maps(images).shape == (5, ROWS, COLUMNS)


# Attention


def fixed_attention(x, weights):
    """Attention that is `weights`, heads x tokens x tokens, whatever the tokens are."""
    heads = ops.repeat(ops.expand_dims(x, 1), len(weights), axis=1)
    zeros = 0 * ops.matmul(heads, ops.transpose(heads, (0, 1, 3, 2)))
    logits = np.log(np.maximum(weights, 1e-30)).astype("float32")
    return ops.mean(ops.matmul(ops.softmax(zeros + logits), heads), axis=1)


def fixed_network(matrices, size, readout="mean"):
    """x + A x for each A of `matrices`; tokens are patches of 2 x 2 pixels of one colour."""
    image = keras.Input((2 * size[0], 2 * size[1], 1))
    x = layers.Conv2D(3, 2, 2, use_bias=False)(image)
    x = layers.Reshape((-1, 3))(x)
    if readout == "class":
        x = ClassToken()(x)
    for weights in matrices:
        x = x + fixed_attention(x, np.asarray(weights, np.float32))
    tokens = layers.Identity(name="end")(x)
    x = tokens[:, 0] if readout == "class" else layers.GlobalAveragePooling1D()(tokens)
    return keras.Model(image, layers.Dense(2, name="logits")(x))


@pytest.fixture(scope="module")
def greys():
    return np.random.default_rng(1).normal(size=(3, 2, 4, 1)).astype(np.float32)


FIRST = np.array([[[0.5, 0.5], [0.2, 0.8]]])
SECOND = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.1, 0.9], [0.4, 0.6]]])  # two heads


def test_rollout_of_two_tokens_and_two_layers_by_hand(greys):
    """The mean of SECOND's heads is [[.5, .5], [.4, .6]].

    With residuals, [[.75, .25], [.2, .8]] times [[.75, .25], [.1, .9]] is
    [[.5875, .4125], [.23, .77]], whose rows have the mean [.40875, .59125].
    """
    maps = explain.AttentionRollout(fixed_network([FIRST, SECOND], (1, 2))).signed_maps(greys)
    np.testing.assert_allclose(maps, [[[0.40875, 0.59125]]] * 3, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("target", [0, 1])
def test_relevance_of_two_tokens_and_two_layers_by_hand(greys, target):
    keras.utils.set_random_seed(3)
    model = fixed_network([FIRST, SECOND], (1, 2))
    kernel, weights, _ = model.get_weights()
    maps = explain.AttentionRelevance(model).signed_maps(greys, target)
    for image, result in zip(greys, maps, strict=True):
        patches = image.reshape(2, 2, 2).transpose(1, 0, 2).reshape(2, 4)
        tokens = patches @ kernel.reshape(4, 3)
        later = tokens + FIRST[0] @ tokens
        slope = np.tile(weights[:, target] / 2, (2, 1))  # of the mean of two tokens
        # Each head has half of the attention of the second layer.
        second = np.maximum(SECOND * (slope @ later.T / 2), 0).mean(axis=0)
        before = slope + SECOND.mean(axis=0).T @ slope
        first = np.maximum(FIRST[0] * (before @ tokens.T), 0)
        relevance = np.eye(2) + first
        relevance += second @ relevance
        expected = (relevance - np.eye(2)).mean(axis=0)
        np.testing.assert_allclose(result[0], expected, rtol=1e-4, atol=1e-6)
    assert maps.any()


def test_attention_of_each_token_to_itself_leaves_the_residual():
    own = np.eye(6)[np.newaxis]
    pictures = np.random.default_rng(2).normal(size=(2, 4, 6, 1)).astype(np.float32)
    model = fixed_network([own, own], (2, 3))
    np.testing.assert_allclose(explain.AttentionRollout(model)(pictures), 1 / 6, rtol=1e-6)
    own = np.eye(7)[np.newaxis]
    model = fixed_network([own, own], (2, 3), "class")
    for method in ATTENTION:  # nothing of the image reaches the class token
        np.testing.assert_allclose(method(model)(pictures), 0, atol=1e-20)


def test_uniform_attention_has_a_uniform_rollout():
    pictures = np.random.default_rng(2).normal(size=(2, 4, 6, 1)).astype(np.float32)
    uniform = np.full((1, 6, 6), 1 / 6)
    model = fixed_network([uniform, uniform], (2, 3))
    np.testing.assert_allclose(explain.AttentionRollout(model)(pictures), 1 / 6, rtol=1e-6)
    uniform = np.full((1, 7, 7), 1 / 7)
    model = fixed_network([uniform], (2, 3), "class")
    np.testing.assert_allclose(explain.AttentionRollout(model)(pictures), 1 / 14, rtol=1e-6)


def plain_attention(model, images, target):
    """Attention and its gradients, of a ViT whose layers are called one by one."""
    of, weights = model.get_layer, []
    with tf.GradientTape() as tape:  # it watches all weights, and what is made of them
        x = of("positions")(of("class_token")(of("tokens")(of("patches")(images))))
        for block in ("block1", "block2"):
            inner = of(f"{block}_norm1")(x)
            inner, each = of(f"{block}_attention")(inner, inner, return_attention_scores=True)
            x = x + inner
            x = x + of(f"{block}_dense")(of(f"{block}_norm2")(x))
            weights.append(each)
        total = tf.reduce_sum(of("logits")(of("norm")(x)[:, 0])[:, target])
    gradients = tape.gradient(total, weights)
    return [each.numpy() for each in weights], [each.numpy() for each in gradients]


@pytest.mark.slow
def test_attention_maps_are_those_of_a_plain_model(images):
    model = vit("class")
    weights, gradients = plain_attention(model, images, 2)
    assert weights[0].max() > 0.2  # far from uniform
    rollout = relevance = np.eye(COUNT + 1)
    for each, gradient in zip(weights, gradients, strict=True):
        rollout = (each.mean(axis=1) + np.eye(COUNT + 1)) / 2 @ rollout
        relevance = relevance + np.maximum(each * gradient, 0).mean(axis=1) @ relevance
    for method, expected in zip(ATTENTION, (rollout, relevance), strict=True):
        result = method(model).signed_maps(images, 2)
        expected = expected[:, 0, 1:].reshape(result.shape)
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-5 * expected.max())


def copy_weights(own, other):
    """Weights of a ViT of `MultiHeadAttention` to one whose attention is written out."""
    for layer in own.layers:
        if isinstance(layer, layers.MultiHeadAttention):
            for part in ("query", "key", "value", "output"):
                inner = getattr(layer, f"{part}_dense")
                other.get_layer(f"{layer.name}_{part}").set_weights(inner.get_weights())
        elif layer.weights:
            other.get_layer(layer.name).set_weights(layer.get_weights())


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["class", "mean", "weights"])
@pytest.mark.parametrize("method", ATTENTION)
def test_attention_maps_are_equal_however_attention_is_written(method, readout, images):
    own = vit(readout, keras_attention)
    maps = [method(own).signed_maps(images, 1)]
    for attention in (written_attention, product_attention):
        other = vit(readout, attention)
        copy_weights(own, other)
        np.testing.assert_allclose(other(images), own(images), rtol=1e-4)
        maps.append(method(other).signed_maps(images, 1))
        np.testing.assert_allclose(maps[-1], maps[0], rtol=1e-4, atol=1e-6 * maps[0].max())


def asking_attention(x, name):
    layer = layers.MultiHeadAttention(HEADS, SIZE // HEADS, dropout=0.1, name=name)
    return layer(x, x, return_attention_scores=True)[0]


@pytest.mark.slow
def test_attention_that_the_model_asks_for_is_taken(images):
    own, other = vit("mean"), vit("mean", asking_attention)
    other.set_weights(own.get_weights())
    for method in ATTENTION:
        expected, result = (method(each).signed_maps(images, 1) for each in (own, other))
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["class", "mean", "weights"])
def test_gradients_of_attention_are_those_of_finite_differences(readout, images):
    """Of the first layer's attention, through the second's, with the pooling weights."""
    model = vit(readout, written_attention)
    classifier = explain.Classifier(model)
    explainer = explain.AttentionRelevance(classifier)
    matrices = []
    explainer._unscaled = lambda scaled, like: matrices.append(scaled(1.0)) or matrices[-1]
    batch = explain.base.Batch(
        tf.constant(images[:1]), tf.constant([[1, -1]], tf.int64), tf.zeros([1, 2], tf.int32), 32
    )
    explainer._matrices(batch)
    count = COUNT + (readout == "class")
    first = matrices[0].numpy()[0, : count**2].reshape(count, count)
    place = np.unravel_index(first.argmax(), first.shape)
    softmax = model.get_layer("block1_attention_softmax")
    weights = keras.Model(model.inputs, softmax.output)(images[:1]).numpy()[0]
    own, step, products = softmax.call, 1e-2, []
    for head in range(HEADS):
        change, scores = np.zeros((1, HEADS, count, count), np.float32), []
        change[0, head][place] = step
        for sign in (1, -1):
            try:
                softmax.call = lambda x, mask=None, by=sign * change: own(x) + by
                logits = keras.Model(model.inputs, model.get_layer("logits").output)
                scores.append(float(logits(images[:1])[0, 1]))
            finally:
                softmax.call = own
        slope = (scores[0] - scores[1]) / (2 * step)
        products.append(slope * weights[head][place])
    np.testing.assert_allclose(first[place], np.maximum(products, 0).mean(), rtol=1e-2)


def test_pooling_weights_take_the_rows_of_a_class_token(images):
    model = vit("weights", depth=1)
    inner = keras.Model(model.inputs, model.get_layer("block1_norm1").output)(images)
    _, attention = model.get_layer("block1_attention")(inner, inner, return_attention_scores=True)
    weights = keras.Model(model.inputs, model.get_layer("weights").output)(images)
    rolled = (np.eye(COUNT) + attention.numpy().mean(axis=1)) / 2
    expected = np.einsum("nt,nts->ns", weights.numpy()[..., 0], rolled)
    result = explain.AttentionRollout(model).signed_maps(images)
    np.testing.assert_allclose(result, expected.reshape(result.shape), rtol=1e-4)
    np.testing.assert_allclose(result.sum(axis=(1, 2)), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ATTENTION)
def test_attention_maps_do_not_depend_on_batch_and_order(method, images):
    explainer = method(vit("class"))
    whole = explainer(images, 1)
    assert whole.shape == images.shape[:3]
    for other in (explainer(images, 1, batch_size=2), explainer(images[::-1], 1)[::-1]):
        np.testing.assert_allclose(other, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_relevance_follows_class_and_score_and_rollout_does_not(images):
    model = vit("class")
    rollout, relevance = (method(model) for method in ATTENTION)
    np.testing.assert_array_equal(rollout(images, 0), rollout(images, 1))
    maps = [relevance.signed_maps(images, k) for k in range(2)]
    assert np.abs(maps[0] - maps[1]).max() > 0.1 * maps[0].max()
    against = relevance.signed_maps(images, 0, against=1)
    assert np.abs(against - maps[0]).max() > 0.1 * maps[0].max()
    halves = explain.AttentionRelevance(
        model, score=lambda outputs, targets: ops.log(outputs[:, 0]) - ops.log(outputs[:, 1])
    )
    np.testing.assert_allclose(halves.signed_maps(images), against, rtol=1e-3, atol=1e-6)


def crossed():
    """Tokens that attend to others of another number."""
    image, x = embedded()
    x = keras_attention(x, "own")
    pairs = layers.AveragePooling1D(2)(x)
    x = layers.MultiHeadAttention(HEADS, 4, name="cross")(x, pairs)
    return keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


def windowed():
    """Attention within the rows of the grid, which become images of their own."""
    image, x = embedded()
    x = ops.reshape(x, (-1, COLUMNS, SIZE))
    x = ops.reshape(keras_attention(x, "rows"), (-1, COUNT, SIZE))
    return keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


@pytest.mark.parametrize("method", ATTENTION)
def test_attention_methods_refuse_other_models(method):
    image, x = embedded()
    plain = keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))
    with pytest.raises(CifarcamError, match=f"{method.title} needs attention, and none is seen"):
        method(plain)
    with pytest.raises(CifarcamError, match="in 'cross' 24 tokens attend to 12 others"):
        method(crossed())
    with pytest.raises(CifarcamError, match="between the tokens of a window"):
        method(windowed())
    with pytest.raises(CifarcamError, match="takes no layer"):
        method(vit(), "norm")
