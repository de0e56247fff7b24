"""Throughput of the explainers relative to a compiled forward pass, and their memory.

The model is a CIFAR-10 network of six convolutions (32-32-64-64-128-128). We explain its last
convolution for 2,000 test images. For each precision one process runs all candidates in turn for
several rounds; ratios are ratios of medians.

    .venv/bin/python benchmarks/explaining.py [ROUNDS]
"""

import resource
import statistics
import subprocess
import sys
import time

GRADIENT_METHODS = ("grad-cam", "grad-cam++", "xgrad-cam", "layer-cam", "hires-cam")
BATCH = 256
SCORE_CAM_IMAGES = 64


def network():
    import keras

    layers = keras.layers
    stack = [keras.Input((32, 32, 3)), layers.Rescaling(1 / 255)]
    for index, filters in enumerate((32, 32, 64, 64, 128, 128), start=1):
        name = f"conv{index}"
        stack.append(layers.Conv2D(filters, 3, padding="same", activation="relu", name=name))
        if index % 2 == 0:
            stack.append(layers.MaxPooling2D(2))
    stack += [
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, name="logits", dtype="float32"),
        layers.Softmax(dtype="float32"),
    ]
    return keras.Sequential(stack)


def forward_pass(model, images):
    """A function that predicts all images in batches with a compiled model."""
    import numpy as np
    import tensorflow as tf

    compiled = tf.function(lambda batch: model(batch, training=False), autograph=False)

    def run():
        return np.concatenate(
            [
                compiled(tf.constant(images[start : start + BATCH].astype(np.float32))).numpy()
                for start in range(0, len(images), BATCH)
            ]
        )

    return run


def seconds(run):
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def throughput(precision, rounds):
    import keras

    from cifarcam import data, explain

    keras.config.set_dtype_policy(precision)
    model = network()
    images = data.load().test.images[:2000]
    candidates = {"forward": forward_pass(model, images)}
    for name in GRADIENT_METHODS:
        explainer = explain.METHODS[name](model, "conv6")
        candidates[name] = lambda explainer=explainer: explainer(images, batch_size=BATCH)
    score_cam = explain.METHODS["score-cam"](model, "conv6")
    candidates["score-cam"] = lambda: score_cam(images[:SCORE_CAM_IMAGES])
    times = {name: [] for name in candidates}
    for run in candidates.values():
        run()
    for _ in range(rounds):
        for name, run in candidates.items():
            times[name].append(seconds(run))
    medians = {name: statistics.median(durations) for name, durations in times.items()}
    forward = len(images) / medians["forward"]
    print(f"{precision}: forward pass {forward:,.0f} images/s")
    for name in GRADIENT_METHODS:
        rate = len(images) / medians[name]
        print(f"  {name:12s} {rate:8,.0f} images/s, {rate / forward:.3f} of the forward pass")
    rate = SCORE_CAM_IMAGES / medians["score-cam"]
    print(f"  score-cam    {rate:8,.1f} images/s, {rate * 129 / forward:.3f} of forward / 129")


def memory():
    """Upper bound of the memory for explaining all test images: peak minus memory before."""
    import psutil

    from cifarcam import data, explain

    images = data.load().test.images.copy()
    explainers = [explain.METHODS[name](network(), "conv6") for name in GRADIENT_METHODS]
    forward_pass(network(), images[:BATCH])()
    before = psutil.Process().memory_info().rss / 2**20
    for explainer in explainers:
        explainer(images)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    added = f"at most {after - before:.0f} MB to the {before:.0f} MB before"
    print(f"explaining {len(images):,} images by five methods adds {added}")


def main():
    if sys.argv[1:2] == ["--side"]:
        if sys.argv[2] == "memory":
            memory()
        else:
            throughput(sys.argv[2], int(sys.argv[3]))
        return
    rounds = sys.argv[1] if len(sys.argv) > 1 else "9"
    for side in ("float32", "mixed_bfloat16", "memory"):
        command = [sys.executable, __file__, "--side", side, rounds]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
