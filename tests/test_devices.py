"""The device: its precision, threads and versions, and settings that are as before after a block."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version

import keras
import pytest
import tensorflow as tf

from cifarcam import _devices
from cifarcam.errors import CifarcamError

CPUINFO = """processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu sse {flags} avx512f
power management:

processor\t: 1
model name\t: Another CPU
flags\t\t: amx_bf16
"""


@pytest.fixture
def cpu(monkeypatch, tmp_path):
    """Give the machine a CPU with these flags, and no GPU."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(_devices, "CPUINFO", path)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    return lambda flags: path.write_text(CPUINFO.format(flags=flags))


@pytest.fixture
def gpu(monkeypatch):
    """Give the machine a GPU of this compute capability."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["gpu"])

    def set_details(**details):
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda device: dict(details)
        )

    return set_details


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("", None),
        ("amx_tile", None),
        ("avx512_bf16", "AVX512-BF16"),
        ("amx_bf16", "AMX-BF16"),
        ("avx512_bf16 amx_bf16", "AMX-BF16"),
    ],
)
def test_bfloat16_units_of_a_cpu_by_its_flags(cpu, flags, units):
    cpu(flags)
    assert _devices.bfloat16_units() == units
    resolved = [_devices.resolve_precision(p) for p in ("auto", "tf32", "float32", "bfloat16")]
    assert resolved == ["bfloat16" if units else "float32", "float32", "float32", "bfloat16"]


@pytest.mark.parametrize(
    ("details", "units", "resolved"),
    [
        ({"compute_capability": (9, 0)}, "GPU", ["bfloat16", "tf32", "float32", "bfloat16"]),
        ({"compute_capability": (8, 0)}, "GPU", ["bfloat16", "tf32", "float32", "bfloat16"]),
        ({"compute_capability": (7, 5)}, None, ["float32", "float32", "float32", "bfloat16"]),
        ({}, None, ["float32", "float32", "float32", "bfloat16"]),
    ],
)
def test_bfloat16_units_of_a_gpu_by_its_compute_capability(gpu, details, units, resolved):
    gpu(**details)
    assert _devices.bfloat16_units() == units
    precisions = ("auto", "tf32", "float32", "bfloat16")
    assert [_devices.resolve_precision(precision) for precision in precisions] == resolved


def test_describe_names_the_first_processor(cpu, monkeypatch):
    cpu("avx512_bf16")
    monkeypatch.setattr(_devices, "thread_count", lambda: 3)
    assert _devices.describe() == {
        "device": "Some CPU @ 2.00GHz",
        "kind": "CPU",
        "bfloat16_units": "AVX512-BF16",
        "threads": 3,
        "system": f"{platform.system()} {platform.machine()}",
    }


def test_describe_without_cpuinfo_names_the_architecture(cpu, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: "")
    description = _devices.describe()
    assert description["device"] == platform.machine()
    assert description["bfloat16_units"] == "none"


def test_describe_names_the_gpu(gpu):
    gpu(device_name="Some GPU", compute_capability=(8, 6))
    description = _devices.describe()
    assert [description[key] for key in ("device", "kind", "bfloat16_units")] == [
        "Some GPU",
        "GPU",
        "GPU",
    ]


def test_thread_count_is_set_or_that_of_the_processors_allowed(monkeypatch):
    threading = tf.config.threading
    monkeypatch.setattr(threading, "get_intra_op_parallelism_threads", lambda: 5)
    assert _devices.thread_count() == 5
    monkeypatch.setattr(threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 4, 6}, raising=False)
    assert _devices.thread_count() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert _devices.thread_count() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _devices.thread_count() == 1


def test_versions_are_those_installed():
    assert _devices.versions() == {
        "python": platform.python_version(),
        "cifarcam": version("cifarcam"),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": version("numpy"),
    }


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_tensor_float_32_is_as_before_after_the_block(before, inside):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    usual = enabled()
    try:
        tf.config.experimental.enable_tensor_float_32_execution(before)
        with _devices.tensor_float_32(inside):
            assert enabled() == inside
        assert enabled() == before
        with pytest.raises(ZeroDivisionError), _devices.tensor_float_32(inside):
            raise ZeroDivisionError
        assert enabled() == before
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(usual)


def test_own_settings_are_as_before_after_the_block():
    def settings():
        config = keras.config
        return config.image_data_format(), config.floatx(), config.dtype_policy().name

    usual = settings()
    try:
        keras.config.set_image_data_format("channels_first")
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("mixed_float16")
        with pytest.raises(ZeroDivisionError), _devices.own_settings("mixed_bfloat16"):
            assert settings() == ("channels_last", "float32", "mixed_bfloat16")
            raise ZeroDivisionError
        assert settings() == ("channels_first", "float64", "mixed_float16")
    finally:
        keras.config.set_image_data_format(usual[0])
        keras.config.set_floatx(usual[1])
        keras.config.set_dtype_policy(usual[2])


def test_prepare_sets_determinism_and_float32(monkeypatch):
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on))
    )
    usual = tf.config.experimental.tensor_float_32_execution_enabled()
    try:
        tf.config.experimental.enable_tensor_float_32_execution(True)
        _devices.prepare()
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
        assert grown == [("first", True), ("second", True)]

        def initialized(gpu, on):
            raise RuntimeError("Physical devices cannot be modified after being initialized")

        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", initialized)
        _devices.prepare()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(usual)


def test_prepare_refuses_another_backend(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(CifarcamError, match="Keras runs on jax"):
        _devices.prepare()


def test_private_modules_import_nothing_heavy():
    code = (
        "import sys\n"
        "from cifarcam import _closure, _devices, _files, _store, errors\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'scipy', 'pooch', 'safetensors', 'requests', "
        "'grimp', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
