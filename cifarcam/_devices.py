"""The device that computes: its memory, determinism, precision and threads."""

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

CPUINFO = Path("/proc/cpuinfo")  # of Linux


def prepare() -> None:
    """Set TensorFlow to deterministic operations, float32 without TF32, and shared GPU memory.

    It may be called often. TensorFlow changes the memory growth of a device only before the
    device is used; later the setting stays as it is.

    Raises
    ------
    CifarcamError
        When Keras runs on another backend.
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
    # TensorFlow warns of many graphs in a process; each training run and explainer has one.
    tf.get_logger().setLevel("ERROR")


@contextmanager
def tensor_float_32(enabled: bool) -> Iterator[None]:
    """Allow or forbid in the block that a GPU's matrix units round float32 to TF32.

    TF32 keeps 10 bits of a mantissa instead of 23, and TensorFlow allows it by default. On an
    H200 it changed Grad-CAM by 7% and saliency by 12% of their maximum.
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
    """Replace the settings of a user's keras.json in the block.

    Channels come last, variables are float32, and layers compute with the dtype policy `policy`.
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
    """The device, its threads and the system, as a run's provenance records them."""
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
    """The units that multiply bfloat16 faster than float32, or None.

    Returns
    -------
    str or None
        On a CPU ``"AMX-BF16"`` (matrix units) or ``"AVX512-BF16"`` (vector units); ``"GPU"`` on a
        GPU of compute capability 8.0 or higher.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return "GPU" if details.get("compute_capability", (0, 0)) >= (8, 0) else None
    flags = _cpu_fields().get("flags", "").split()
    names = {"amx_bf16": "AMX-BF16", "avx512_bf16": "AVX512-BF16"}
    return next((name for flag, name in names.items() if flag in flags), None)


def resolve_precision(precision: str) -> str:
    """The precision in which this machine computes when a setting asks for `precision`.

    A GPU with units for bfloat16 has units for TF32 as well; every other device computes
    ``"tf32"`` in float32.

    Parameters
    ----------
    precision
        ``"float32"``, ``"tf32"``, ``"bfloat16"``, or ``"auto"``: bfloat16 where the device has
        units for it.

    Returns
    -------
    str
        ``"float32"``, ``"tf32"`` or ``"bfloat16"``.
    """
    if precision == "auto":
        return "bfloat16" if bfloat16_units() else "float32"
    if precision == "tf32" and bfloat16_units() != "GPU":
        return "float32"
    return precision


def _cpu_fields() -> dict[str, str]:
    """The fields of the first processor in ``/proc/cpuinfo``; none on another system."""
    if not CPUINFO.exists():
        return {}
    first = CPUINFO.read_text().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
