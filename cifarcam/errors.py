"""The one exception that users are meant to see, and what goes into its one sentence."""

from __future__ import annotations

import importlib.util
import stat
import unicodedata
from pathlib import Path

LONGEST_WORD = 200  # letters; a longer one, as of a file's name, is shown without its middle


class CifarcamError(Exception):
    """A wrong input or a missing resource, told in one sentence that says what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what a stranger's error says, or else its type; at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def printable(text: str) -> str:
    """A text on one line that any terminal and font can be given.

    Line breaks become spaces, control characters and bytes that are not UTF-8 become U+FFFD, marks
    without a shape (such as those that turn the direction of writing) are left out, and words of
    more than `LONGEST_WORD` letters lose their middle.
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
    """What kind of file is there and who may use it (`stat.st_mode`); None where nothing is.

    Raises
    ------
    CifarcamError
        When the system takes no such name, or does not let this user look there.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CifarcamError(f"{path}: {error.strerror}; give another file") from error
    except ValueError as error:  # a NUL, or letters that no file system has
        raise CifarcamError(f"{path}: no name of a file ({first_line(error)})") from error


def check_readable(path: Path) -> None:
    """Refuse what is no file of data that can be read to its end.

    Raises
    ------
    CifarcamError
        When it is missing, empty, a folder, a device or a pipe, or may not be read.
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
        raise CifarcamError(f"{path}: cannot be read ({error.strerror})") from error
    if empty:
        raise CifarcamError(f"{path}: the file is empty")


def check_backend() -> None:
    """Refuse a Keras that does not run on TensorFlow.

    Raises
    ------
    CifarcamError
        When Keras runs on another backend, or the backend that is set cannot be imported.
    """
    advice = (
        'set the environment variable KERAS_BACKEND, or "backend" in ~/.keras/keras.json, to '
        "tensorflow before Keras is imported"
    )
    try:
        import keras
    except ImportError as error:  # of the backend that is set, such as torch
        raise CifarcamError(f"Keras cannot be imported ({first_line(error)}); {advice}") from error
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise CifarcamError(f"Keras runs on {backend}, where cifarcam needs TensorFlow; {advice}")


class MissingExtra(CifarcamError, ImportError):
    """A package that an optional part of cifarcam needs is not installed."""


def require(extra: str, *modules: str) -> None:
    """Check that the packages of an optional part are installed.

    Parameters
    ----------
    extra
        The extra of ``cifarcam[extra]`` that installs them.
    modules
        Names by which they are imported, such as ``"sklearn"``.

    Raises
    ------
    MissingExtra
        When one of them is not installed.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"this needs {', '.join(missing)}, not installed here; pip install 'cifarcam[{extra}]'"
        )
