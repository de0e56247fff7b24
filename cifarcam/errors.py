"""The exceptions that users see, and checks that raise them in one sentence."""

from __future__ import annotations

import importlib.util
import stat
import unicodedata
from pathlib import Path

LONGEST_WORD = 200  # letters; longer words, such as file names, are shown without their middle


class CifarcamError(Exception):
    """A wrong input or a missing resource: one sentence that names it and says what to do."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none; at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def printable(text: str) -> str:
    """A text on one line that every terminal and font can show.

    Line breaks become spaces, and control characters and bytes that are not UTF-8 become U+FFFD.
    Invisible marks (such as marks of the writing direction) are removed, and words of more than
    `LONGEST_WORD` letters lose their middle.
    """
    shown = "".join(
        character if character.isprintable() else _shape(character) for character in text
    )
    half = LONGEST_WORD // 2
    return " ".join(
        word if len(word) <= LONGEST_WORD else f"{word[:half]}…{word[-half:]}"
        for word in shown.split(" ")
    )


def _shape(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) == "Cf" else "\ufffd"


def file_mode(path: Path) -> int | None:
    """The type and permissions of a file (`stat.st_mode`); None if there is no file.

    Raises
    ------
    CifarcamError
        When the system does not accept the name, or does not let this user look there.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CifarcamError(f"{path}: {error.strerror}; give another file") from error
    except ValueError as error:  # a NUL, or characters that no file system accepts
        raise CifarcamError(f"{path}: not a valid file name ({first_line(error)})") from error


def unreadable(path: Path, error: OSError, remedy: str = "give another file") -> CifarcamError:
    """The error for a file that the system does not let this user read."""
    return CifarcamError(f"{path}: cannot be read ({error.strerror}); {remedy}")


def check_readable(path: Path) -> None:
    """Check that a path is a file with data that this user may read.

    Raises
    ------
    CifarcamError
        When the file is missing or empty, may not be read, or is a folder, device or pipe.
    """
    mode = file_mode(path)
    if mode is None:
        raise CifarcamError(f"{path}: no such file")
    if stat.S_ISDIR(mode):
        raise CifarcamError(f"{path}: a folder; give a file")
    if not stat.S_ISREG(mode):
        raise CifarcamError(f"{path}: a device or a pipe; give a file")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise unreadable(path, error) from error
    if empty:
        raise CifarcamError(f"{path}: the file is empty")


def check_backend() -> None:
    """Check that Keras runs on TensorFlow.

    Raises
    ------
    CifarcamError
        When Keras is set to another backend, or its backend cannot be imported.
    """
    advice = (
        'set the environment variable KERAS_BACKEND, or "backend" in ~/.keras/keras.json, to '
        "tensorflow before Keras is imported"
    )
    try:
        import keras
    except ImportError as error:  # of a backend, such as torch
        raise CifarcamError(f"Keras cannot be imported ({first_line(error)}); {advice}") from error
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise CifarcamError(f"Keras runs on {backend}, but cifarcam needs TensorFlow; {advice}")


class MissingExtra(CifarcamError, ImportError):
    """A package that an optional part of cifarcam needs is not installed."""


def require(extra: str, *modules: str) -> None:
    """Check that the packages of an optional part are installed.

    Parameters
    ----------
    extra
        The extra of ``cifarcam[extra]`` that installs them.
    modules
        The names of the packages' modules, such as ``"sklearn"``.

    Raises
    ------
    MissingExtra
        When a package is not installed.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"this needs {', '.join(missing)}, not installed here; pip install 'cifarcam[{extra}]'"
        )
