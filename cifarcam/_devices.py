"""What the computation runs on: GPU memory, determinism, threads."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cifarcam.errors import check_backend

if TYPE_CHECKING:
    import keras


def prepare() -> None:
    """Let TensorFlow share a GPU's memory, compute the same result each time, and float32 in float32.

    Safe to call often. Once a device is in use its memory growth stays as it was.
    """
    check_backend()
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError as error:
            if "initialized" not in str(error):
                raise
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    # One graph a training or explainer is meant; TensorFlow warns of many in one process.
    tf.get_logger().setLevel("ERROR")


@contextmanager
def tensor_float_32(enabled: bool) -> Iterator[None]:
    """Let a GPU's matrix units round float32 to TF32 within the block, or keep them from it.

    TensorFlow lets them by default: 10 bits of a mantissa are kept instead of 23, which moved
    Grad-CAM by 7% and saliency by 12% of their maximum on an H200.
    """
    import tensorflow as tf

    usual = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(enabled)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(usual)


@contextmanager
def own_settings(policy: str = "float32") -> Iterator[None]:
    """Build networks as they are written within the block, whatever a user's keras.json says.

    Channels come last, numbers are float32, and layers compute by the policy.
    """
    import keras

    usual = (
        keras.config.image_data_format(),
        keras.config.floatx(),
        keras.config.dtype_policy(),
    )
    _set("channels_last", "float32", policy)
    try:
        yield
    finally:
        _set(*usual)


def _set(data_format: str, floatx: str, policy: str | keras.DTypePolicy) -> None:
    import keras

    keras.config.set_image_data_format(data_format)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def describe() -> dict[str, str | int]:
    """The device, its threads and the system, as recorded in every run's provenance."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    else:
        name = _cpu_fields().get("model name") or platform.processor() or platform.machine()
    return {
        "device": name,
        "kind": "GPU" if gpus else "CPU",
        "bfloat16_units": bfloat16_units() or "none",
        "threads": thread_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    packages = ("cifarcam", "tensorflow", "keras", "numpy")
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python} | {name: importlib.metadata.version(name) for name in packages}


def thread_count() -> int:
    """How many threads one operation may use."""
    import tensorflow as tf

    configured = tf.config.threading.get_intra_op_parallelism_threads()
    if configured:
        return int(configured)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def bfloat16_units() -> str | None:
    """The units that multiply bfloat16 at more than the speed of float32, None where there are none.

    On a CPU ``"AMX-BF16"`` (matrix units) or ``"AVX512-BF16"`` (vector units), on a GPU ``"GPU"``
    from compute capability 8.0 on.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return "GPU" if details.get("compute_capability", (0, 0)) >= (8, 0) else None
    flags = _cpu_fields().get("flags", "").split()
    names = {"amx_bf16": "AMX-BF16", "avx512_bf16": "AVX512-BF16"}
    return next((name for flag, name in names.items() if flag in flags), None)


def resolve_precision(wanted: str) -> str:
    """``"float32"``, ``"tf32"`` or ``"bfloat16"``: what a precision comes to on this machine.

    Only a GPU that has units for bfloat16 has those for TF32; elsewhere float32 stays float32.
    """
    if wanted == "auto":
        return "bfloat16" if bfloat16_units() else "float32"
    if wanted == "tf32" and bfloat16_units() != "GPU":
        return "float32"
    return wanted


def _cpu_fields() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return {}
    first = cpuinfo.read_text().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
