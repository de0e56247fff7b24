"""Our own layers, iterations and resizing beside Keras's and TensorFlow's, in turn.

    python benchmarks/parts.py

Prints for each part the median time of ours and of theirs and their ratio.
"""

import statistics
import time

import keras
import tensorflow as tf

from cifarcam import _devices
from cifarcam.models import layers
from cifarcam.training import augment, optimization

ROUNDS = 9
SHAPE = (500, 15, 15, 256)  # a feature map of the speedrun
KERNELS = ((4608, 512), (2304, 256))  # the largest kernels of ResNet-18 and of the speedrun


def both_ways(layer):
    """A graph of a layer's output and gradient for a batch."""

    @tf.function
    def run(batch):
        with tf.GradientTape() as tape:
            tape.watch(batch)
            result = layer(batch, training=True)
        return tape.gradient(result, batch, output_gradients=batch)

    return run


def compare(name, ours, theirs, inputs):
    """Print the median times of two functions, which are called in turn."""
    times = ([], [])
    for _ in range(ROUNDS + 1):
        for seconds, run in zip(times, (ours, theirs), strict=True):
            started = time.perf_counter()
            run(inputs)
            seconds.append(time.perf_counter() - started)
    first, second = (1000 * statistics.median(seconds[1:]) for seconds in times)
    print(f"{name:44s} {first:8.1f} ms {second:8.1f} ms {second / first:6.1f}", flush=True)


def main():
    """Measure every part."""
    _devices.prepare()
    keras.utils.set_random_seed(0)
    print(f"{_devices.describe()['device']}, bfloat16 units: {_devices.bfloat16_units()}")
    print(f"{'':44s} {'ours':>11s} {'theirs':>11s} {'ratio':>6s}")
    precision = _devices.resolve_precision("auto")
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    batch = tf.cast(tf.random.normal(SHAPE), precision)
    size = " x ".join(map(str, SHAPE))
    for name, ours, theirs in (
        ("GELU", layers.GELU(dtype=policy), keras.layers.Activation("gelu", dtype=policy)),
        (
            "batch normalisation",
            layers.FusedBatchNormalization(dtype=policy),
            keras.layers.BatchNormalization(dtype=policy),
        ),
    ):
        compare(f"{name}, {precision}, {size}", both_ways(ours), both_ways(theirs), batch)
    muon = keras.optimizers.Muon()
    iterations = optimization.orthogonalize, lambda x: muon.zeropower_via_newtonschulz5(x, 5)
    for shape in KERNELS:
        kernel = tf.random.normal(shape)
        compare(f"orthogonalising {shape[0]} x {shape[1]}", *map(tf.function, iterations), kernel)
    images = tf.cast(tf.random.uniform((500, 32, 32, 3), 0, 256, tf.int32), tf.uint8)
    for side in (20, 24):
        resizes = (
            lambda x, side=side: augment.shrink(x, side),
            lambda x, side=side: tf.image.resize(x, (side, side), antialias=True),
        )
        compare(f"500 images shrunk to {side} x {side}", *map(tf.function, resizes), images)


if __name__ == "__main__":
    main()
