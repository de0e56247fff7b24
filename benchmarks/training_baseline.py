"""Throughput and memory of training the baseline, beside a plain Keras script.

Each side trains in its own process, in turn; the script prints the ratio of the medians.

    .venv/bin/python benchmarks/training_baseline.py [ROUNDS]
"""

import json
import resource
import statistics
import subprocess
import sys
import time

OURS, PLAIN = "cifarcam", "plain Keras"
EPOCHS = 2  # the first traces the graph; the last is timed


def train_ours():
    from dataclasses import replace

    from cifarcam import data, training
    from cifarcam.training import experiment

    baseline = experiment.find("baseline")
    short = replace(baseline, training=replace(baseline.training, epochs=EPOCHS))
    trained = training.train(short, data.load())
    return trained.history[-1].seconds


def train_plain():
    import keras

    from cifarcam import data, models
    from cifarcam.training import experiment

    baseline = experiment.find("baseline")
    dataset = data.load()
    train = dataset.train.images.astype("float32")
    validation = dataset.validation.images.astype("float32")
    train_labels = keras.utils.to_categorical(dataset.train.labels)
    validation_labels = keras.utils.to_categorical(dataset.validation.labels)
    model = models.build(baseline.architecture, baseline.options)
    # Without XLA, with which an epoch of model.fit took 1.7 times as long.
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    for _ in range(EPOCHS):
        started = time.perf_counter()
        model.fit(
            train,
            train_labels,
            batch_size=baseline.training.batch_size,
            validation_data=(validation, validation_labels),
            verbose=0,
        )
    return time.perf_counter() - started


def measure(side):
    command = [sys.executable, __file__, "--side", side]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def main():
    if sys.argv[1:2] == ["--side"]:
        seconds = (train_ours if sys.argv[2] == OURS else train_plain)()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(json.dumps([seconds, peak]))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    results = {OURS: [], PLAIN: []}
    for _ in range(rounds):
        for side, measurements in results.items():
            measurements.append(measure(side))
            print(
                f"{side:12s} {measurements[-1][0]:6.1f} s an epoch, peak {measurements[-1][1]:.2f} GB"
            )
    ours, plain = (
        [statistics.median(column) for column in zip(*results[side], strict=True)]
        for side in (OURS, PLAIN)
    )
    print(f"throughput: {plain[0] / ours[0]:.2f} times the throughput of model.fit")
    print(f"peak memory: {ours[1]:.2f} GB, {ours[1] / plain[1]:.2f} of the plain script's")


if __name__ == "__main__":
    main()
