"""Model files of users, and the names of their classes."""

from __future__ import annotations

import json
import re
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras

from cifarcam.errors import CifarcamError, check_readable, file_mode
from cifarcam.explain.classifier import Classifier

MOST_CLASS_BYTES = 2**24  # of a file of class names; 100,000 names take 2 MiB


def read_model(path: Path) -> keras.Model:
    """Read a Keras model from a file (``.keras`` or ``.h5``) without running code from the file.

    Raises
    ------
    CifarcamError
        When the file is missing, or Keras cannot read a model from it in safe mode.
    """
    if stat.S_ISDIR(file_mode(path) or 0) and (path / "saved_model.pb").is_file():
        raise CifarcamError(
            f"{path}: a SavedModel of TensorFlow, which has no Keras layers to explain; save the "
            'model with model.save("NAME.keras")'
        )
    check_readable(path)
    version = _keras_version(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras may raise anything on a damaged file.
    except Exception as error:
        raise CifarcamError(
            f"{path}: not a model that Keras can read safely: {_why_no_model(error, version)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise CifarcamError(f"{path}: contains a {type(model).__name__}, not a model")
    return model


def _keras_version(path: Path) -> str:
    """The version of Keras that wrote a file; empty if the file does not name it.

    Raises
    ------
    CifarcamError
        When the file's format does not match its name, or it contains weights alone.
    """
    import h5py

    refused = f"{path}: not a model that Keras can read safely: "
    if zipfile.is_zipfile(path):
        ending = ".keras"
    elif h5py.is_hdf5(path):
        ending = ".h5"
    else:
        raise CifarcamError(
            f"{refused}it is neither .keras nor .h5, or is cut off; save the model with "
            'model.save("NAME.keras")'
        )
    if path.suffix not in (ending, {".h5": ".hdf5"}.get(ending)):
        raise CifarcamError(f"{refused}its name has to end in {ending}")
    try:
        if ending == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("metadata.json") as file:
                return str(json.loads(file.read(2**16))["keras_version"])
        with h5py.File(path) as file:
            has_network = "model_config" in file.attrs
            version = file.attrs.get("keras_version", "")
    # A damaged file may raise anything; Keras, which reads all of it, then says what is wrong.
    except Exception:
        return ""
    if not has_network:
        raise CifarcamError(
            f"{refused}it contains weights alone; save the whole model with model.save"
        )
    return version.decode("utf-8", "replace") if isinstance(version, bytes) else str(version)


def _why_no_model(error: Exception, version: str) -> str:
    """Why Keras did not read a model's file, and what to do."""
    # Keras gives the cause last, after the settings of the layer, which may fill pages.
    cause = str(error).rpartition("Exception encountered: ")[2].strip()
    cause = (cause.splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")[:300]
    unknown = re.match(r"(?:Could not locate (\w+)|Unknown (\w+):) '([^']*)'", cause)
    if unknown is not None:
        cause = f"the {unknown[1] or unknown[2]} {unknown[3]!r} is not one of Keras's own"
    if version.startswith(("1.", "2.")):
        return (
            f"{cause}; the file is from Keras {version}: build the network in Keras "
            f"{keras.__version__}, load the weights with load_weights, and save it as .keras"
        )
    if unknown is not None:
        return (
            f"{cause}; in Python, import the code that defines it, load the file with "
            "keras.saving.load_model, and give the model to cifarcam.explain"
        )
    if "Lambda" in cause:
        return (
            f"{cause}; if you trust the file, load it in Python with safe_mode=False, and give the "
            "model to cifarcam.explain"
        )
    return f'{cause}; save the model again with model.save("NAME.keras")'


def class_names(
    classifier: Classifier, path: Path | None, default: Sequence[str] | None = None
) -> list[str]:
    """The names of a model's classes, from a text file with one name per line.

    Parameters
    ----------
    classifier
        The model.
    path
        The file; None for the default names.
    default
        The names without a file; by default ``class 0``, ``class 1``, ...

    Raises
    ------
    CifarcamError
        When the file is missing, not a text in UTF-8, or its number of names is wrong.
    """
    if path is None:
        return list(default or (f"class {index}" for index in range(classifier.classes)))
    names = [name.strip() for name in re.split(r"[\r\n]+", _class_text(path)) if name.strip()]
    if len(names) != classifier.classes:
        raise CifarcamError(
            f"{path}: {len(names)} class names for the model's {classifier.classes} classes"
        )
    return names


def _class_text(path: Path) -> str:
    """The text of a file of class names."""
    check_readable(path)
    with path.open("rb") as file:
        content = file.read(MOST_CLASS_BYTES + 1)
    if len(content) > MOST_CLASS_BYTES:
        raise CifarcamError(
            f"{path}: more than {MOST_CLASS_BYTES // 2**20} MiB; too large for a list of names"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CifarcamError(f"{path}: not a text in UTF-8; save it in UTF-8") from error
    if "\0" in text:
        raise CifarcamError(f"{path}: not a text in UTF-8; save it in UTF-8")
    if text.lstrip().startswith(("{", "[")):
        raise CifarcamError(f"{path}: looks like JSON; give a text file with one name per line")
    return text


def class_index(text: str, names: Sequence[str]) -> int:
    """The index of a class that a user gives by name or number.

    Raises
    ------
    CifarcamError
        When there is no such class, or several classes have that name.
    """
    indices = [index for index, name in enumerate(names) if name == text]
    if len(indices) > 1:
        raise CifarcamError(
            f"classes {indices[0]} and {indices[1]} are both called {text!r}; give the number"
        )
    if indices:
        return indices[0]
    numbers = [str(index) for index in range(len(names))]
    if text in numbers:
        return int(text)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise CifarcamError(
        f"there is no class {text!r}; give a number from 0 to {len(names) - 1}, or a name: {listed}"
    )
