"""Training speed of each network, beside the machine's speed on its convolutions alone.

    python benchmarks/training.py [experiment ...]

Prints, for every experiment: images a second of training (augmentation, forward and backward
pass, update), floating-point operations an image (three times those of the forward pass), the
rate achieved, the rate of the same convolutions run one by one (forward, both gradients) at the
same batch size and precision, and the ratio of the two rates. Where an experiment has smaller images
in its first epochs, it also prints the images a second at their sizes.
"""

import statistics
import sys
import time
from dataclasses import replace

import keras
import tensorflow as tf

from cifarcam import _devices, data, models, training
from cifarcam.models import cost

EXPERIMENTS = (
    "baseline",
    "custom-cnn-augmented",
    "custom-cnn-attention",
    "alexnet",
    "vgg19",
    "resnet18",
    "densenet-bc",
    "transformer",
    "speedrun",
)
ROUNDS = 5  # of each convolution


def training_rate(experiment, dataset, size=None):
    """Images a second: the median of three epochs, after an epoch that sets up the kernels.

    `size` is the side in pixels that images are shrunk to; None for full size.
    """
    batch = experiment.training.batch_size
    count = min(len(dataset.train), batch * max(2, 1000 // batch))
    none = data.Split(dataset.validation.images[:0], dataset.validation.labels[:0])
    few = data.Split(dataset.train.images[:count], dataset.train.labels[:count])
    short = replace(
        experiment,
        data=replace(experiment.data, fit="train"),
        training=replace(experiment.training, epochs=4, image_sizes=(size,) * 4 if size else ()),
        early_stopping=None,
        selection=None,
    )
    trained = training.train(short, replace(dataset, train=few, validation=none))
    return count / statistics.median(epoch.seconds for epoch in trained.history[1:])


def convolution_seconds(layer, batch, dtype):
    """Seconds for the forward pass and both gradients of a convolution, the median of `ROUNDS`."""
    images = tf.cast(tf.random.normal([batch, *layer.input.shape[1:]]), dtype)
    kernel = tf.cast(tf.random.normal(layer.kernel.shape), dtype)
    padding, strides = layer.padding.upper(), layer.strides

    @tf.function
    def both_ways(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            result = tf.nn.conv2d(images, kernel, strides, padding)
        # With the result as its own gradient, nothing more is computed and the forward pass stays.
        return tape.gradient(result, [images, kernel], output_gradients=result)

    both_ways(images, kernel)
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        both_ways(images, kernel)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main(names):
    """Measure some experiments."""
    _devices.prepare()
    dataset = data.load()
    print(f"{_devices.describe()['device']}, bfloat16 units: {_devices.bfloat16_units()}")
    print("experiment              images/s  GFLOP/image  TFLOP/s  convolutions alone  ratio")
    for name in names:
        experiment = training.find(name)
        precision = _devices.resolve_precision(experiment.training.precision)
        model = models.build(experiment.architecture, experiment.options, precision)
        flops = 3 * cost.forward_flops(model)
        rate = training_rate(experiment, dataset)
        batch = experiment.training.batch_size
        convolutions = [la for la in model.layers if isinstance(la, keras.layers.Conv2D)]
        timed = {}
        seconds = 0.0
        for layer in convolutions:
            shape = (tuple(layer.input.shape), tuple(layer.kernel.shape), layer.strides)
            if shape not in timed:
                timed[shape] = convolution_seconds(layer, batch, layer.compute_dtype)
            seconds += timed[shape]
        peak = 3 * batch * cost.forward_flops(model, keras.layers.Conv2D) / seconds / 1e12
        achieved = rate * flops / 1e12
        print(
            f"{name:22s} {rate:9.0f} {flops / 1e9:12.2f} {achieved:8.3f} {peak:19.3f} "
            f"{achieved / peak:6.2f}",
            flush=True,
        )
        for size in dict.fromkeys(experiment.training.image_sizes):
            smaller = training_rate(experiment, dataset, size)
            print(
                f"  at {size} x {size} pixels {smaller:14.0f}, {smaller / rate:.2f} times",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or EXPERIMENTS)
