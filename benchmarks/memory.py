"""Peak memory of each method for 16 images of 224 x 224 pixels and a ResNet-50 with random weights.

Each method runs in a process of its own, one after the other. Methods repeat a step of at most 32
images at a time, so that a process stops after some seconds of processor time, and its peak until
then counts. A peak above 4 GB makes the script fail.

    .venv/bin/python benchmarks/memory.py [SECONDS [METHOD ...]]
"""

import os
import resource
import signal
import subprocess
import sys
import time

IMAGES, SIDE = 16, 224
LIMIT = 4e9  # bytes
SECONDS = 120  # of processor time after the explainer is made
# ResNet-50 has no attention to explain.
LEFT_OUT = ("attention-rollout", "attention-relevance")


def explain_images(name, seconds):
    """Explain the images, for so many seconds of processor time at most."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np

    from cifarcam import explain  # before Keras, whose start it decides
    import keras  # isort: skip

    model = keras.applications.ResNet50(weights=None, input_shape=(SIDE, SIDE, 3))
    explainer = explain.METHODS[name](model, input_range=(0, 255))
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype(np.uint8)
    soft = int(time.process_time()) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 60))
    explainer(images, 0)


def measured(name, seconds):
    """The peak memory of a method in bytes, and how its process ended."""
    child = subprocess.Popen([sys.executable, __file__, "--explain", name, str(seconds)])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    how = {0: "whole", -signal.SIGXCPU: f"stopped after {seconds} s"}
    return usage.ru_maxrss * 1024, how.get(child.returncode, "failed")


def main(seconds, names):
    from cifarcam import explain

    peaks = {}
    print("| method | peak memory | run |\n|---|---|---|", flush=True)
    for name in names or [name for name in explain.METHODS if name not in LEFT_OUT]:
        peaks[name], how = measured(name, seconds)
        title = explain.METHODS[name].title
        print(f"| {title} | {peaks[name] / 1e9:.2f} GB | {how} |", flush=True)
    above = [name for name, peak in peaks.items() if peak > LIMIT]
    if above:
        raise SystemExit(f"above {LIMIT / 1e9:g} GB: {', '.join(above)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--explain"]:
        explain_images(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else SECONDS, sys.argv[2:])
