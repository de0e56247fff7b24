"""Optimisers, schedules and averages against their papers' formulas in NumPy."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from cifarcam.training import optimization
from cifarcam.training.experiment import Averaging, Schedule, TrainingSettings


def settings(**changes):
    given = {
        "seed": 0,
        "epochs": 1,
        "batch_size": 10,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "precision": "float32",
    }
    return TrainingSettings(**(given | changes))


def rates(schedule, steps=100, peak=0.4):
    chosen = optimization.LearningRate(schedule, peak, steps)
    return np.array([float(chosen(tf.constant(step))) for step in range(steps + 1)])


def test_a_linear_schedule_is_two_straight_lines():
    found = rates(Schedule(shape="linear", warmup=0.2, start=0.1, end=0.0))
    up = 0.04 + (0.4 - 0.04) * np.arange(20) / 20
    down = 0.4 * (1 - np.arange(81) / 80)
    np.testing.assert_allclose(found, np.concatenate([up, down]), atol=1e-6)


def test_a_cosine_schedule_rises_straight_and_falls_as_a_cosine():
    found = rates(Schedule(shape="cosine", warmup=0.1, start=0.0, end=0.05))
    np.testing.assert_allclose(found[:10], 0.4 * np.arange(10) / 10, atol=1e-6)
    share = np.arange(91) / 90
    expected = 0.4 * (0.05 + 0.95 * (1 + np.cos(math.pi * share)) / 2)
    np.testing.assert_allclose(found[10:], expected, atol=1e-6)


def test_one_cycle_rises_and_falls_as_a_cosine():
    found = rates(Schedule(shape="one-cycle", warmup=0.5, start=0.04, end=0.0))
    assert found[0] == pytest.approx(0.016)
    assert found[25] == pytest.approx(0.4 * 0.52)
    assert found[50] == pytest.approx(0.4)
    assert found[75] == pytest.approx(0.2)
    assert found[100] == pytest.approx(0.0, abs=1e-7)


def test_no_warmup_starts_at_the_peak():
    found = rates(Schedule(shape="linear", warmup=0.0, start=0.0, end=0.0))
    np.testing.assert_allclose(found, 0.4 * (1 - np.arange(101) / 100), atol=1e-6)


def step_twice(chosen, values, gradients):
    variables = [
        keras.Variable(value.astype(np.float32), name=f"v{index}")
        for index, value in enumerate(values)
    ]
    optimization.build(chosen, SimpleNamespace(trainable_variables=variables))
    for _ in range(2):
        chosen.apply([tf.constant(g, tf.float32) for g in gradients], variables)
    return [v.numpy() for v in variables]


@pytest.fixture
def matrix():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 3)), rng.normal(size=3)], [
        rng.normal(size=(4, 3)),
        rng.normal(size=3),
    ]


def test_sgd_has_nesterov_momentum_and_decay_that_spares_vectors(matrix):
    values, gradients = matrix
    chosen = optimization.optimizer(settings(momentum=0.9, weight_decay=0.5), None, 10)
    found = step_twice(chosen, values, gradients)
    for value, gradient, decay, result in zip(values, gradients, (0.5, 0.0), found, strict=True):
        velocity = np.zeros_like(value)
        for _ in range(2):
            value = value - 0.1 * decay * value
            velocity = 0.9 * velocity - 0.1 * gradient
            value = value + 0.9 * velocity - 0.1 * gradient
        np.testing.assert_allclose(result, value, rtol=1e-5, atol=1e-6)


def test_adamw_steps_by_the_learning_rate_and_decays_apart_from_the_gradient(matrix):
    values, gradients = matrix
    chosen = optimization.optimizer(settings(optimizer="adamw", weight_decay=0.5), None, 10)
    found = step_twice(chosen, values, gradients)
    # With the same gradient twice both moments equal it, so that a step is its sign.
    for value, gradient, decay, result in zip(values, gradients, (0.5, 0.0), found, strict=True):
        for _ in range(2):
            value = value - 0.1 * decay * value
            value = value - 0.1 * np.sign(gradient)
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def test_muon_orthogonalises_kernels_and_keeps_their_norm():
    rng = np.random.default_rng(1)
    kernel, vector = rng.normal(size=(3, 3, 8, 16)), rng.normal(size=16)
    gradients = [rng.normal(size=kernel.shape), rng.normal(size=16)]
    chosen = optimization.optimizer(
        settings(optimizer="muon", learning_rate=0.2, vector_learning_rate=0.01, momentum=0.6),
        None,
        10,
    )
    start = kernel * 4 / np.linalg.norm(kernel)
    holder = [keras.Variable(v.astype(np.float32)) for v in (kernel, vector)]
    chosen.build(holder)
    chosen.apply([tf.constant(g, tf.float32) for g in gradients], holder)
    moved = (start - holder[0].numpy()).reshape(72, 16) / 0.2
    assert np.linalg.norm(start) == pytest.approx(4)  # of 16 orthonormal columns
    singular = np.linalg.svd(moved, compute_uv=False)
    # Newton-Schulz brings all singular values near one, not to it (Jordan et al. 2024).
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    left, _, right = np.linalg.svd(gradients[0].reshape(72, 16), full_matrices=False)
    alignment = (moved * (left @ right)).sum() / np.linalg.norm(moved) / 4
    assert alignment > 0.97
    np.testing.assert_allclose(
        holder[1].numpy(), vector - 0.01 * np.sign(gradients[1]), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("shape", [(1152, 128), (24, 64), (64, 64)])
def test_orthogonalising_over_gram_matrices_is_the_iteration_of_keras(shape):
    matrix = np.random.default_rng(2).normal(size=shape)
    matrix = tf.constant(matrix * np.geomspace(1, 1e-3, shape[1]), tf.float32)
    ours = optimization.Muon().zeropower_via_newtonschulz5(matrix, 5)
    keras_own = keras.optimizers.Muon().zeropower_via_newtonschulz5(matrix, 5)
    np.testing.assert_allclose(ours, keras_own, atol=1e-4)


def averaged(how, steps):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    kernel = model.trainable_variables[0]
    kernel.assign([[0.0]])
    averages = optimization.Averages(how, model)

    @tf.function
    def run():
        for step in tf.range(1, steps + 1):
            kernel.assign_add([[1.0]])
            averages.update(step)

    run()
    return averages, kernel


def test_an_exponential_average_follows_its_recurrence():
    averages, kernel = averaged(Averaging(method="ema", decay=0.9, every=2), 40)
    expected = 0.0
    for times in range(1, 21):
        decay = min(0.9**2, times / (times + 9))
        expected = decay * expected + (1 - decay) * 2 * times
    assert averages.variables[0].numpy().item() == pytest.approx(expected, rel=1e-5)
    assert kernel.numpy().item() == 40
    averages.swap()
    assert kernel.numpy().item() == pytest.approx(expected, rel=1e-5)
    averages.swap()
    assert kernel.numpy().item() == 40


def test_lookahead_pulls_the_fast_weights_back():
    averages, kernel = averaged(Averaging(method="lookahead", decay=0.5, every=5), 10)
    # Five steps up to 5, half of the way back; five more from there, half of those.
    assert averages.variables[0].numpy().item() == pytest.approx(5.0)
    assert kernel.numpy().item() == pytest.approx(5.0)
