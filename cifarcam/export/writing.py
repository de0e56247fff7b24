"""Exports written as a whole or not at all, for four runtimes and in three precisions."""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cifarcam import _devices, _files, _store
from cifarcam.data import CLASS_NAMES, Dataset
from cifarcam.errors import CifarcamError, file_mode, first_line, require
from cifarcam.export import network as networks
from cifarcam.export.calibration import calibration_images
from cifarcam.export.card import (
    ENDINGS,
    KERAS,
    LITERT,
    ONNX,
    SAVED_MODEL,
    Card,
    add_card,
    read_card,
)
from cifarcam.runs import Run

PRECISIONS = ("float32", "float16", "int8")
FORMATS = tuple(ENDINGS)
# What converts, by format, beside TensorFlow and Keras.
NEEDS = {ONNX: ("onnx", "onnxruntime", "tf2onnx")}


class Unrepresentable(CifarcamError):
    """A format cannot represent a network in a precision."""


def default_name(run: Run, form: str, precision: str) -> str:
    """The name of an export where none is given, such as ``baseline-int8.tflite``."""
    return f"{run.name}-{precision}{ENDINGS[form]}"


def refusal(model: keras.Model, form: str, precision: str) -> str | None:
    """Why a network cannot be exported in a format and precision, as one sentence; None if it can."""
    if precision == "int8" and form in (KERAS, SAVED_MODEL):
        return (
            f"{form} with int8: TensorFlow computes no convolution in int8; export to litert or "
            "onnx, or give --precision float16"
        )
    foreign = networks.foreign_layer(networks.with_plain_layers(model)) if form == KERAS else None
    if foreign is not None:
        return (
            f"keras: the layer {foreign.name} is a {type(foreign).__name__}, which Keras does not "
            "have; export to litert, onnx or saved-model"
        )
    return None


def write(
    run: Run,
    form: str,
    path: Path,
    *,
    precision: str = "float32",
    dataset: Dataset | None = None,
    seed: int = 0,
) -> None:
    """Write a run's network for another runtime, with a card that names the run.

    float16 stores the kernels in half the bytes, and in LiteRT the biases; the runtime computes with
    them in float32.
    int8 computes in whole numbers; the range of each activation is that on training images.

    Parameters
    ----------
    run
        A run with weights.
    form
        One of `FORMATS`.
    path
        The file, or the folder of a SavedModel. An earlier export may be replaced.
    precision
        One of `PRECISIONS`.
    dataset
        Its training images calibrate int8, which needs it.
    seed
        Draws these images.

    Raises
    ------
    Unrepresentable
        When the format cannot represent the network in the precision.
    CifarcamError
        When the name belongs to something else, the run has no weights, or the file cannot be
        written.
    """
    _check_output(path, form)
    needed = NEEDS.get(form, ())
    require("export", *needed)
    model = run.model()
    if (reason := refusal(model, form, precision)) is not None:
        raise Unrepresentable(f"{run.name} cannot be exported to {reason}")
    images, calibration = None, None
    if precision == "int8":
        if dataset is None:
            raise CifarcamError("int8 is calibrated on training images; give a dataset")
        images = calibration_images(dataset, seed)
        if (silent := networks.silent_layer(networks.with_plain_layers(model), images)) is not None:
            raise Unrepresentable(
                f"{run.name} cannot be exported to {form} with int8: its layer {silent} gives zeros "
                f"alone on {len(images)} training images, a range that int8 cannot divide; train it "
                "anew, or choose --precision float16"
            )
        calibration = {"dataset": dataset.digest, "images": len(images), "seed": seed}
    card = Card(
        run.name,
        run.fingerprint,
        run.provenance["files"][_store.WEIGHTS],
        form,
        precision,
        CLASS_NAMES,
        calibration,
        _devices.versions() | {name: import_module(name).__version__ for name in needed},
    )
    with _files.writing_to(path.absolute().parent), _whole(path) as target:
        with _files.stderr_aside():
            try:
                WRITERS[form](model, precision, images, target)
            except (OSError, CifarcamError):
                raise
            except Exception as error:  # converters raise what they like
                reason = first_line(error).rpartition("error: ")[2]  # without TensorFlow's place
                raise Unrepresentable(
                    f"{run.name} cannot be exported to {form} in {precision}: the converter says "
                    f"{reason!r}; choose another --to or --precision"
                ) from error
        add_card(card, target)


def _check_output(path: Path, form: str) -> None:
    """Refuse a name with another ending, and one that belongs to something that is no export."""
    if form not in FORMATS:
        raise CifarcamError(f"{form!r} is not a format; give one of {', '.join(FORMATS)}")
    if path.suffix.lower() != ENDINGS[form]:
        ending = f"that ends in {ENDINGS[form]}" if ENDINGS[form] else "without an ending"
        raise CifarcamError(f"{path}: give a name {ending} for {form}")
    if file_mode(path) is None and not path.is_symlink():
        folder = path.absolute().parent
        with _files.writing_to(folder):
            tempfile.TemporaryFile(dir=folder).close()  # fails now, not after the conversion
        return
    try:
        read_card(path)
    except CifarcamError as error:
        raise CifarcamError(
            f"{path}: exists and is not an export of cifarcam; give another name by -o, or remove "
            "it"
        ) from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield a name in a folder beside `path` that becomes `path` when the block has no error."""
    folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
    aside = folder / f"{path.name}.old"
    try:
        yield folder / path.name
        if path.is_dir():  # a folder cannot be replaced in one step
            path.replace(aside)
        (folder / path.name).replace(path)
    finally:
        if aside.exists() and not path.exists():
            aside.replace(path)
        shutil.rmtree(folder)


def _write_litert(
    model: keras.Model, precision: str, images: np.ndarray | None, path: Path
) -> None:
    import tensorflow as tf

    plain = networks.with_plain_layers(model)
    function = networks.as_function(plain, 1).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], plain)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if images is not None:
        converter.representative_dataset = lambda: ([one] for one in _one_by_one(images))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path.write_bytes(converter.convert())


def _write_onnx(model: keras.Model, precision: str, images: np.ndarray | None, path: Path) -> None:
    from cifarcam.export import _onnx

    plain = networks.with_plain_layers(model, erf=True)
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    images_of_any_number = keras.InputSpec(
        dtype="float32", shape=(None, *plain.input.shape[1:]), name="image"
    )
    plain.export(path, format="onnx", verbose=False, input_signature=[images_of_any_number])
    _onnx.name_ends(path)
    if precision == "float16":
        _onnx.halve(path)
    if images is not None:
        _onnx.quantise(path, _one_by_one(images))
    _onnx.check(path)


def _write_keras(model: keras.Model, precision: str, images: np.ndarray | None, path: Path) -> None:
    networks.with_plain_layers(model).save(path)
    if precision == "float16":
        _halve_keras(path)


def _write_saved_model(
    model: keras.Model, precision: str, images: np.ndarray | None, path: Path
) -> None:
    import tensorflow as tf

    plain = networks.with_plain_layers(model)
    module = tf.Module()
    module.serve = networks.as_function(plain, None, half=precision == "float16")
    tf.saved_model.save(module, str(path), signatures=module.serve)


WRITERS: dict[str, Callable[[keras.Model, str, np.ndarray | None, Path], None]] = {
    LITERT: _write_litert,
    ONNX: _write_onnx,
    KERAS: _write_keras,
    SAVED_MODEL: _write_saved_model,
}


def _one_by_one(images: np.ndarray) -> Iterator[np.ndarray]:
    """Each image as a batch of one, float32."""
    return (image[np.newaxis].astype(np.float32) for image in images)


def _halve_keras(path: Path) -> None:
    """Store the kernels of a Keras file as float16; Keras reads them into float32 variables."""
    import h5py

    with zipfile.ZipFile(path) as archive:
        members = {entry: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in members.items():
            if entry.filename.endswith(".h5"):
                source, target = io.BytesIO(content), io.BytesIO()
                with h5py.File(source) as weights, h5py.File(target, "w") as file:
                    _copy_halved(weights, file)
                content = target.getvalue()
            archive.writestr(entry, content)


def _copy_halved(source: Any, target: Any) -> None:
    """Copy groups, attributes and arrays of HDF5, float32 kernels as float16."""
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for name, item in source.items():
        if hasattr(item, "items"):
            _copy_halved(item, target.create_group(name))
        else:
            target.create_dataset(name, data=networks.halved(np.asarray(item)))
