"""Optimisers and learning-rate schedules against their papers' formulas in NumPy."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from cifarcam.training import optimization
from cifarcam.training.settings import Schedule, TrainingSettings


def settings(optimizer, **changes):
    defaults = {
        "seed": 0,
        "epochs": 1,
        "batch_size": 10,
        "learning_rate": 0.1,
        "precision": "float32",
    }
    return TrainingSettings(optimizer=optimizer, **(defaults | changes))


def rates(schedule, steps=100, peak=0.4):
    rate = optimization.LearningRate(schedule, peak, steps)
    return np.array([float(rate(tf.constant(step))) for step in range(steps + 1)])


def test_linear_schedule_is_two_straight_lines():
    learning_rates = rates(Schedule(shape="linear", warmup=0.2, start=0.1, end=0.0))
    up = 0.04 + (0.4 - 0.04) * np.arange(20) / 20
    down = 0.4 * (1 - np.arange(81) / 80)
    np.testing.assert_allclose(learning_rates, np.concatenate([up, down]), atol=1e-6)


def test_cosine_schedule_rises_straight_and_falls_as_a_cosine():
    learning_rates = rates(Schedule(shape="cosine", warmup=0.1, start=0.0, end=0.05))
    np.testing.assert_allclose(learning_rates[:10], 0.4 * np.arange(10) / 10, atol=1e-6)
    share = np.arange(91) / 90
    expected = 0.4 * (0.05 + 0.95 * (1 + np.cos(math.pi * share)) / 2)
    np.testing.assert_allclose(learning_rates[10:], expected, atol=1e-6)


def test_one_cycle_schedule_rises_and_falls_as_a_cosine():
    learning_rates = rates(Schedule(shape="one-cycle", warmup=0.5, start=0.04, end=0.0))
    assert learning_rates[0] == pytest.approx(0.016)
    assert learning_rates[25] == pytest.approx(0.4 * 0.52)
    assert learning_rates[50] == pytest.approx(0.4)
    assert learning_rates[75] == pytest.approx(0.2)
    assert learning_rates[100] == pytest.approx(0.0, abs=1e-7)


def test_schedule_without_warmup_starts_at_the_peak():
    learning_rates = rates(Schedule(shape="linear", warmup=0.0, start=0.0, end=0.0))
    np.testing.assert_allclose(learning_rates, 0.4 * (1 - np.arange(101) / 100), atol=1e-6)


def steps(settings, values, gradients, schedule=None, total=10):
    """The variables after a step for each list of gradients."""
    variables = [keras.Variable(value.astype(np.float32)) for value in values]
    optimizer = optimization.optimizer(settings, schedule, total, variables)
    for step in gradients:
        optimizer.apply([tf.constant(g, tf.float32) for g in step], variables)
    return [v.numpy() for v in variables]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_steps_by_the_learning_rate_and_decays_matrices_apart_from_the_gradient(optimizer):
    rng = np.random.default_rng(0)
    values, gradients = ([rng.normal(size=shape) for shape in ((4, 3), (3,))] for _ in range(2))
    results = steps(settings(optimizer, weight_decay=0.5), values, [gradients] * 2)
    # With the same gradient twice both moments equal it, so that a step is its sign.
    for value, gradient, decay, result in zip(values, gradients, (0.5, 0.0), results, strict=True):
        for _ in range(2):
            value = value - 0.1 * decay * value
            value = value - 0.1 * np.sign(gradient)
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def newton_schulz(matrix):
    """The iteration as it is published (Jordan et al. 2024), in float64."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / np.linalg.norm(x)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide else x.T


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 4, 8), (2, 2, 3, 24)])
def test_muon_follows_its_formulas_over_three_steps_of_a_schedule(shape):
    rng = np.random.default_rng(3)
    shapes = (shape, shape[-1:], (5, 4), ())
    values = [rng.normal(size=s) for s in shapes]
    gradients = [[rng.normal(size=s) for s in shapes] for _ in range(3)]
    muon = settings("muon", learning_rate=0.2, vector_learning_rate=0.01, momentum=0.6)
    schedule = Schedule(shape="linear", warmup=0.0, start=1.0, end=0.0)
    results = steps(muon, values, gradients, schedule, total=4)
    for index, value in enumerate(values):
        first, second = np.zeros_like(value), np.zeros_like(value)
        for step, gradient in enumerate(g[index] for g in gradients):
            share = 1 - step / 4
            if value.ndim == 4:
                first = 0.6 * first + gradient
                update = newton_schulz((gradient + 0.6 * first).reshape(-1, shape[-1]))
                value = value * np.sqrt(shape[-1]) / np.linalg.norm(value)
                value = value - 0.2 * share * update.reshape(shape)
            else:
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                mean, square = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
                value = value - 0.01 * share * mean / (np.sqrt(square) + 1e-7)
        np.testing.assert_allclose(
            results[index], value, rtol=2e-3, atol=2e-3 * np.abs(value).max()
        )


def test_muon_orthogonalises_the_updates_of_kernels():
    rng = np.random.default_rng(1)
    kernel, gradient = rng.normal(size=(3, 3, 8, 16)), rng.normal(size=(3, 3, 8, 16))
    muon = settings("muon", learning_rate=0.2, momentum=0.6)
    (after,) = steps(muon, [kernel], [[gradient]])
    start = kernel * 4 / np.linalg.norm(kernel)  # the norm of 16 orthonormal columns
    moved = (start - after).reshape(72, 16) / 0.2
    singular = np.linalg.svd(moved, compute_uv=False)
    # Newton-Schulz brings all singular values near one, not to it (Jordan et al. 2024).
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    left, _, right = np.linalg.svd(gradient.reshape(72, 16), full_matrices=False)
    alignment = (moved * (left @ right)).sum() / np.linalg.norm(moved) / 4
    assert alignment > 0.97


@pytest.mark.parametrize("shape", [(1152, 128), (24, 64), (64, 64)])
def test_orthogonalize_equals_the_iteration_of_keras(shape):
    matrix = np.random.default_rng(2).normal(size=shape)
    matrix = tf.constant(matrix * np.geomspace(1, 1e-3, shape[1]), tf.float32)
    ours = optimization.orthogonalize(matrix)
    keras_own = keras.optimizers.Muon().zeropower_via_newtonschulz5(matrix, 5)
    np.testing.assert_allclose(ours, keras_own, atol=1e-4)
