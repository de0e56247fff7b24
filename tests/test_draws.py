"""Random numbers of many images: their distribution, independence, and what decides them."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import _draws
from cifarcam.explain._draws import image_digests, normal, uniform

COUNT = 200_000


def seeds(*pairs):
    return tf.constant(np.array(pairs, np.uint32).view(np.int32))


def numbers(draw, pair, stream=0, count=COUNT):
    return draw(seeds(pair), [count], stream).numpy()[0].astype(np.float64)


@functools.cache
def pictures(count, side=32):
    """Smooth pictures of many contrasts, uint8."""
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=(count, side, side, 3)), (0, 2, 2, 0.5))
    noise /= noise.std(axis=(1, 2, 3), keepdims=True)
    contrasts = rng.uniform(5, 70, (count, 1, 1, 1))
    return np.clip(128 + noise * contrasts, 0, 255).astype(np.uint8)


# Seeds side by side, far apart, of zeros, and of ones.
PAIRS = [(0, 0), (0, 1), (1, 0), (7919, 12345), (0xFFFFFFFF, 0xFFFFFFFF)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("stream", [0, 1, 31])
def test_uniform_numbers_are_uniform(pair, stream):
    values = numbers(uniform, pair, stream)
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert 0 < values.min() < 1e-4
    assert 1 - 1e-4 < values.max() < 1


@pytest.mark.parametrize(("bits", "value"), [(0, 2**-24), (2**32 - 1, 1 - 2**-24)])
def test_uniform_numbers_never_round_to_zero_or_one(bits, value, monkeypatch):
    """So that a logarithm is finite, and an index, the floor of n times a number, is below n."""
    monkeypatch.setattr(_draws, "_hashes", lambda *_: tf.constant([[bits]], tf.uint32))
    assert uniform(seeds((0, 0)), [1]).numpy().item() == value
    assert np.isfinite(normal(seeds((0, 0)), [1]).numpy()).all()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("stream", [0, 1, 31])
def test_normal_numbers_are_normal(pair, stream):
    values = numbers(normal, pair, stream)
    assert stats.kstest(values, "norm").pvalue > 0.001
    assert abs(stats.kurtosis(values)) < 0.05
    assert 4 < np.abs(values).max() < 6.5


def correlation(first, second):
    return abs(np.corrcoef(first, second)[0, 1])


BOUND = 4.5 / np.sqrt(COUNT)  # of a correlation by chance: 4.5 deviations


@pytest.mark.parametrize("draw", [uniform, normal])
@pytest.mark.parametrize("pair", PAIRS)
def test_neighbouring_places_are_not_correlated(draw, pair):
    values = numbers(draw, pair)
    # Neighbours in a row, channels of a pixel, rows of a 32 x 32 image, images of 224 x 224.
    for distance in (1, 2, 3, 96, 672):
        assert correlation(values[:-distance], values[distance:]) < BOUND


@pytest.mark.parametrize("draw", [uniform, normal])
def test_streams_seeds_and_images_are_not_correlated(draw):
    rows = [numbers(draw, (0, 5), stream) for stream in range(4)]
    rows += [numbers(draw, (seed, 5)) for seed in (1, 2, 7919, 2**31)]
    rows += [numbers(draw, (0, image)) for image in (0, 4, 6, 5 + 2**16)]
    table = np.abs(np.corrcoef(rows) - np.eye(len(rows)))
    assert table.max() < BOUND
    # Nor do numbers return elsewhere in the row.
    for row in rows[1:]:
        assert len(np.intersect1d(rows[0], row)) < 0.1 * COUNT


def test_seeds_0_and_7919_are_different_draws():
    assert correlation(numbers(normal, (0, 5)), numbers(normal, (7919, 5))) < BOUND


def test_uniform_and_normal_numbers_of_a_stream_are_independent():
    levels, deviates = numbers(uniform, (3, 4), 1), numbers(normal, (3, 4), 1)
    for values in (deviates, np.abs(deviates)):
        assert correlation(levels, values) < BOUND
    for stream in range(6):
        assert correlation(numbers(uniform, (3, 4), stream), np.abs(deviates)) < BOUND


@pytest.mark.parametrize("draw", [uniform, normal])
def test_draws_depend_on_neither_batch_nor_order(draw):
    pairs = [(3, n * 1000) for n in range(6)]
    together = draw(seeds(*pairs), [4, 5, 3], 2).numpy()
    alone = np.concatenate([draw(seeds(pair), [4, 5, 3], 2).numpy() for pair in pairs])
    # The last digit of a cosine depends on its place in a vector of the processor.
    exact = {"rtol": 0, "atol": 1e-6 if draw is normal else 0}
    np.testing.assert_allclose(together, alone, **exact)
    turned = draw(seeds(*pairs[::-1]), [4, 5, 3], 2).numpy()
    np.testing.assert_allclose(together, turned[::-1], **exact)
    assert together.dtype == np.float32
    assert len(np.unique(together)) == together.size


def test_a_graph_draws_the_same_with_a_stream_and_a_size_that_it_learns_late():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.int32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
    )
    def in_graph(pairs, stream, size):
        return normal(pairs, [size, 7], stream)

    late = in_graph(seeds((1, 2), (3, 4)), 5, 6).numpy()
    np.testing.assert_allclose(late, normal(seeds((1, 2), (3, 4)), [6, 7], 5).numpy(), rtol=1e-6)


MEANS, DEVIATIONS = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
RANGES = {
    "0 to 255 in float64": lambda pixels: pixels.astype(np.float64),
    "0 to 1": lambda pixels: pixels / np.float32(255),
    "-1 to 1": lambda pixels: pixels / np.float32(127.5) - 1,
    "ImageNet": lambda pixels: (pixels / np.float32(255) - MEANS) / DEVIATIONS,
    "less ImageNet's means": lambda pixels: pixels - np.float32([123.68, 116.779, 103.939]),
}


@pytest.mark.parametrize("name", RANGES)
def test_an_image_has_one_digest_in_every_range(name):
    images = pictures(400)
    scaled = RANGES[name](images.astype(np.float32))
    np.testing.assert_array_equal(image_digests(scaled), image_digests(images))


def test_different_images_have_different_digests():
    images = pictures(400)
    assert len(np.unique(image_digests(images))) == len(images)
    mirrored = images[:, :, ::-1]
    assert (image_digests(mirrored) != image_digests(images)).all()
    assert (image_digests(images[..., ::-1]) != image_digests(images)).all()
    # A patch of another colour is another image.
    patched = images.copy()
    patched[:, 8:16, 8:16] = 255 - patched[:, 8:16, 8:16]
    assert (image_digests(patched) != image_digests(images)).mean() > 0.99


def test_digests_depend_on_neither_batch_nor_order():
    images = pictures(8)
    digests = image_digests(images)
    np.testing.assert_array_equal(image_digests(images[::-1]), digests[::-1])
    np.testing.assert_array_equal(np.concatenate([image_digests(i[None]) for i in images]), digests)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), (5, 7, 4), (224, 100, 3)])
def test_images_of_any_size_have_digests(shape):
    images = np.random.default_rng(1).integers(0, 256, (3, *shape))
    assert image_digests(images).dtype == np.uint32
    if shape != (1, 1, 1):  # one pixel scaled by itself tells nothing
        assert len(np.unique(image_digests(images))) == 3


@pytest.mark.parametrize("seed", [None, 0.5, "1", -1, True])
def test_seeds_that_are_no_whole_numbers_are_refused(seed):
    """They would stand for 0, or for no seed, so that all images have the same numbers."""
    drawing = {
        name: method
        for name, method in explain.METHODS.items()
        if "seed" in inspect.signature(method).parameters
    }
    assert {"random", "smoothgrad", "rise", "lime", "shap"} <= drawing.keys()
    for method in drawing.values():
        with pytest.raises(CifarcamError, match=f"seed is {seed!r}; give a whole number"):
            method(None, seed=seed)
