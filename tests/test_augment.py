"""Augmentation does what its names say, and draws the same again."""

import numpy as np
import pytest
import tensorflow as tf

from cifarcam.training import augment
from cifarcam.training.settings import Augmentation


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)


def apply(settings, images, epoch=1, seed=0, step=0, indices=None):
    indices = np.arange(len(images)) if indices is None else indices
    return augment.augment(
        settings,
        tf.constant(images),
        tf.constant(indices, tf.int64),
        tf.constant(epoch, tf.int64),
        seed,
        tf.constant(step, tf.int64),
    ).numpy()


def by_numpy(image, flipped, dy, dx, pad=8):
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    moved = padded[pad + dy : pad + dy + height, pad + dx : pad + dx + width]
    return moved[:, ::-1] if flipped else moved


def test_augment_changes_nothing_without_settings(images):
    for settings in (None, Augmentation()):
        augmented = apply(settings, images)
        assert augmented.dtype == np.uint8
        assert np.array_equal(augmented, images)


def test_move_equals_padding_by_reflection_and_cutting(images):
    rng = np.random.default_rng(1)
    offsets = rng.integers(-5, 6, (40, 2))
    flipped = rng.random(40) < 0.5
    augmented = augment.move(
        tf.constant(images), tf.constant(flipped), tf.constant(offsets, tf.int32)
    ).numpy()
    for index, image in enumerate(images):
        np.testing.assert_array_equal(
            augmented[index], by_numpy(image, flipped[index], *offsets[index])
        )


def test_alternating_flips_show_both_sides_in_any_two_epochs(images):
    indices = tf.range(10_000, dtype=tf.int64)
    first, second, third = (
        augment.alternating_flips(indices, tf.constant(epoch, tf.int64), 7).numpy()
        for epoch in (1, 2, 3)
    )
    assert (first != second).all()
    assert (first == third).all()
    assert abs(first.mean() - 0.5) < 0.025
    neighbours = np.corrcoef(first[:-1], first[1:])[0, 1]
    other_seed = augment.alternating_flips(indices, tf.constant(1, tf.int64), 8).numpy()
    assert abs(neighbours) < 0.05
    assert abs((first == other_seed).mean() - 0.5) < 0.025


def test_flip_belongs_to_the_image_and_not_to_its_place_in_the_batch(images):
    settings = Augmentation(flip="alternating")
    order = np.random.default_rng(2).permutation(40)
    straight = apply(settings, images)
    shuffled = apply(settings, images[order], indices=order)
    assert np.array_equal(shuffled, straight[order])


def test_shifts_take_every_offset_about_equally_often():
    image = np.arange(32 * 32, dtype=np.int64).reshape(32, 32)
    coded = np.stack([image // 256, image % 256, 0 * image], axis=-1).astype(np.uint8)
    augmented = apply(Augmentation(shift=2), np.repeat(coded[None], 5000, axis=0)).astype(int)
    middle = augmented[:, 16, 16, 0] * 256 + augmented[:, 16, 16, 1] - (16 * 32 + 16)
    dy = np.round(middle / 32).astype(int)
    dx = middle - 32 * dy
    counts = np.zeros((5, 5))
    np.add.at(counts, (dy + 2, dx + 2), 1)
    assert counts.sum() == 5000
    assert counts.min() > 140  # of 200 expected
    assert counts.max() < 260


def test_rotation_by_a_right_angle_and_by_nothing_is_exact(images):
    turned = augment.rotate(tf.constant(images), tf.fill([40], 90.0)).numpy()
    difference = np.abs(turned.astype(int) - np.rot90(images, 1, (1, 2)).astype(int))
    assert difference[:, 1:-1, 1:-1].max() <= 1
    assert np.array_equal(augment.rotate(tf.constant(images), tf.zeros([40])).numpy(), images)


def test_rotation_turns_each_image_by_its_own_small_angle():
    ramp = np.repeat(np.linspace(64, 192, 32)[None, :, None], 32, axis=0)  # left to right
    images = np.repeat(np.repeat(ramp, 3, axis=2)[None], 200, axis=0).astype(np.uint8)
    augmented = apply(Augmentation(rotation=15.0), images)[:, 8:24, 8:24, 0].astype(float)
    down, across = np.gradient(augmented, axis=(1, 2))
    angles = np.degrees(np.arctan2(down.mean((1, 2)), across.mean((1, 2))))
    assert np.abs(angles).max() < 16.5
    assert angles.min() < -10
    assert angles.max() > 10
    assert len(np.unique(angles.round(2))) > 120


def test_cutout_greys_one_square_of_each_image(images):
    white = np.full_like(images, 255)
    centres = tf.constant([[16, 16]] * 39 + [[0, 31]])
    grey = (augment.cut_out(tf.constant(white), centres, 8).numpy() == augment.FILL).all(axis=-1)
    assert grey[0].sum() == 64
    assert grey[0, 12:20, 12:20].all()
    assert grey[39].sum() == 4 * 5
    assert grey[39, :4, 27:].all()
    sizes = (apply(Augmentation(cutout=8), white) == augment.FILL).all(axis=-1).sum(axis=(1, 2))
    assert sizes.max() == 64
    assert sizes.min() >= 16


def test_shrink_to_half_weighs_four_pixels_by_1_3_3_1():
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[:, 6] = 160  # one row
    augmented = augment.shrink(image, 8).numpy()
    assert augmented.dtype == np.float32
    np.testing.assert_allclose(augmented[0, :, 0, 0], [0, 0, 20, 60, 0, 0, 0, 0], atol=1e-4)
    assert np.ptp(augmented, axis=2).max() < 1e-4


def test_shrink_keeps_plain_images_and_greys_a_pattern_too_fine():
    plain = np.full((1, 32, 32, 3), 77, np.uint8)
    stripes = np.tile(np.array([0, 200], np.uint8), 16)[None, None, :, None]
    stripes = np.broadcast_to(stripes, (1, 32, 32, 3))
    for size in (20, 24, 32):
        np.testing.assert_allclose(augment.shrink(plain, size), 77, rtol=1e-6)
    inner = augment.shrink(stripes, 16).numpy()[:, :, 1:-1]
    np.testing.assert_allclose(inner, 100, rtol=1e-6)
    np.testing.assert_array_equal(augment.shrink(stripes, 32), stripes)


@pytest.mark.parametrize(
    "settings", [Augmentation(shift=4), Augmentation(rotation=10.0), Augmentation(cutout=8)]
)
def test_augment_draws_from_seed_and_step(settings, images):
    first = apply(settings, images, seed=3, step=5)
    assert np.array_equal(first, apply(settings, images, seed=3, step=5))
    assert not np.array_equal(first, apply(settings, images, seed=4, step=5))
    assert not np.array_equal(first, apply(settings, images, seed=3, step=6))
