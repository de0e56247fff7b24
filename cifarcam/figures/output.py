"""Figures as files: names that may be written to, and the same bytes for the same figure."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from cifarcam import _files
from cifarcam.errors import CifarcamError, file_mode
from cifarcam.figures.style import METADATA, house_style

# How `METADATA` names cifarcam in a file, and how many bytes from its beginning (below 0: from its
# end) contain the name.
MARKS: Mapping[str, tuple[bytes, int]] = MappingProxyType(
    {
        "svg": (b"<dc:title>cifarcam</dc:title>", 4096),
        "pdf": (b"/Creator (cifarcam)", -65536),
        "png": (b"tEXtSoftware\0cifarcam", 4096),
    }
)


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as SVG, PDF or PNG (200 dpi), as the name's ending says.

    The same figure gives the same bytes. The file appears complete or not at all.

    Raises
    ------
    CifarcamError
        When `check_output` refuses the name, or the file cannot be written.
    """
    path = Path(path)
    check_output(path)
    kind = _kind(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with house_style(), _files.atomic_file(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=dict(METADATA[kind]))
    except OSError as error:
        raise CifarcamError(
            f"{path}: cannot be written ({error.strerror}); give a name in a folder that can be "
            "written to and has space"
        ) from error


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a name to which a figure must not be written, before any work is done for it.

    Parameters
    ----------
    path
        The figure's file. A file that `save` wrote may be replaced.
    inputs
        The files from which the figure is made.

    Raises
    ------
    CifarcamError
        When the ending is not .svg, .pdf or .png, the name belongs to an input or to a file that
        `save` did not write, or the folder cannot be written to.
    """
    if _kind(path) not in METADATA:
        raise CifarcamError(f"{path}: give a name that ends in .png, .svg or .pdf")
    mode = file_mode(path)
    if mode is not None and any(file_mode(file) and path.samefile(file) for file in inputs):
        raise CifarcamError(
            f"{path}: is an input and would be replaced; give another name to write to"
        )
    if (mode is not None or path.is_symlink()) and not _is_ours(path, mode):
        raise CifarcamError(
            f"{path}: exists and was not written by cifarcam; give another name to write to, "
            "or remove the file"
        )
    check_folder(path)


def check_folder(path: Path) -> None:
    """Refuse a name for a file whose folder cannot be written to, or cannot be made.

    Raises
    ------
    CifarcamError
        When that is so.
    """
    folder = next(folder for folder in path.absolute().parents if file_mode(folder) is not None)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise CifarcamError(f"{path}: {folder} cannot be written to; give another name to write to")


def is_own(path: Path) -> bool:
    """Whether a file is a figure that `save` wrote."""
    return _kind(path) in MARKS and _is_ours(path, file_mode(path))


def _is_ours(path: Path, mode: int | None) -> bool:
    """Whether `save` wrote the file."""
    if mode is None or not stat.S_ISREG(mode):
        return False
    mark, reach = MARKS[_kind(path)]
    try:
        with path.open("rb") as file:
            if reach < 0:
                file.seek(max(0, file.seek(0, os.SEEK_END) + reach))
            return mark in file.read(abs(reach))
    except OSError:  # a file that cannot be read is not ours
        return False


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
