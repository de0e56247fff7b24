"""Model files of users, and the names of their classes."""

from __future__ import annotations

import importlib
import json
import re
import stat
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from cifarcam.errors import CifarcamError, check_readable, file_mode, first_line
from cifarcam.explain.classifier import Classifier

MOST_CLASS_BYTES = 2**24  # of a file of class names; 100,000 names take 2 MiB


def module_objects(name: str) -> dict[str, Any]:
    """Import a module of somebody's own layers, and return its classes and functions by name.

    The module is looked up where Python looks and in the working directory. Its code is run. What a
    package takes from its own modules counts as well, what it takes from others does not.

    Parameters
    ----------
    name
        The module, such as ``"layers"`` or ``"package.layers"``.

    Raises
    ------
    CifarcamError
        When there is no such module, or its code fails.
    """
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise CifarcamError(
            f"module {name!r}: not the name of a module; give NAME for a file NAME.py in the "
            "working directory"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except Exception as error:  # a module of others may raise anything
        raise CifarcamError(
            f"module {name!r} cannot be imported ({type(error).__name__}: {first_line(error)}); "
            "run the command where the module is, or mend the module"
        ) from error
    package = name.partition(".")[0]
    return {
        key: value
        for key, value in vars(module).items()
        if callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] == package
    }


def read_model(path: str | Path, objects: Mapping[str, Any] | None = None) -> keras.Model:
    """Read a Keras model from a file (``.keras`` or ``.h5``) without running code from the file.

    Parameters
    ----------
    path
        The file.
    objects
        Layers and functions of your own by name, as `module_objects` returns them.

    Raises
    ------
    CifarcamError
        When the file is missing, or Keras cannot read a model from it in safe mode.
    """
    path = Path(path)
    if stat.S_ISDIR(file_mode(path) or 0) and (path / "saved_model.pb").is_file():
        raise CifarcamError(
            f"{path}: a SavedModel of TensorFlow, which has no Keras layers to explain; save the "
            'model with model.save("NAME.keras")'
        )
    check_readable(path)
    version = _keras_version(path)
    try:
        model = keras.saving.load_model(
            path, custom_objects=dict(objects or {}), compile=False, safe_mode=True
        )
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
            f"{cause}; name the module that defines it: --import MODULE, or in Python "
            'read_model(path, module_objects("MODULE"))'
        )
    if "Lambda" in cause:
        return (
            f"{cause}; if you trust the file, load it in Python with safe_mode=False, and give the "
            "model to cifarcam.explain"
        )
    return f'{cause}; save the model again with model.save("NAME.keras")'


def class_names(
    classifier: Classifier, path: str | Path | None, default: Sequence[str] | None = None
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
    names = [name.strip() for name in re.split(r"[\r\n]+", _class_text(Path(path))) if name.strip()]
    if len(names) != classifier.classes:
        raise CifarcamError(
            f"{path}: {len(names)} class names for the model's {classifier.class_count}"
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
