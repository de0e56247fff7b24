"""Run an export in its own runtime: started by its path, in a process of its own.

It imports nothing of the package that needs memory, so that the memory is that of the runtime and the
network. It computes with one thread, and the timed calls on one core.

Arguments: format, export, images (.npy, uint8, N x 32 x 32 x 3), where the answers go (.npy), number
of timed calls. Prints the number of images done to standard output as it goes on, and last a line of
JSON: ``milliseconds`` and ``cpu_milliseconds`` of each timed call, on the clock and of processor
time; ``joules`` of a timed call, where the processor shows its counters, else null;
``runtime`` and ``peak``, bytes of memory at most before the network was read, and until the
timed calls were done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from cifarcam._energy import Meter

BATCH = 50
WARM_UP = 10  # calls before the timed ones
STATUS = Path("/proc/self/status")  # of Linux


def open_litert() -> Callable[[str], Callable[[np.ndarray], np.ndarray]]:
    """LiteRT: a function that reads a file and returns a function from images to answers."""
    from ai_edge_litert.interpreter import Interpreter

    def read(path: str) -> Callable[[np.ndarray], np.ndarray]:
        interpreter = Interpreter(model_path=path, num_threads=1)
        interpreter.allocate_tensors()
        image = interpreter.get_input_details()[0]["index"]
        answer = interpreter.get_output_details()[0]["index"]

        def call(images: np.ndarray) -> np.ndarray:
            answers = []
            for one in images:
                interpreter.set_tensor(image, one[np.newaxis])
                interpreter.invoke()
                answers.append(interpreter.get_tensor(answer)[0])
            return np.array(answers)

        return call

    return read


def open_onnx() -> Callable[[str], Callable[[np.ndarray], np.ndarray]]:
    """ONNX Runtime."""
    import onnxruntime

    def read(path: str) -> Callable[[np.ndarray], np.ndarray]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        return lambda images: session.run(None, {"image": images})[0]

    return read


def open_keras() -> Callable[[str], Callable[[np.ndarray], np.ndarray]]:
    """Keras on TensorFlow."""
    _one_thread()
    import keras

    def read(path: str) -> Callable[[np.ndarray], np.ndarray]:
        return keras.saving.load_model(path, compile=False).predict_on_batch

    return read


def open_saved_model() -> Callable[[str], Callable[[np.ndarray], np.ndarray]]:
    """TensorFlow."""
    tf = _one_thread()

    def read(path: str) -> Callable[[np.ndarray], np.ndarray]:
        loaded = tf.saved_model.load(path)
        return lambda images: loaded.serve(tf.constant(images)).numpy()

    return read


def _one_thread() -> ModuleType:
    """TensorFlow, set to one thread."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


OPENERS = {
    "litert": open_litert,
    "onnx": open_onnx,
    "keras": open_keras,
    "saved-model": open_saved_model,
}


def peak_memory() -> int:
    """Bytes of memory that this process has held at most."""
    # Not `ru_maxrss`: on Linux it begins with the memory of the process that started this one.
    for line in STATUS.read_text().splitlines() if STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(form: str, export: str, images_file: str, answers_file: str, calls: int) -> None:
    """Time single images, then answer for all images."""
    is_linux = hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if is_linux else set()
    if is_linux:
        os.sched_setaffinity(0, {max(cores)})
    read = OPENERS[form]()
    runtime = peak_memory()
    network = read(export)
    pixels = np.load(images_file, mmap_mode="r")
    milliseconds, cpu_milliseconds = [], []
    for number in range(-WARM_UP, calls):
        image = pixels[[number % len(pixels)]].astype(np.float32)
        if number == 0:
            meter = Meter()
        began, cpu_began = time.perf_counter(), time.process_time()
        network(image)
        if number >= 0:
            milliseconds.append(1000 * (time.perf_counter() - began))
            cpu_milliseconds.append(1000 * (time.process_time() - cpu_began))
    joules = meter.update()
    peak = peak_memory()
    if is_linux:
        os.sched_setaffinity(0, cores)
    answers = []
    for start in range(0, len(pixels), BATCH):
        answers.append(network(pixels[start : start + BATCH].astype(np.float32)))
        print(min(start + BATCH, len(pixels)), flush=True)
    np.save(answers_file, np.concatenate(answers))
    measured = {
        "milliseconds": milliseconds,
        "cpu_milliseconds": cpu_milliseconds,
        "joules": None if joules is None else joules / calls,
        "runtime": runtime,
        "peak": peak,
    }
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    form, export, images_file, answers_file, calls = sys.argv[1:]
    main(form, export, images_file, answers_file, int(calls))
